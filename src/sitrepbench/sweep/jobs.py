"""What is handed to a worker and what comes back: plain values that any process can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from sitrepbench.commands import repeat_command


class State(Enum):
    """What became of a run in a sweep."""

    waiting = "waiting"
    running = "running"
    done = "done"
    cached = "cached"
    failed = "failed"
    #: Another process computes it at this moment.
    busy = "busy"

    @property
    def finished(self) -> bool:
        """Whether the results store has its record."""
        return self in (State.done, State.cached)


@dataclass(frozen=True)
class Job:
    """One run to be computed.

    Parameters
    ----------
    key : str
        The content key, as the parent computed it; a worker that comes to another one has other
        code, data or library versions and says so.
    name : str
        The run's name in lists, at most 18 characters.
    tree : mapping
        The whole resolved configuration.
    names : mapping
        The chosen option of each group.
    overrides : tuple of str
        What was given on the command line.
    reason : str
        Why it may read a test split, settled by the parent; empty where it reads none.
    shares : str
        Jobs with the same value fit the same features on the same cells; empty where a model
        reads the sentences itself.
    """

    key: str
    name: str
    tree: Mapping[str, Any]
    names: Mapping[str, str]
    overrides: tuple[str, ...] = ()
    reason: str = ""
    shares: str = ""

    @property
    def command(self) -> str:
        """The command line that runs this one alone."""
        return repeat_command(self.overrides)


@dataclass(frozen=True)
class Failure:
    """Why a run has no record.

    Parameters
    ----------
    kind : str
        The error's class, ``killed`` or ``time limit``.
    message : str
        What a user should read, without a traceback.
    details : str
        The traceback, or where a killed worker stood; may be empty.
    seconds : float
        Wall time until then.
    where : str
        Host and process, ``host:pid``.
    """

    kind: str
    message: str
    details: str = ""
    seconds: float = 0.0
    where: str = ""


@dataclass(frozen=True)
class Reply:
    """What a worker says of one job; a record itself lies in the results store.

    The summaries of a run that was computed now spare the parent their computation; they are in
    no mark.
    """

    key: str
    state: State
    seconds: float = 0.0
    where: str = ""
    failure: Failure | None = None
    summaries: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Errand:
    """Jobs for one worker, one after the other, with what it needs to know beside them.

    Parameters
    ----------
    jobs : tuple of Job
        In the order in which they are run.
    results_dir : Path
        The results store, which every worker can write.
    attempt_dir : Path
        A folder of this start of the sweep, for the marks of what is running; see `marks`.
    blas_threads : int
        Threads of the linear algebra libraries.
    time_limit : float or None
        Seconds after which a run is given up and its worker ended.
    retries : int
        How often a run is tried again whose worker died.
    reuse_mb : int
        Memory for fitted features that are kept for the next run, MiB.
    """

    jobs: tuple[Job, ...]
    results_dir: Path
    attempt_dir: Path
    blas_threads: int = 1
    time_limit: float | None = None
    retries: int = 1
    reuse_mb: int = 1024
    options: Mapping[str, Any] = field(default_factory=dict)
