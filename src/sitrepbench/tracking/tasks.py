"""What a tracker is given to do, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from sitrepbench.errors import TrackingError
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.entries import Entry, run_entry
from sitrepbench.tracking.log import summaries_of


@dataclass(frozen=True)
class Follow:
    """Look for new points of the curves of runs under way."""


@dataclass(frozen=True)
class TrackingReport:
    """What became of what a `Tracker` was given.

    Parameters
    ----------
    logged : tuple of str
        The content keys of the runs that were written now.
    unlogged : dict
        Of runs and attempts that are not in MLflow the reason, by content key.
    attempts : int
        Failed attempts that were written now.
    experiment_id, parent_id : str
        Where they are; empty where MLflow was never reached, or where there is no sweep.
    error : TrackingError or None
        What to tell the user; None if all went well.
    details : str
        The traceback of what nobody expected; empty as a rule.
    """

    logged: tuple[str, ...] = ()
    unlogged: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    experiment_id: str = ""
    parent_id: str = ""
    error: TrackingError | None = None
    details: str = ""


@dataclass(frozen=True)
class Task:
    """One run to log; ``make`` reads its record, which takes a while, and returns its entry."""

    key: str
    make: Callable[[], Entry | None]


@dataclass(frozen=True)
class Check:
    """Runs that may be in MLflow already."""

    keys: tuple[str, ...]
    load: Callable[[str], RunRecord | None]


def tasks_of(check: Check, keys: Iterable[str]) -> list[Task]:
    """Return the tasks of logging those runs of a check that are missing."""
    return [Task(key, partial(_load, check, key)) for key in keys]


def _load(check: Check, key: str) -> Entry | None:
    record = check.load(key)
    return None if record is None else run_entry(record, summaries_of(record))
