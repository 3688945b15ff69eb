"""One process at work in one experiment: an open store, and the sweep that its runs belong to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from sitrepbench.tracking.columns import ShownRun
from sitrepbench.tracking.connection import tracking_errors, tracking_lock
from sitrepbench.tracking.entries import (
    ATTEMPT,
    CONTENT_KEY,
    NOTE_TAG,
    RUN,
    Entry,
    live_entry,
    writer_tags,
)
from sitrepbench.tracking.log import log_entries, missing_keys, tidy_up
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import TrackingStore, open_store
from sitrepbench.tracking.sweeps import (
    SweepInfo,
    SweepOutcome,
    SweepParent,
    begin_sweep,
    child_tags,
    end_sweep,
    running_note,
)
from sitrepbench.tracking.training_curves import LiveRun, Point
from sitrepbench.tracking.ui import DEFAULT_PORT, HOST
from sitrepbench.tracking.views import write_views

#: How often the parent run's page is brought up to date.
_NOTE_SECONDS = 10.0
#: Runs that decide on the columns of the views.
_SHOWN_RUNS = 1_000


class TrackingSession:
    """What `background.Tracker` does, step by step and in the caller's thread.

    Every step takes the tracking lock for itself, so that processes which share a results store
    take turns, and may be repeated after a `TrackingError`.

    Parameters
    ----------
    settings : TrackingSettings
        Where to log to.
    sweep : SweepInfo or None
        What the runs belong to; None for runs of their own.
    """

    def __init__(self, settings: TrackingSettings, sweep: SweepInfo | None = None) -> None:
        self.settings = settings
        self.sweep = sweep
        self.parent: SweepParent | None = None
        self.experiment_id = ""
        #: MLflow's run id by content key, of what went through this session.
        self.run_ids: dict[str, str] = {}
        self.logged: list[str] = []
        self.attempts = 0
        self._shown: list[ShownRun] = []
        self._store: TrackingStore | None = None
        self._stack = ExitStack()
        self._noted = time.monotonic()

    def open(self) -> None:
        """Open the store, take the sweep's parent run, and tidy up after killed processes."""
        if self._store is not None:
            return
        with tracking_errors(self.settings), tracking_lock(self.settings, seconds=self._patience):
            with ExitStack() as stack:
                store = stack.enter_context(open_store(self.settings))
                if self.sweep is not None and self.parent is None:
                    self.parent = begin_sweep(self.sweep, store)
                tidy_up(store)
                self._stack = stack.pop_all()
            self._store = store
            self.experiment_id = store.experiment_id

    def drop(self) -> None:
        """Let go of the store; the next step opens it anew."""
        self._store = None
        self._stack.close()

    @property
    def group(self) -> int:
        """How many entries are best logged at once."""
        return 1 if self._store is None else self._store.group

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Return the content keys of which no run is in MLflow."""
        with self._turn() as store:
            return missing_keys(keys, store)

    def log(self, entries: Sequence[Entry]) -> list[str]:
        """Log entries, each once, and return the content keys of the runs written now."""
        tags = self._child_tags
        with self._turn() as store:
            done = log_entries([replace(e, tags={**e.tags, **tags}) for e in entries], store)
            _end_failed(entries, store)
        fresh = []
        for entry in entries:
            run_id, now = done[entry.identity]
            if entry.kind == RUN:
                self.run_ids[entry.identity] = run_id
                fresh += [entry.identity] if now else []
                if entry.shown is not None and len(self._shown) < _SHOWN_RUNS:
                    self._shown.append(entry.shown)
            self.attempts += entry.kind == ATTEMPT and now
        self.logged += fresh
        self._note_progress()
        return fresh

    @property
    def _child_tags(self) -> dict[str, str]:
        return child_tags(self.sweep, self.parent.run_id) if self.sweep and self.parent else {}

    def follow(self, run: LiveRun, points: tuple[Point, ...]) -> None:
        """Add points to the curves of a run under way, which is shown as RUNNING."""
        with self._turn() as store:
            found = store.find(RUN, [run.key])
            if any(item.whole for item in found):
                return
            shown = next((item for item in found if item.live), None)
            if shown is None:
                entry = live_entry(run, points)
                store.write([replace(entry, tags={**entry.tags, **self._child_tags})])
            else:
                # Its tags, too: it may be another process's that was killed.
                tags = {**writer_tags(), "state": "running"}
                store.update(shown.run_id, status="RUNNING", tags=tags, history=points)

    def _note_progress(self) -> None:
        moment = time.monotonic()
        if self.sweep is None or self.parent is None or moment - self._noted < _NOTE_SECONDS:
            return
        self._noted = moment
        note = running_note(self.sweep, len(self.logged), self.attempts)
        with self._turn() as store:
            store.update(self.parent.run_id, tags={NOTE_TAG: note})

    def finish(self, outcome: SweepOutcome | None) -> bool:
        """Tidy up, bring the views up to date and end the sweep's parent run; return True."""
        with self._turn() as store:
            tidy_up(store)
            if self._shown:
                sweep = self.sweep.id if self.sweep else None
                write_views(self._shown, store, self.settings, sweep=sweep)
            if self.sweep is not None and self.parent is not None and outcome is not None:
                end_sweep(
                    self.parent,
                    self.sweep,
                    outcome,
                    store=store,
                    base=self._base,
                    run_ids=self.run_ids,
                )
        return True

    @property
    def _base(self) -> str:
        """The address at which the UI is, or will be by ``sitrepbench ui``."""
        if self.settings.database is None:
            return self.settings.shown_uri
        return f"http://{HOST}:{DEFAULT_PORT}"

    @property
    def _patience(self) -> float:
        return max(1.0, self.settings.patience_seconds)

    @contextmanager
    def _turn(self) -> Iterator[TrackingStore]:
        self.open()
        assert self._store is not None
        with tracking_errors(self.settings), tracking_lock(self.settings, seconds=self._patience):
            yield self._store


def _end_failed(entries: Sequence[Entry], store: TrackingStore) -> None:
    """End what showed failed attempts while they were under way; a retry takes it up again."""
    failed = {entry.tags.get(CONTENT_KEY, "") for entry in entries if entry.kind == ATTEMPT}
    for run in store.find(RUN, failed) if failed else ():
        if run.live and run.status == "RUNNING":
            # Not FAILED, which is for what is logged to the end: the attempt has a run of its own.
            store.update(
                run.run_id, status="KILLED", end=int(1000 * time.time()), tags={"state": "failed"}
            )
