"""One run before it is computed: its data, its plan, its pipeline and its content key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sklearn.pipeline import Pipeline

from sitrepbench.calibration.calibrators import Calibrator
from sitrepbench.config.bound import bound_calibrator, bound_tuner, check_trains, unused_tuner
from sitrepbench.config.key import content_key, key_parts
from sitrepbench.config.run_config import RunConfig, build
from sitrepbench.config.studies import check_study_name, final_test_reason
from sitrepbench.config.targets import TARGET
from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import ConfigError
from sitrepbench.models.pipeline import build_pipeline, reads_frame
from sitrepbench.protocols import Plan, check_plan
from sitrepbench.reuse.keys import features_key
from sitrepbench.told import uses_features
from sitrepbench.tuning.tune import Tuning


@dataclass(frozen=True)
class PreparedRun:
    """A run whose data are loaded and whose key is known, but of which nothing is computed.

    Parameters
    ----------
    config : RunConfig
        Its configuration.
    plan : Plan
        Its cells.
    pipeline : Pipeline
        Unfitted.
    parts : dict
        The key's ingredients.
    key : str
        The content key.
    locked : tuple of str
        The test splits that it reads.
    reason : str
        Why it may; empty where it reads none.
    notes : tuple of str
        What a reader of the run should know.
    shares : str
        The same for runs that fit the same features on the same cells; empty where a model reads
        the sentences itself.
    tuning : Tuning or None
        What chooses the model's settings, bound to the model.
    calibrator : Calibrator or None
        What mends its probabilities.
    """

    config: RunConfig
    plan: Plan
    pipeline: Pipeline
    parts: dict[str, Any]
    key: str
    locked: tuple[str, ...]
    reason: str
    notes: tuple[str, ...]
    shares: str = ""
    tuning: Tuning | None = None
    calibrator: Calibrator | None = None


def prepare(config: RunConfig, *, reason: str | None = None) -> PreparedRun:
    """Load the data, make the cells and compute the content key of a checked configuration.

    Parameters
    ----------
    config : RunConfig
        As `check_config` returns it.
    reason : str or None
        Why the run may read a test split, where that was settled before, as for the worker of a
        sweep; empty where it may not. None settles it here.

    Raises
    ------
    SitrepBenchError
        When the data, the protocol or the pipeline do not fit together; see the subclasses.
    """
    check_study_name(config.study)
    model = config.build("model")
    if model is None:
        raise ConfigError("model._target_ is null; a run needs a model")
    features = None if reads_frame(model) else config.build("features")
    if not hasattr(model, "predict"):
        raise ConfigError(f"model: {type(model).__name__} does not predict; it is no classifier")
    if features is None and not reads_frame(model):
        raise ConfigError(
            f"{type(model).__name__} needs features; choose some, such as features=word_char"
        )
    pipeline = build_pipeline(features, model)
    if reason is None:
        reason = config.unlock_reason or final_test_reason(config) or ""
    plan, locked = _planned(
        json.dumps(config.tree["dataset"], sort_keys=True),
        json.dumps(config.tree["protocol"], sort_keys=True),
        bool(reason.strip()),
    )
    tuning, calibrator = bound_tuner(config), bound_calibrator(config)
    check_trains(plan, tuning, calibrator)
    parts = key_parts(config, plan, pipeline, tuning)
    notes = list(plan.training.notes)
    if plan.scored is not plan.training:
        notes += plan.scored.notes
    if not uses_features(config, model) and config.tree["features"].get(TARGET) is not None:
        notes.append(
            f"features={config.names['features']} does not apply: {config.names['model']} reads "
            "the sentences itself"
        )
    notes += unused_tuner(config, tuning)
    return PreparedRun(
        config,
        plan,
        pipeline,
        parts,
        content_key(parts),
        locked,
        reason if locked else "",
        tuple(notes),
        features_key(parts, plan, pipeline),
        tuning,
        calibrator,
    )


def forget_data() -> None:
    """Load data anew from now on; a process keeps what it has loaded."""
    _load.cache_clear()
    _planned.cache_clear()


@lru_cache(maxsize=8)
def _planned(dataset: str, protocol: str, unlocked: bool) -> tuple[Plan, tuple[str, ...]]:
    """Make and check the cells once per process and configuration, with the locked splits read."""
    made = build(json.loads(protocol), path="protocol")
    if made is None:
        raise ConfigError("protocol._target_ is null; a run needs a protocol")
    plan: Plan = made.plan(_load(dataset))
    return plan, check_plan(plan, unlock_reason="given" if unlocked else None)


@lru_cache(maxsize=4)
def _load(node: str) -> Dataset:
    """Load a dataset once per process and configuration."""
    made = build(json.loads(node), path="dataset")
    if not isinstance(made, Dataset):
        raise ConfigError("dataset._target_ must return a sitrepbench Dataset")
    return made
