"""``sitrepbench run -m``: a session with a display and a tracker, and the words at its end."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.text import Text

from sitrepbench.commands import go_on_command
from sitrepbench.config.run_config import RunConfig
from sitrepbench.errors import ConfigError, ModelError, SitrepBenchError, StoreError, TrackingError
from sitrepbench.report.ranking import print_ranking
from sitrepbench.report.sweep import (
    Progress,
    SweepDisplay,
    duration,
    print_failures,
)
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.index import IndexRow, row_of
from sitrepbench.store.record import RunRecord
from sitrepbench.sweep.jobs import Reply, State
from sitrepbench.sweep.planning import SweepRun, check_common, expected_seconds, study_of
from sitrepbench.sweep.pools import Executor
from sitrepbench.sweep.session import SweepSession
from sitrepbench.told import without_passwords
from sitrepbench.wording import FailedLine

if TYPE_CHECKING:
    from sitrepbench.cli.tracked import TrackedSweep

DONE, INCOMPLETE, INTERRUPTED = 0, 1, 130
#: A display is worth while for what takes longer.
_WORTH_SECONDS = 1.0


class SweepCommand:
    """What Hydra's launcher hands runs to; a context manager around Hydra's call.

    Parameters
    ----------
    arguments : sequence of str
        What was given after ``sitrepbench run``.
    expanded : bool
        Whether all runs are known from the start, as with this program's own sweeper.
    verb : str
        The program's command that this is, for the command lines that people are told.
    config_dir : str or None
        The user's own folder, for the commands that repeat a run that failed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        expanded: bool,
        verb: str = "run",
        config_dir: str | None = None,
    ) -> None:
        shown = without_passwords(list(arguments))
        self._command = shlex.join(["sitrepbench", verb, *shown])
        self._expanded = expanded
        self._config_dir = config_dir
        self._display = SweepDisplay()
        self._session: SweepSession | None = None
        self._tracked: TrackedSweep | None = None
        self._rows: dict[str, IndexRow] = {}
        self._expected: float | None = None
        self._begun = time.monotonic()
        self._todo = 0
        self._ended = 0
        self._best: tuple[float, str] | None = None
        self._told: set[tuple[str, str]] = set()
        self._elsewhere = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._display.stop()
        session = self._session
        if session is not None and not self._closed:
            session.__exit__(kind, error, trace)
            if kind is not None and session.plan is not None and session.counts[State.waiting]:
                self._print_next(session, self._display.console)
        if self._tracked is not None and kind is not None:
            self._tracked.abandon()

    def __call__(self, composed: Any) -> Any:
        """Refuse: Hydra calls this for a single run, which is not a sweep's."""
        raise ConfigError("a sweep's runs go through hydra/launcher=sitrepbench")

    def launch(self, configs: Sequence[RunConfig]) -> list[LaunchedRun]:
        """Bring a batch of runs to its end; called by the launcher."""
        check_common(configs)
        if self._session is None:
            first = configs[0]
            self._session = SweepSession(
                first.results_dir,
                study_of(first),
                self._command,
                self,
                named=None if self._expanded else f"{self._command} {time.time_ns()}",
            )
        batch = self._session.launch(configs)
        self._display.stop()
        return [LaunchedRun(run, self._score(run)) for run in batch]

    @property
    def interrupted(self) -> bool:
        """Whether somebody stopped it."""
        return self._session is not None and self._session.interrupted

    # What the session tells.

    def preparing(self, done: int, total: int) -> None:
        """Show that configurations are being prepared."""
        if done == 0:
            self._begun = time.monotonic()
        elif done % 100 == 0 and time.monotonic() - self._begun > _WORTH_SECONDS:
            self._display.say(f"{done} of {total} runs prepared")

    def planned(self, session: SweepSession, todo: Sequence[SweepRun]) -> None:
        """Say what there is to do, and begin to track it."""
        from sitrepbench.cli.tracked import TrackedSweep

        self._todo, self._ended = len(todo), 0
        self._begun = time.monotonic()
        rows = session.store.rows()
        there = {run.key for run in session.runs if run.state is State.cached}
        self._rows.update({row.key: row for row in rows if row.key in there})
        executor: Executor = session.runs[0].config.build("executor")
        self._elsewhere = executor.elsewhere
        seconds = expected_seconds(todo, rows)
        at_once = max(1, min(executor.slots, len(todo)))
        self._expected = None if seconds is None else seconds / at_once
        self._display.say(self._plan_line(session, len(todo), executor.where))
        if self._tracked is None:
            self._tracked = TrackedSweep.of(session)
        if self._tracked is not None:
            self._tracked.begin()
        if todo:
            self._display.start()

    def finished(self, run: SweepRun, reply: Reply | None = None) -> None:
        """Pass a run on to MLflow, and tell the first failure of each cause at once."""
        if run.failure is not None and (run.failure.kind, run.failure.message) not in self._told:
            self._told.add((run.failure.kind, run.failure.message))
            first = run.failure.message.splitlines()[0] if run.failure.message else ""
            self._display.say(f"failed: {run.name} ({run.failure.kind}): {first}", style="red")
        if run.state is State.cached:
            return
        self._ended += 1
        record = self._find(run.key) if run.state is State.done else None
        if record is not None:
            row = row_of(record)
            self._rows[run.key] = row
            score = row.score()
            if score is not None and (self._best is None or score > self._best[0]):
                self._best = (score, run.name)
        if self._tracked is not None:
            self._tracked.finished(run, record, reply.summaries if reply else None)

    def looked(self, session: SweepSession) -> None:
        """Show how far the sweep is."""
        self._display.show(
            Progress(
                session.counts[State.done],
                session.counts[State.failed],
                session.counts[State.cached],
                len(session.runs),
                tuple(job.name for job in session.under_way.values()),
                self._seconds_left(),
                self._best,
                session.pool.where() if self._elsewhere and session.pool is not None else "",
            )
        )

    def said(self, message: str) -> None:
        """Print a message that stays."""
        self._display.say(message, style="yellow")

    def report(
        self,
        tell: Callable[[Sequence[SweepRun]], None] | None = None,
        *,
        console: Console | None = None,
    ) -> int:
        """Print the ranked table, every failure and how to go on; return the exit code.

        Parameters
        ----------
        tell : callable or None
            Given all runs, prints what stands in the place of the ranked table.
        console : Console or None
            Where to; standard output by default.
        """
        session = self._session
        if session is None:
            raise ConfigError("the sweep has no runs: some key was given no value")
        console = console or Console()
        named: dict[str, str] = {}
        for run in session.runs:
            if run.state.finished:
                named.setdefault(run.key, run.name)
        rows = [
            row.named(named[row.key], session.study)
            for row in session.store.rows()
            if row.key in named
        ]
        self._rows = {row.key: row for row in rows}
        untracked = None
        if self._tracked is not None:
            if self._tracked.pending > 1:
                self._display.say("logging the last runs to MLflow ...")
            untracked = self._tracked.end(rows, exit_state=session.how)
        self._closed = True
        session.__exit__(None, None, None)
        # Whoever reads our output may have gone away; what the sweep came to stays.
        with contextlib.suppress(BrokenPipeError, SystemExit):
            self._tell(session, rows, console, tell)
        if untracked is not None:
            print(f"\nsitrepbench: {untracked}", file=sys.stderr)
        return self._exit_code(session, untracked)

    def _tell(
        self,
        session: SweepSession,
        rows: Sequence[IndexRow],
        console: Console,
        tell: Callable[[Sequence[SweepRun]], None] | None,
    ) -> None:
        if tell is not None:
            tell(session.runs)
        elif len(session.runs) == 1 and rows:
            self._print_alone(session, console)
        else:
            if rows:
                print_ranking(rows, console=console)
            console.print(Text(self._counted(session)), soft_wrap=True)
        failed = [
            FailedLine(run.name, run.failure.kind, run.failure.message, self._repeat(run))
            for run in session.runs
            if run.failure is not None
        ]
        print_failures(failed, Console(stderr=True))
        self._print_next(session, console)

    def _repeat(self, run: SweepRun) -> str:
        if self._config_dir is None:
            return run.command
        run_words = ["sitrepbench", "run"]
        words = shlex.split(run.command)
        return shlex.join([*run_words, "--config-dir", self._config_dir, *words[len(run_words) :]])

    @staticmethod
    def _kept_failures(session: SweepSession) -> bool:
        """Return whether some failure is of a kind that ``resume=failed`` finds again."""
        kept = FailedRuns(session.store.folder).keys()
        return any(run.state is State.failed and run.key in kept for run in session.runs)

    def _print_alone(self, session: SweepSession, console: Console) -> None:
        from sitrepbench.cli.outcome import print_record

        run = session.runs[0]
        record = self._find(run.key)
        if record is not None:
            print_record(record, console=console, cached=run.state is State.cached)

    def _exit_code(self, session: SweepSession, untracked: TrackingError | None) -> int:
        if session.interrupted:
            return INTERRUPTED
        if session.fatal is not None:
            return StoreError.exit_code
        if not session.complete:
            return INCOMPLETE
        return DONE if untracked is None else TrackingError.exit_code

    def _print_next(self, session: SweepSession, console: Console) -> None:
        store = session.store.folder
        here = store == Path("results").resolve()
        option = "" if here else f" --results-dir {shlex.quote(str(store))}"
        if session.fatal is not None:
            console.print(Text(f"Stopped: {session.fatal.message}", style="red"), soft_wrap=True)
        if session.counts[State.waiting]:
            going_on = go_on_command(self._command)
            text = f"{session.counts[State.waiting]} left. To go on: {going_on}"
            console.print(Text(text), soft_wrap=True)
        elif session.counts[State.failed]:
            again = go_on_command(self._command, failed_only=self._kept_failures(session))
            text = f"To try the failed ones again: {again}"
            console.print(Text(text), soft_wrap=True)
        if session.plan is not None:
            told = f"Sweep {session.plan.id}: sitrepbench status{option} {session.plan.id[:8]}"
            console.print(Text(told), soft_wrap=True)
        if self._tracked is not None:
            told = f"Open in MLflow: sitrepbench ui{option} --study {session.study}"
            console.print(Text(told), soft_wrap=True)

    @staticmethod
    def _counted(session: SweepSession) -> str:
        finished = session.counts[State.done] + session.counts[State.cached]
        failed = session.counts[State.failed]
        return (
            f"{finished} of {len(session.runs)} runs done, {session.counts[State.cached]} of them "
            f"taken from the store{f', {failed} failed' if failed else ''}."
        )

    def _plan_line(self, session: SweepSession, todo: int, where: str) -> str:
        total = len(session.runs)
        runs = f"{total} run{'' if total == 1 else 's'}"
        cached = session.counts[State.cached]
        text = f"{runs}: {cached} in the store, {todo} to compute"
        again = len(session.runs) - len({run.key for run in session.runs})
        if again:
            text += f" ({again} asked for twice)"
        waiting = {run.key for run in session.runs if run.state is State.waiting}
        if len(waiting) > todo and not session.interrupted:
            text += f", {len(waiting) - todo} left alone (resume=failed)"
        if not todo:
            return text
        groups = len({run.job.shares for run in session.runs if run.job and not run.state.finished})
        if groups > 1:
            text += f" ({groups} sets of features)"
        text += f", {where}"
        if self._expected is not None:
            text += f"; about {duration(self._expected)}"
        return text

    def _seconds_left(self) -> float | None:
        if self._ended:
            spent = time.monotonic() - self._begun
            return spent / self._ended * max(0, self._todo - self._ended)
        return self._expected

    def _score(self, run: SweepRun) -> float | None:
        row = self._rows.get(run.key)
        return None if row is None else row.score()

    def _find(self, key: str) -> RunRecord | None:
        assert self._session is not None
        try:
            return self._session.store.find(key)
        except StoreError:
            return None


@dataclass(frozen=True)
class LaunchedRun:
    """What Hydra's sweepers are told of a run."""

    run: SweepRun
    score: float | None

    @property
    def error(self) -> Exception | None:
        """Why there is no score."""
        if self.run.error is not None:
            return self.run.error
        if self.run.failure is not None:
            return ModelError(self.run.failure.message)
        return None if self.run.state.finished else SitrepBenchError("it was not run")
