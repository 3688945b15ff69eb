"""The content key: what decides a run's predictions, and nothing else.

It covers the deciding configuration, the data's digests, the sources of this program that decide
predictions, and the versions of the libraries that do. It leaves out what people may change
freely: names, paths, workers, tracking, the reason for a look, and the seed of a pipeline that
draws no random numbers.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

import sitrepbench
from sitrepbench.config.run_config import RunConfig, without_own_keys
from sitrepbench.config.targets import TARGET, locate
from sitrepbench.execution import reads_frame, unset_seeds
from sitrepbench.protocols import Plan

#: Length of a key, hexadecimal digits.
KEY_LENGTH = 16
#: The parts of the configuration that decide predictions; the rest of the top level does not.
DECIDING = ("protocol", "features", "model")
#: What the top level leaves out, each for its reason; a test holds that nothing is forgotten.
LEFT_OUT = {
    "dataset": "its digest stands for it",
    "executor": "where a run is computed decides nothing; labels agree over thread counts",
    "tracking": "a view",
    "seed": "counted by itself, and only where something draws random numbers",
    "results_dir": "a path",
    "resume": "decides whether to run, not what comes out",
    "study": "a name",
    "final_test": "a reason",
    "unlock": "a reason",
}
#: Sources that decide predictions, relative to the package.
DECIDING_SOURCES = (
    "execution.py",
    "seeding.py",
    "data/dataset.py",
    "data/duplicates.py",
    "protocols",
    "features",
    "models",
)
_LIBRARIES = ("numpy", "scikit-learn", "scipy")


def key_parts(config: RunConfig, plan: Plan, pipeline: Pipeline) -> dict[str, Any]:
    """Return the ingredients of a content key by name, as plain values."""
    model = pipeline.steps[-1][1]
    deciding = {group: without_own_keys(config.tree[group]) for group in DECIDING}
    if reads_frame(model):
        deciding["features"] = None
    if isinstance(deciding["protocol"], dict):
        # The digest stands for a protocol's second dataset as well.
        deciding["protocol"].pop("target", None)
    contents = {
        name: step.content_digest()
        for name, step in pipeline.steps
        if hasattr(step, "content_digest")
    }
    for name, step in pipeline.steps:
        # A file that an estimator reads counts by its content, not by its path.
        for parameter in getattr(step, "content_parameters", ()):
            deciding[name].pop(parameter, None)
    return {
        "config": deciding,
        "contents": contents,
        "seed": config.seed if unset_seeds(pipeline) else None,
        "data": {"training": plan.training.digest, "scored": plan.scored.digest},
        "sources": source_digest(),
        "own_code": dict(sorted(_foreign_sources(config))),
        "versions": _versions(config),
    }


def content_key(parts: Mapping[str, Any]) -> str:
    """Return the key of `key_parts`."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_LENGTH]


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return the sha256 over this program's sources that decide predictions."""
    package = Path(sitrepbench.__file__).parent
    digest = hashlib.sha256()
    for name in DECIDING_SOURCES:
        path = package / name
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        for file in files:
            digest.update(str(file.relative_to(package)).encode() + b"\0")
            digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get(TARGET), str):
            yield node[TARGET]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _foreign_targets(config: RunConfig) -> set[str]:
    named = {target for group in DECIDING for target in _targets(config.tree[group])}
    return {target for target in named if not target.startswith("sitrepbench.")}


def _foreign_sources(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Yield the digests of a user's own modules, which no version stands for."""
    installed = _distributions()
    for target in _foreign_targets(config):
        if target.partition(".")[0] in installed:
            continue
        try:
            file = inspect.getsourcefile(locate(target))
        except TypeError:
            continue
        if file is not None:
            yield target, _neighbourhood_digest(target, Path(file))


def _neighbourhood_digest(target: str, file: Path) -> str:
    """Return the sha256 of what a user's object may be made of.

    That is every Python file of its package or, for a module by itself, of the folder that it
    lies in: what it imports from there decides predictions as well.
    """
    depth = target.count(".") - 1  # module levels below the top one
    if file.name == "__init__.py":
        depth += 1
    folder = file.parent if depth <= 0 else file.parents[depth - 1]
    files = sorted(folder.rglob("*.py")) if depth > 0 else sorted(folder.glob("*.py"))
    digest = hashlib.sha256()
    for source in files:
        digest.update(str(source.relative_to(folder)).encode() + b"\0")
        digest.update(source.read_bytes() + b"\0")
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    # Reads the metadata of every installed package: half a second, once per process.
    return metadata.packages_distributions()


def _versions(config: RunConfig) -> dict[str, str]:
    names = set(_LIBRARIES)
    installed = _distributions()
    for target in _foreign_targets(config):
        names.update(installed.get(target.partition(".")[0], ()))
    return {name: metadata.version(name) for name in sorted(names)}
