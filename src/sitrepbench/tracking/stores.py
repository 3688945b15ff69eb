"""What logging needs of MLflow, whichever way MLflow is reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sitrepbench.processes import is_alive, this_host, this_process
from sitrepbench.tracking.entries import LIVE, LIVE_TAG, SWEEP, Entry
from sitrepbench.tracking.settings import EXPERIMENT_PREFIX, TrackingSettings
from sitrepbench.tracking.training_curves import Point

#: A run of another host that is still being logged after so long was left behind.
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True)
class FoundRun:
    """A run that is in MLflow and not deleted; of its tags at least those that name it."""

    run_id: str
    status: str
    tags: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether it was logged to the end: only that gives it one of these."""
        return self.status in ("FINISHED", "FAILED")

    @property
    def live(self) -> bool:
        """Whether it shows a run under way, and is to become the finished one."""
        return not self.whole and self.tags.get(LIVE_TAG) == LIVE

    @property
    def abandoned(self) -> bool:
        """Whether nobody logs it any more, though it is not whole."""
        if self.tags.get("host") == this_host():
            process = self.tags.get("process", "")
            if process == this_process():
                # Runs are logged under a lock, which this process holds; what it left open is a
                # failed try of its own. A sweep is open as long as it takes.
                return self.tags.get("kind") != SWEEP
            return not is_alive(process)
        if self.tags.get("kind") == SWEEP:
            return False
        since = float(self.tags.get("logged_since") or 0)
        return self.status != "RUNNING" or time.time() - since > _ABANDONED_SECONDS


class TrackingStore(Protocol):
    """The runs of one experiment."""

    experiment_id: str
    #: How many entries are best written at once.
    group: int

    def find(self, kind: str, identities: Collection[str] | None = None) -> list[FoundRun]:
        """Return the runs of a kind; with ``identities`` those alone."""

    def running(self) -> list[FoundRun]:
        """Return what has the status RUNNING and was begun on this host."""

    def write(self, entries: Sequence[Entry]) -> list[str]:
        """Write new runs down, each whole or not at all, and return their ids."""

    def update(
        self,
        run_id: str,
        *,
        status: str | None = None,
        end: int | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        history: Sequence[Point] = (),
    ) -> None:
        """Change a run; what is None stays as it is."""

    def complete(self, run_id: str, entry: Entry) -> None:
        """Write a finished run into the MLflow run that showed it while it was under way."""

    def add_files(self, run_id: str, write: Callable[[Path], None]) -> None:
        """Let ``write`` put artifacts into a folder, and add them to a run."""

    def delete(self, run_ids: Collection[str], *, files: bool = False) -> None:
        """Mark runs as deleted; with ``files`` remove artifacts that lie on this machine."""

    def experiment_tags(self) -> dict[str, str]:
        """Return the tags of the experiment."""

    def set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment."""

    def close(self) -> None:
        """Let go of the database."""


@contextmanager
def open_store(settings: TrackingSettings) -> Iterator[TrackingStore]:
    """Open the experiment, which is created where it is missing.

    An SQLite file of a known schema is written directly, any other store through MLflow's client.

    Raises
    ------
    TrackingError
        When the database is unfit, the server does not answer, or the experiment was deleted.
    """
    from sitrepbench.tracking.client_store import ClientStore
    from sitrepbench.tracking.sqlite_store import SqliteStore

    store: TrackingStore | None = SqliteStore.open(settings)
    if store is None:
        by_client = ClientStore.open(settings)
        # The client has made the experiment, where that was what was missing.
        store = SqliteStore.open(settings) or by_client
    try:
        yield store
    finally:
        store.close()


def study_experiments(settings: TrackingSettings) -> list[str]:
    """Return the names of the experiments that studies log to, and of the one in the settings."""
    from sitrepbench.tracking.connection import open_client

    names = [item.name for item in open_client(settings).search_experiments()]
    return [
        name for name in names if name.startswith(EXPERIMENT_PREFIX) or name == settings.experiment
    ]
