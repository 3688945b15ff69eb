"""One run from configuration to record: take it from the store, or compute and keep it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sitrepbench.config.schema import Resume
from sitrepbench.config.studies import is_published
from sitrepbench.environment import describe_environment
from sitrepbench.errors import StoreError
from sitrepbench.execution import RunResult, execute
from sitrepbench.finetuning.curves import read_curves
from sitrepbench.finetuning.place import fits_kept_in
from sitrepbench.fitting import Tuned
from sitrepbench.metrics.summary import Summary
from sitrepbench.preparing import PreparedRun
from sitrepbench.reuse.embeddings import embeddings_kept_in
from sitrepbench.reuse.keys import is_dear
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.store.looks import Look, LookLedger, now, who
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ClaimedError, ResultsStore
from sitrepbench.store.waste import FITS, SEARCHES
from sitrepbench.told import (
    ADHOC,
    describe_data,
    headline,
    named_as_asked,
    run_name,
    summarise_parts,
    without_passwords,
)


@dataclass(frozen=True)
class Obtained:
    """A run's record, and how it was come by.

    Parameters
    ----------
    record : RunRecord
        As the store has it, under the names of today.
    cached : bool
        Whether it was taken from the store.
    summaries : dict or None
        The summary of every part where they were computed now.
    """

    record: RunRecord
    cached: bool
    summaries: dict[str, Summary] | None = None


class BusyError(StoreError):
    """A run that another process computes at this moment."""


def obtain(
    prepared: PreparedRun,
    store: ResultsStore,
    *,
    on_cell: Callable[[float, int], None] | None = None,
    fitted: FittedFeatures | None = None,
    wait: bool = True,
) -> Obtained:
    """Return the run's record, from the store or computed and stored.

    Parameters
    ----------
    prepared : PreparedRun
        As `prepare` returns it.
    store : ResultsStore
        Where finished runs lie.
    on_cell : callable or None
        Told after each cell how many are done, of how many; after each trial a part of one.
    fitted : FittedFeatures or None
        Features that earlier runs of this process fitted.
    wait : bool
        Whether to wait for another process that computes the run.

    Raises
    ------
    BusyError
        When another process computes the run and ``wait`` is false.
    StoreError
        With ``resume=cached_only`` and a run that is not there.
    ModelError
        When the pipeline fails.
    """
    resume = prepared.config.resume
    # Looked for without a claim first: a store that may only be read has no claims.
    found = None if resume is Resume.never else _stored(prepared, store)
    if found is not None:
        return found
    with _claim(prepared.key, store, wait=wait):
        # Another process may have been faster.
        found = None if resume is Resume.never else _stored(prepared, store)
        if found is not None:
            return found
        if resume is Resume.cached_only:
            raise StoreError(
                f"run {prepared.key} is not in {store.folder}, and resume=cached_only computes "
                "nothing; use resume=missing"
            )
        return _compute(prepared, store, on_cell, fitted)


def _stored(prepared: PreparedRun, store: ResultsStore) -> Obtained | None:
    """Return the run as the store has it, with its looks recorded; None if it is not there."""
    found = store.find(prepared.key)
    if found is None:
        return None
    record_looks(prepared, store)
    name = run_name(prepared.config, prepared.pipeline)
    return Obtained(named_as_asked(found, prepared.config, name), cached=True)


@contextlib.contextmanager
def _claim(key: str, store: ResultsStore, *, wait: bool) -> Iterator[None]:
    """Hold the claim on a run; what goes wrong while it is held is not about the claim."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(store.claim(key, timeout=-1 if wait else 0))
        except ClaimedError as error:
            raise BusyError(str(error)) from error
        yield


def _compute(
    prepared: PreparedRun,
    store: ResultsStore,
    on_cell: Callable[[float, int], None] | None,
    fitted: FittedFeatures | None,
) -> Obtained:
    looks = record_looks(prepared, store)
    started = time.perf_counter()
    executor = prepared.config.build("executor")
    under_way = _under_way(prepared, store)
    # The environment is described where the run is computed: with its thread limits.
    with fits_kept_in(under_way / FITS), embeddings_kept_in(store.folder) as embeddings:
        result, environment = executor.call(
            lambda: (
                execute(
                    prepared.plan,
                    prepared.pipeline,
                    seed=prepared.config.seed,
                    on_cell=on_cell,
                    fitted=fitted,
                    features_key=prepared.shares,
                    dear=is_dear(prepared.config.tree["features"]),
                    tuned=_tuned(prepared, under_way),
                    calibrator=prepared.calibrator,
                ),
                describe_environment(),
            )
        )
    total = time.perf_counter() - started
    config = prepared.config
    summaries = summarise_parts(result.predictions)
    record = RunRecord(
        key=prepared.key,
        key_parts=prepared.parts,
        names=dict(config.names),
        run_name=run_name(config, prepared.pipeline),
        study=config.study or ADHOC,
        config=without_passwords(dict(config.tree)),
        overrides=without_passwords(list(config.overrides)),
        dataset=describe_data(prepared.plan),
        labels=list(result.predictions.labels),
        environment=environment,
        created=now(),
        seconds={
            "total": total,
            "fit": float(result.timings["fit_seconds"].sum()),
            "predict": float(result.timings["predict_seconds"].sum()),
        },
        peak_memory_mb=result.peak_memory_mb,
        looks=[
            {"split": look.split, "reason": look.reason, "time": look.time, "by": look.by}
            for look in looks
        ],
        notes=[*prepared.notes, *result.notes, *embeddings.lines()],
        scores={part: headline(summary) for part, summary in summaries.items()},
        predictions_digest=result.predictions.digest(),
        tuning=_told(prepared, result),
    )
    stored = store.put(
        record,
        predictions=result.predictions,
        cells=result.timings,
        trials=result.trials,
        curves=read_curves(under_way / FITS),
    )
    shutil.rmtree(under_way, ignore_errors=True)
    return Obtained(stored, cached=False, summaries=summaries)


def _under_way(prepared: PreparedRun, store: ResultsStore) -> Path:
    """Return where searches and long fits under way are kept, to go on with after a kill."""
    folder = store.folder / SEARCHES / prepared.key
    if prepared.config.resume is Resume.never:
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _tuned(prepared: PreparedRun, folder: Path) -> Tuned | None:
    """Return the tuner for execution, with the place where searches under way are kept."""
    if prepared.tuning is None or not prepared.tuning.changes:
        return None
    return Tuned(prepared.tuning, folder)


def _told(prepared: PreparedRun, result: RunResult) -> dict[str, Any]:
    """Return what the record says of the tuner; nothing without one."""
    if prepared.tuning is None or not prepared.tuning.changes:
        return {}
    return {
        "search": without_passwords(dict(prepared.config.tree["tuner"])),
        "chosen": result.chosen,
        "seconds": result.tuning_seconds,
    }


def record_looks(prepared: PreparedRun, store: ResultsStore) -> list[Look]:
    """Write the run's looks down before the split is read, and return them.

    The same person showing the same run again for the same reason is no new look.
    """
    looks = _looks(prepared)
    LookLedger(store.folder).add(looks, same=lambda k: (k.key, k.split, k.reason, k.by))
    return looks


def _looks(prepared: PreparedRun) -> list[Look]:
    if not prepared.locked:
        return []
    by, time_ = who(), now()
    scored = prepared.plan.scored
    declared = "" if prepared.config.unlock_reason else (prepared.config.study or "")
    return [
        Look(
            scored.name,
            scored.digest,
            split,
            prepared.key,
            prepared.reason,
            by,
            time_,
            declared,
            reproduction=bool(declared) and is_published(prepared.config),
        )
        for split in prepared.locked
    ]
