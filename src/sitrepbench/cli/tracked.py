"""A sweep's way into MLflow: what the session tells, handed to the tracker's thread."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from sitrepbench.cli.outcome import settings_of
from sitrepbench.errors import SitrepBenchError, TrackingError
from sitrepbench.metrics.summary import Summary
from sitrepbench.preparing import PreparedRun
from sitrepbench.store.index import IndexRow
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ResultsStore
from sitrepbench.store.waste import SEARCHES
from sitrepbench.sweep.jobs import Job, State
from sitrepbench.sweep.planning import SweepRun
from sitrepbench.sweep.session import SweepSession
from sitrepbench.told import ADHOC, named_as_asked, run_name, without_passwords
from sitrepbench.tracking.background import Tracker
from sitrepbench.tracking.ranking import RankedRow
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome
from sitrepbench.tracking.training_curves import CurveWatch, LiveRun
from sitrepbench.wording import FailedLine


class TrackedSweep:
    """Logs the runs of a session in the background.

    Parameters
    ----------
    settings : TrackingSettings
        Where to.
    session : SweepSession
        Planned, so that its runs and its id are known.
    """

    def __init__(self, settings: TrackingSettings, session: SweepSession) -> None:
        self._started = time.monotonic()
        self._session = session
        self._tracker = Tracker(settings, self._info())
        self._tracker.open()

    @classmethod
    def of(cls, session: SweepSession) -> Self | None:
        """Return the tracked form of a planned session; None where nothing is logged."""
        settings = settings_of(session.runs[0].config)
        return None if settings is None else cls(settings, session)

    def begin(self) -> None:
        """Log what the store had and MLflow lacks; called once per batch."""
        self._tracker.replan(self._info())
        self._tracker.follow(CurveWatch(self._session.store.folder / SEARCHES, self._live))
        cached = {run.key: run for run in self._session.runs if run.state is State.cached}

        def load(key: str) -> RunRecord | None:
            record = self._session.store.find(key)
            return None if record is None else _named(record, cached[key])

        if cached:
            self._tracker.log_missing(cached, load)

    def _live(self) -> dict[str, LiveRun]:
        """Return the runs that are not done, as MLflow shows them while they grow curves."""
        return {
            run.key: LiveRun(run.key, run.name, {"study": self._session.study, **run.config.names})
            for run in self._session.runs
            if run.state not in (State.cached, State.done)
        }

    def finished(
        self,
        run: SweepRun,
        record: RunRecord | None,
        summaries: Mapping[str, Summary] | None = None,
    ) -> None:
        """Log a run that came to its end; its ``summaries``, if known, are not computed again."""
        if record is not None:
            self._tracker.log(_named(record, run), summaries)
        elif run.failure is not None:
            job = run.job or _unprepared(run)
            tree = without_passwords(dict(job.tree))
            self._tracker.fail(replace(job, tree=tree), run.failure)

    def end(self, rows: Sequence[IndexRow], *, exit_state: str) -> TrackingError | None:
        """Log what is left and the ranked table, and return what could not be done."""
        session = self._session
        state: Mapping[str, int] = {item.value: session.counts[item] for item in State}
        self._tracker.finish(
            SweepOutcome(
                "done"
                if exit_state == "done"
                else "failed"
                if exit_state == "failed"
                else "interrupted",
                state["done"],
                state["failed"],
                state["cached"],
                len(session.runs),
                time.monotonic() - self._started,
                [_ranked(row) for row in rows],
                [
                    FailedLine(run.name, run.failure.kind, run.failure.message, run.command)
                    for run in session.runs
                    if run.failure is not None
                ],
            )
        )
        return self._tracker.close().error

    def abandon(self) -> None:
        """Log what can be logged at once, when the program is told to end."""
        self._tracker.close(seconds=1.0)

    @property
    def pending(self) -> int:
        """How many runs wait for being logged."""
        return self._tracker.pending

    def _info(self) -> SweepInfo:
        session = self._session
        if session.plan is None or session.ledger is None:
            raise SitrepBenchError("the sweep is not planned yet")
        return SweepInfo(
            session.plan.id,
            session.study,
            session.command,
            len(session.runs),
            session.counts[State.cached],
            session.ledger.folder,
        )


@contextmanager
def shown_live(prepared: PreparedRun, store: ResultsStore) -> Iterator[None]:
    """Show the curves of a single run in MLflow while it is computed, where it has any.

    MLflow that is away costs the view while the run is under way, and nothing else.
    """
    config = prepared.config
    parts = prepared.pipeline.get_params(deep=True).values()
    settings = settings_of(config) if any(hasattr(part, "has_curves") for part in parts) else None
    if settings is None:
        yield
        return
    name = run_name(config, prepared.pipeline)
    live = LiveRun(prepared.key, name, {"study": config.study or ADHOC, **config.names})
    with Tracker(settings) as tracker:
        tracker.follow(CurveWatch(store.folder / SEARCHES, lambda: {prepared.key: live}))
        yield


def _named(record: RunRecord, run: SweepRun) -> RunRecord:
    return named_as_asked(record, run.config, run.name)


def _unprepared(run: SweepRun) -> Job:
    config = run.config
    return Job(run.key, run.name, dict(config.tree), dict(config.names), config.overrides)


def _ranked(row: IndexRow) -> RankedRow:
    scores = row.parts.get(row.part, {})

    def number(name: str) -> float:
        value = scores.get(name)
        return float("nan") if value is None else float(value)

    return RankedRow(
        row.key,
        row.run_name,
        f"{row.dataset} {row.part}",
        number("macro_f1"),
        number("macro_f1_low"),
        number("macro_f1_high"),
        {
            "accuracy": number("accuracy"),
            "model": row.model,
            "features": row.features,
            "seconds": round(row.seconds, 2),
        },
    )
