"""The types of the configuration's top level.

The groups below hold what their ``_target_`` takes; those arguments are checked against its
signature (see `sitrepbench.config.targets`), so they are open here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

#: The config groups, in the order in which people think of them.
GROUPS = (
    "dataset",
    "protocol",
    "features",
    "model",
    "tuner",
    "calibrator",
    "executor",
    "tracking",
)


class Resume(Enum):
    """What to do about runs that the results store already has, or had."""

    missing = "missing"
    failed = "failed"
    never = "never"
    cached_only = "cached_only"


@dataclass
class UnlockSchema:
    """The reason for reading a test split."""

    reason: str | None = None


@dataclass
class RunSchema:
    """The top level of a run's configuration."""

    dataset: dict[str, Any] = MISSING
    protocol: dict[str, Any] = MISSING
    features: dict[str, Any] = MISSING
    model: dict[str, Any] = MISSING
    tuner: dict[str, Any] = MISSING
    calibrator: dict[str, Any] = MISSING
    executor: dict[str, Any] = MISSING
    tracking: dict[str, Any] = MISSING
    seed: int = 0
    results_dir: str = "results"
    resume: Resume = Resume.missing
    study: str | None = None
    final_test: str | None = None
    unlock: UnlockSchema = field(default_factory=UnlockSchema)


def register_schema() -> None:
    """Make the schema known to Hydra under the name ``schema``."""
    ConfigStore.instance().store(name="schema", node=RunSchema, provider="sitrepbench")
