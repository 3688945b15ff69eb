"""Logging records to MLflow: each once, whole or not at all, and what was missed later."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.connection import tracking_errors, tracking_lock
from sitrepbench.tracking.entries import ATTEMPT, CONTENT_KEY, RUN, Entry, run_entry
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import TrackingStore, open_store, study_experiments

SUPERSEDED_TAG = "superseded"


def log_record(
    record: RunRecord, summaries: Mapping[str, Summary], settings: TrackingSettings
) -> str:
    """Log one finished run, unless it is in MLflow already.

    What a killed process left half logged is deleted and logged anew, so that a run in MLflow
    with status FINISHED is whole.

    Parameters
    ----------
    record : RunRecord
        As the results store returns it.
    summaries : mapping
        The summary of each of its parts.
    settings : TrackingSettings
        Where to log to.

    Returns
    -------
    str
        The MLflow run's id; empty where tracking is off.

    Raises
    ------
    TrackingError
        When MLflow refuses, its database is locked or damaged, or its server does not answer.
        The record is not touched by it.
    """
    if not settings.enabled:
        return ""
    with tracking_errors(settings), tracking_lock(settings), open_store(settings) as store:
        return log_entries([run_entry(record, summaries)], store)[record.key][0]


def reconcile(records: Iterable[RunRecord], settings: TrackingSettings) -> list[str]:
    """Log the records that are not in MLflow yet, and close what killed processes left open.

    Returns
    -------
    list of str
        The content keys that were logged now.

    Raises
    ------
    TrackingError
        As `log_record` does.
    """
    by_key = {record.key: record for record in records}
    return log_missing(by_key, by_key.get, settings)


def log_missing(
    keys: Iterable[str],
    load: Callable[[str], RunRecord | None],
    settings: TrackingSettings,
) -> list[str]:
    """Log the runs of these content keys that are not in MLflow yet, and tidy up.

    Parameters
    ----------
    keys : iterable of str
        The content keys of finished runs.
    load : callable
        Returns the record of a key, None where there is none any more; asked only for what is
        missing, so that thousands of keys that are there cost next to nothing.
    settings : TrackingSettings
        Where to log to.

    Returns
    -------
    list of str
        The content keys that were logged now.

    Raises
    ------
    TrackingError
        As `log_record` does.
    """
    if not settings.enabled:
        return []
    logged: list[str] = []
    with tracking_errors(settings), ExitStack() as stack:
        with tracking_lock(settings):
            store = stack.enter_context(open_store(settings))
            missing = missing_keys(list(keys), store)
        for start in range(0, len(missing), store.group):
            found = [load(key) for key in missing[start : start + store.group]]
            entries = [run_entry(record, summaries_of(record)) for record in found if record]
            # Held while writing alone, so that processes which share a store take turns.
            with tracking_lock(settings):
                done = log_entries(entries, store)
            logged += [key for key, (_, now) in done.items() if now]
        with tracking_lock(settings):
            tidy_up(store)
    return logged


def forget_runs(keys: Collection[str], settings: TrackingSettings) -> int:
    """Mark the MLflow runs of these content keys as deleted, in the experiments of all studies.

    So are their failed attempts. Artifacts in a local folder are removed, for they hold the
    predictions' place on the disk; those of a server are left to ``mlflow gc``.

    Returns
    -------
    int
        How many finished runs were marked.

    Raises
    ------
    TrackingError
        As `log_record` does.
    """
    if not settings.enabled or not keys:
        return 0
    if settings.database is not None and not settings.database.exists():
        return 0
    wanted = set(keys)
    forgotten = 0
    with tracking_errors(settings), tracking_lock(settings):
        for name in study_experiments(settings):
            with open_store(replace(settings, experiment=name)) as store:
                runs = store.find(RUN, wanted)
                tried = [run for run in store.find(ATTEMPT) if run.tags[CONTENT_KEY] in wanted]
                store.delete([run.run_id for run in (*runs, *tried)], files=True)
                forgotten += sum(run.whole for run in runs)
    return forgotten


def summaries_of(record: RunRecord) -> dict[str, Summary]:
    """Return the summary of every part of a record; this costs far more than logging it."""
    predictions = record.predictions()
    return {part: summarise(predictions, part) for part in predictions.parts}


def missing_keys(keys: Sequence[str], store: TrackingStore) -> list[str]:
    """Return those of the content keys of which no whole run is in MLflow, in their order."""
    there = {run.tags[CONTENT_KEY] for run in store.find(RUN, keys) if run.whole}
    return [key for key in dict.fromkeys(keys) if key not in there]


def log_entries(entries: Sequence[Entry], store: TrackingStore) -> dict[str, tuple[str, bool]]:
    """Write the entries that are not there yet; the caller holds the tracking lock.

    Returns
    -------
    dict
        By identity the MLflow run's id, and whether it was written now.
    """
    done: dict[str, tuple[str, bool]] = {}
    for kind in dict.fromkeys(entry.kind for entry in entries):
        some = {entry.identity: entry for entry in entries if entry.kind == kind}
        left_over: list[str] = []
        shown: dict[str, str] = {}
        for run in store.find(kind, some):
            identity = run.tags[next(iter(some.values())).identity_tag]
            if run.whole:
                done.setdefault(identity, (run.run_id, False))
            elif run.abandoned:
                if run.live and identity not in shown:
                    shown[identity] = run.run_id
                else:
                    left_over.append(run.run_id)
        if left_over:
            store.delete(left_over)
        for identity, run_id in shown.items():
            if identity not in done:
                store.complete(run_id, some[identity])
                done[identity] = (run_id, True)
        fresh = [entry for identity, entry in some.items() if identity not in done]
        for entry, run_id in zip(fresh, store.write(fresh), strict=True):
            done[entry.identity] = (run_id, True)
    return done


def tidy_up(store: TrackingStore) -> None:
    """Close what killed processes left open, and mark failed attempts at what is done by now."""
    for run in store.running():
        if run.abandoned:
            # MLflow has no heartbeat: what nobody ends runs for ever.
            store.update(
                run.run_id, status="KILLED", end=int(1000 * time.time()), tags={"state": "killed"}
            )
    open_attempts = [run for run in store.find(ATTEMPT) if SUPERSEDED_TAG not in run.tags]
    if open_attempts:
        keys = [run.tags.get(CONTENT_KEY, "") for run in open_attempts]
        failed = set(missing_keys(keys, store))
        for run, key in zip(open_attempts, keys, strict=True):
            if key not in failed:
                store.update(run.run_id, tags={SUPERSEDED_TAG: "yes"})
