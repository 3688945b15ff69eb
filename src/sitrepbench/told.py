"""What a run is called and what its record says: names, scores for lists, nothing secret."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sklearn.pipeline import Pipeline

from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.targets import TARGET
from sitrepbench.data.dataset import Dataset
from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.models.pipeline import reads_frame
from sitrepbench.predictions import PredictionsTable
from sitrepbench.protocols import Plan
from sitrepbench.store.record import RunRecord

ADHOC = "adhoc"
RUN_NAME_LENGTH = 18
_PASSWORD = re.compile(r"(://[^/:@\s]*:)[^/@\s]+@")
#: Overrides that say nothing about what is run, so that names leave them out.
_UNTOLD = (
    "dataset",
    "tuner",
    "calibrator",
    "tracking",
    "executor",
    "results_dir",
    "resume",
    "unlock",
    "study",
)


def uses_features(config: RunConfig, model: Any) -> bool:
    """Return whether the features apply: to a model's input, or inside a model that reads text."""
    return not reads_frame(model) or bool(config.tree["model"].get("features"))


def named_as_asked(record: RunRecord, config: RunConfig, name: str) -> RunRecord:
    """Return a stored record under the names of today: names are labels, the key is identity."""
    return replace(
        record,
        names=dict(config.names),
        run_name=name,
        study=config.study or ADHOC,
        overrides=without_passwords(list(config.overrides)),
    )


def summarise_parts(predictions: PredictionsTable) -> dict[str, Summary]:
    """Return the summary of every part, development parts first."""
    return {part: summarise(predictions, part) for part in predictions.parts}


def headline(summary: Summary) -> dict[str, float]:
    """Return a summary's metrics, with the interval of macro-F1, for lists."""
    low, high = summary.intervals["macro_f1"]
    return {**summary.metrics, "macro_f1_low": low, "macro_f1_high": high}


def run_name(config: RunConfig, pipeline: Pipeline) -> str:
    """Return a telling name of at most 18 characters: model, what was changed, features.

    The parameters stand beside it in every list, so what does not fit is left out; the features
    first, for they have a column of their own.
    """
    pieces = [config.short_name("model")]
    for text in config.overrides:
        key, _, value = text.lstrip("+~").partition("=")
        parents, _, last = key.rpartition(".")
        if (parents or key == "seed") and parents.split(".")[0] not in _UNTOLD:
            pieces.append(f"{last}={value}")
    if config.tree["calibrator"].get(TARGET) is not None:
        pieces.append(config.short_name("calibrator"))
    if uses_features(config, pipeline.steps[-1][1]):
        pieces.append(config.short_name("features"))
    name = pieces[0]
    for piece in pieces[1:]:
        if len(name) + 1 + len(piece) <= RUN_NAME_LENGTH:
            name += f" {piece}"
    return name[:RUN_NAME_LENGTH]


def without_passwords(value: Any) -> Any:
    """Return plain values with the password of every address replaced by stars.

    >>> without_passwords({"uri": "http://me:secret@host:5000"})
    {'uri': 'http://me:***@host:5000'}
    """
    if isinstance(value, dict):
        return {key: without_passwords(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_passwords(item) for item in value]
    return _PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value


def describe_data(plan: Plan) -> dict[str, Any]:
    described = _describe(plan.scored)
    if plan.scored is not plan.training:
        described["trained_on"] = _describe(plan.training)
    return described


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "version": dataset.version,
        "source": dataset.source,
        "sentences": len(dataset.frame),
        "documents": dataset.n_documents,
    }
