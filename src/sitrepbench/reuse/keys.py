"""Which runs fit the same features on the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from sitrepbench.models.pipeline import unset_seeds
from sitrepbench.protocols import Plan

ABOUT = "_about_"
#: What a features config says in ``_about_.cost`` to be kept on disk.
DEAR = "dear"
#: Libraries that every features step may use; a user's own may use any that the run names.
_COMMON = ("numpy", "scikit-learn", "scipy")
_COMMON_PACKAGES = ("builtins", "numpy", "scipy", "sitrepbench", "sklearn")
_TARGET = "_target_"
_LENGTH = 24


def features_key(parts: Mapping[str, Any], plan: Plan, pipeline: Pipeline) -> str:
    """Return what is equal for two runs exactly if they fit the same features on the same cells.

    Parameters
    ----------
    parts : mapping
        The ingredients of the run's content key, as `sitrepbench.config.key.key_parts` gives
        them. Those of the model alone are left out.
    plan : Plan
        Its rows count.
    pipeline : Pipeline
        Unfitted. The run's seed counts where its features step draws random numbers.

    Returns
    -------
    str
        Hexadecimal; empty where there is nothing to share, because the model reads the sentences
        itself or nothing is fitted.
    """
    features = parts["config"]["features"]
    if features is None or len(pipeline.steps) < 2 or not plan.fits:
        return ""
    targets = set(_targets(features))
    common = all(target.partition(".")[0] in _COMMON_PACKAGES for target in targets)
    model = pipeline.steps[-1][0]
    # Where not even the whole pipeline draws, its parts need not be asked.
    draws = parts["seed"] is not None and bool(unset_seeds(pipeline[:-1]))
    deciding = {
        "features": features,
        "contents": {name: value for name, value in parts["contents"].items() if name != model},
        "data": parts["data"],
        "rows": rows_digest(plan),
        "seed": parts["seed"] if draws else None,
        "sources": parts["sources"],
        "own_code": {name: value for name, value in parts["own_code"].items() if name in targets},
        "versions": {
            name: version
            for name, version in parts["versions"].items()
            if name in _COMMON or not common
        },
    }
    canonical = json.dumps(deciding, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_LENGTH]


def is_dear(features_node: Mapping[str, Any]) -> bool:
    """Return whether a features config asks to be kept on disk: ``_about_.cost: dear``.

    >>> is_dear({"_target_": "sitrepbench.features.lsa", "_about_": {"cost": "dear"}})
    True
    """
    return (features_node.get(ABOUT) or {}).get("cost") == DEAR


def rows_digest(plan: Plan) -> str:
    """Return the sha256 over the cells of a plan: their names and rows."""
    digest = hashlib.sha256()
    for cell in plan.cells:
        lengths = [len(cell.train), len(cell.test)]
        digest.update(json.dumps([cell.part, cell.repeat, cell.fold, *lengths]).encode())
        for rows in (cell.train, cell.test):
            digest.update(np.ascontiguousarray(rows, dtype="<i8").data)
    return digest.hexdigest()


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get(_TARGET), str):
            yield node[_TARGET]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)
