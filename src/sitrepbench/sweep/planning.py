"""From configurations to jobs: what a sweep consists of, and how long the rest may take."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sitrepbench.commands import repeat_command
from sitrepbench.config.run_config import RunConfig
from sitrepbench.errors import (
    ConfigError,
    DataError,
    LockedSplitError,
    ProtocolError,
    SitrepBenchError,
)
from sitrepbench.preparing import PreparedRun, prepare
from sitrepbench.store.index import IndexRow
from sitrepbench.sweep.jobs import Failure, Job, State
from sitrepbench.told import ADHOC, RUN_NAME_LENGTH, run_name, without_passwords

#: What all runs of a sweep have in common.
_COMMON = ("executor", "results_dir", "tracking", "study")
_HASHED = 11


@dataclass
class SweepRun:
    """One combination of a sweep, from what was asked for to what became of it.

    Parameters
    ----------
    config : RunConfig
        What was asked for.
    job : Job or None
        None where it could not be prepared.
    prepared : PreparedRun or None
        Kept only where it reads a locked split.
    state : State
        What became of it.
    failure : Failure or None
        Why it failed.
    error : SitrepBenchError or None
        The error behind a failure in this process.
    """

    config: RunConfig
    job: Job | None = None
    prepared: PreparedRun | None = None
    state: State = State.waiting
    failure: Failure | None = None
    error: SitrepBenchError | None = None

    @property
    def key(self) -> str:
        """The content key; what could not be prepared has one that no record can have."""
        if self.job is not None:
            return self.job.key
        digest = hashlib.sha256(json.dumps(self.config.overrides).encode())
        return f"none-{digest.hexdigest()[:_HASHED]}"

    @property
    def name(self) -> str:
        """The run's name, or what was asked for by its choices."""
        if self.job is not None:
            return self.job.name
        chosen = f"{self.config.short_name('model')} {self.config.short_name('features')}"
        return chosen[:RUN_NAME_LENGTH]

    @property
    def command(self) -> str:
        """The command line that runs this one alone."""
        return repeat_command(without_passwords(list(self.config.overrides)))


class Planner:
    """Prepares the runs of a sweep; data that are broken are not loaded for each model again."""

    def __init__(self) -> None:
        self._broken: dict[str, SitrepBenchError] = {}

    def prepare(self, config: RunConfig) -> SweepRun:
        """Return the run with its job or, where it cannot be prepared, with its failure."""
        tree = config.tree
        data = json.dumps([tree[name] for name in ("dataset", "protocol", "unlock", "study")])
        try:
            if data in self._broken:
                raise self._broken[data]
            prepared = prepare(config)
        except SitrepBenchError as error:
            if isinstance(error, (DataError, ProtocolError)):
                self._broken[data] = error
            failure = Failure(type(error).__name__, str(error))
            return SweepRun(config, state=State.failed, failure=failure, error=error)
        job = Job(
            prepared.key,
            run_name(config, prepared.pipeline),
            dict(tree),
            dict(config.names),
            config.overrides,
            prepared.reason,
            prepared.shares,
        )
        return SweepRun(config, job, prepared if prepared.locked else None)


def check_common(configs: Sequence[RunConfig]) -> None:
    """Refuse a sweep over what all its runs must have in common.

    Raises
    ------
    ConfigError
        With the key that differs.
    """
    for name in _COMMON:
        if len({json.dumps(config.tree[name], sort_keys=True) for config in configs}) > 1:
            raise ConfigError(
                f"{name} differs among the runs, but a sweep has one: start a sweep for each"
            )


def check_looks(runs: Iterable[SweepRun]) -> None:
    """Refuse a sweep that would read a test split for several runs, unless its study declares it.

    Whoever scores many settings on the test split, and can pick the best, has tuned on it.

    Raises
    ------
    LockedSplitError
        With the number of runs.
    """
    by_hand = {run.key: run for run in runs if run.prepared and run.config.unlock_reason}
    if len(by_hand) > 1:
        first = next(iter(by_hand.values()))
        raise LockedSplitError(
            f"{len(by_hand)} runs of this sweep would read a locked test split because of "
            "unlock.reason. That is for one run, chosen before on dev or by cross-validation, "
            "such as:\n"
            f"  {first.command}\n"
            "Several are compared on a test split in a committed study that declares final_test; "
            "see docs/protocols.md"
        )


def study_of(config: RunConfig) -> str:
    """Return the study's name, or ``adhoc``."""
    return config.study or ADHOC


def expected_seconds(runs: Iterable[SweepRun], rows: Sequence[IndexRow]) -> float | None:
    """Return the computing time that stored runs of the same kinds suggest, seconds.

    Each run counts as the median of the stored runs with its dataset, protocol, features and
    model, or else its model. None where nothing is known of some run.
    """
    exact: dict[tuple[str, ...], list[float]] = {}
    by_model: dict[str, list[float]] = {}
    for row in rows:
        exact.setdefault((row.protocol, row.features, row.model), []).append(row.seconds)
        by_model.setdefault(row.model, []).append(row.seconds)
    total = 0.0
    for run in runs:
        names: Mapping[str, str] = run.config.names
        known = exact.get((names["protocol"], names["features"], names["model"]))
        known = known or by_model.get(names["model"])
        if not known:
            return None
        total += statistics.median(known)
    return total
