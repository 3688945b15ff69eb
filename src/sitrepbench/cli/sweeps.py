"""``sitrepbench status``: the sweeps of a results store, and one of them in full."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sitrepbench.cli.lines import (
    WIDTH,
    Column,
    command_lines,
    moment,
    one_line,
    print_lines,
    print_table,
)
from sitrepbench.cli.stored import open_store, rows_of, store_option
from sitrepbench.commands import go_on_command
from sitrepbench.errors import StoreError
from sitrepbench.report.ranking import print_ranking
from sitrepbench.store.failures import FailedRuns
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import (
    ATTEMPTS_FOLDER,
    PlannedRun,
    SweepLedger,
    SweepPlan,
    find_ledger,
    ledgers,
)
from sitrepbench.sweep.marks import Marks

SHORT = 8
#: Commands shown of runs that failed for the same reason.
_COMMANDS = 5
#: Unfinished sweeps whose commands the list of sweeps shows.
_GO_ON = 5
_BAR = 30
_CONTENT_KEY = re.compile(r"[0-9a-f]{16}")
_NOT_PREPARED = "it could not be prepared: sitrepbench explain OVERRIDES says why"


@dataclass(frozen=True)
class SweepOverview:
    """A sweep as the store has it now.

    Parameters
    ----------
    plan : SweepPlan
        What was planned.
    states : list of State
        Of every planned run, in order; a run is finished when the store has its record, whatever
        the ledger says.
    causes : dict
        Why runs failed, by key; one that could not be prepared stands under its command.
    starts : int
        How often it was started.
    updated : str
        When it was last heard of, ISO 8601 in UTC.
    state : str
        ``running``, ``done``, ``failed``, ``interrupted``, ``killed``, or ``incomplete`` where
        records are gone that it had.
    """

    plan: SweepPlan
    states: tuple[State, ...]
    causes: Mapping[str, str]
    starts: int
    updated: str
    state: str

    def count(self, *states: State) -> int:
        """Return how many planned runs are in one of the states."""
        return sum(state in states for state in self.states)

    @property
    def done(self) -> int:
        """How many planned runs the store has."""
        return self.count(State.done, State.cached)

    @property
    def failed(self) -> int:
        """How many planned runs failed."""
        return self.count(State.failed)

    @property
    def left(self) -> int:
        """How many planned runs are neither done nor failed."""
        return len(self.states) - self.done - self.failed

    @property
    def go_on(self) -> str:
        """The command that continues it; empty where there is nothing to do or it is under way."""
        if self.state in ("done", "running"):
            return ""
        return go_on_command(self.plan.command, failed_only=not self.left and self.failed > 0)

    def counts(self) -> dict[str, Any]:
        """Return the headline as plain values."""
        return {
            "id": self.plan.id,
            "study": self.plan.study,
            "state": self.state,
            "total": len(self.states),
            "done": self.done,
            "cached": self.count(State.cached),
            "failed": self.failed,
            "left": self.left,
            "starts": self.starts,
            "created": self.plan.created,
            "updated": self.updated,
            "command": self.plan.command,
            "go_on": self.go_on,
        }


def look_at(ledger: SweepLedger, *, finished: set[str], failed: FailedRuns) -> SweepOverview:
    """Return what the ledger of a sweep and the store say together.

    Parameters
    ----------
    ledger : SweepLedger
        The sweep's.
    finished : set of str
        Keys of the runs that the store has; see `ResultsStore.finished`.
    failed : FailedRuns
        The store's notes of failed runs.

    Raises
    ------
    StoreError
        When the ledger cannot be read.
    """
    status = ledger.status()
    noted = failed.keys()
    states, causes = [], {}
    for run in status.plan.runs:
        said = status.states.get(run.key, State.failed)
        if run.key in finished:
            state = State.cached if said is State.cached else State.done
        elif said is State.failed or (run.key in noted and not status.alive):
            state = State.failed
            causes[run.key or run.command] = _cause(run, status.notes, failed)
        else:
            state = State.running if said in (State.running, State.busy) else State.waiting
        states.append(state)
    if status.state == "running":
        state_name = "running"
    elif all(state.finished for state in states):
        state_name = "done"
    else:
        state_name = "incomplete" if status.state == "done" else status.state
    return SweepOverview(
        status.plan, tuple(states), causes, status.starts, status.updated, state_name
    )


def _cause(run: PlannedRun, notes: Mapping[str, str], failed: FailedRuns) -> str:
    if not run.key:
        return _NOT_PREPARED
    if notes.get(run.key):
        return notes[run.key]
    found = failed.find(run.key)
    return f"{found.kind}: {found.message}" if found else "unknown"


def list_sweeps(results_dir: str, *, as_json: bool) -> int:
    """Print the sweeps of a results store, last touched first."""
    store = open_store(results_dir)
    finished, failed = store.finished(), FailedRuns(store.folder)
    found = []
    for ledger in ledgers(store.folder):
        try:
            found.append(look_at(ledger, finished=finished, failed=failed))
        except StoreError as error:
            print(f"not listed: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps([sweep.counts() for sweep in found], indent=1, ensure_ascii=False))
        return 0
    if not found:
        print(f"No sweep in {Path(results_dir)} yet. 'sitrepbench run -m ...' starts one.")
        return 0
    columns = (
        Column("sweep", SHORT),
        Column("study", 16),
        Column("state", 11),
        Column("done", 6, numbers=True),
        Column("failed", 6, numbers=True),
        Column("left", 6, numbers=True),
        Column("of", 6, numbers=True),
        Column("starts", 6, numbers=True),
        Column("last heard", 11),
    )
    print_table(columns, [_listed(sweep) for sweep in found])
    _print_go_on([sweep for sweep in found if sweep.go_on])
    return 0


def _listed(sweep: SweepOverview) -> tuple[str, ...]:
    numbers = (sweep.done, sweep.failed, sweep.left, len(sweep.states), sweep.starts)
    plan = sweep.plan
    return (plan.id[:SHORT], plan.study, sweep.state, *map(str, numbers), moment(sweep.updated))


def _print_go_on(unfinished: list[SweepOverview]) -> None:
    lines = []
    for sweep in unfinished[:_GO_ON]:
        lines += ["", f"Go on with {sweep.plan.id[:SHORT]} ({sweep.state}):"]
        lines += command_lines(sweep.go_on)
    if len(unfinished) > _GO_ON:
        lines.append(f"\n... and {len(unfinished) - _GO_ON} more: sitrepbench status SWEEP")
    print_lines(lines)


def show_sweep(results_dir: str, name: str, *, as_json: bool) -> int:
    """Print one sweep: counts, ranked runs, failures with causes, runs under way, how to go on."""
    store = open_store(results_dir)
    ledger = find_ledger(store.folder, name)
    sweep = look_at(ledger, finished=store.finished(), failed=FailedRuns(store.folder))
    marked = under_way(ledger, sweep) if sweep.state == "running" else {}
    if as_json:
        print(json.dumps(_as_json(sweep, marked), indent=1, ensure_ascii=False))
        return 0
    _print_head(sweep, len(marked))
    rows = rows_of(sweep.plan, store)
    if rows:
        more = f"sitrepbench list{store_option(results_dir)} --sweep {sweep.plan.id[:SHORT]}"
        print_ranking(rows, console=Console(width=WIDTH), more=more)
    _print_failures(sweep, results_dir)
    _print_running(sweep, marked)
    if sweep.go_on:
        print_lines(["", "Go on:", *command_lines(sweep.go_on)])
    return 0


def under_way(ledger: SweepLedger, sweep: SweepOverview) -> dict[str, tuple[str, float]]:
    """Return the runs that workers are at now: where, and for how many seconds."""
    open_keys = {
        run.key
        for run, state in zip(sweep.plan.runs, sweep.states, strict=True)
        if not state.finished
    }
    found = {}
    for attempt in sorted((ledger.folder / ATTEMPTS_FOLDER).glob("*")):
        marks = Marks(attempt)
        for key, where in marks.under_way().items():
            if key not in open_keys or not marks.may_live(key):
                continue
            try:
                since = (attempt / f"{key}.json").stat().st_mtime
            except OSError:
                continue  # it has just ended
            found[key] = (where, max(0.0, time.time() - since))
    return found


def _print_head(sweep: SweepOverview, running: int) -> None:
    plan, total = sweep.plan, len(sweep.states)
    times = "once" if sweep.starts == 1 else f"{sweep.starts} times"
    share = sweep.done / total if total else 1.0
    bar = "#" * int(share * _BAR)
    cached = sweep.count(State.cached)
    taken = f" ({cached:,} taken from the store)" if cached else ""
    now = f", {running:,} of them under way" if running else ""
    print_lines(
        [
            f"Sweep {plan.id} of study {one_line(plan.study, 20)}: {sweep.state}",
            f"Planned {moment(plan.created)}, started {times}, last heard of "
            f"{moment(sweep.updated)} (UTC).",
            *command_lines(plan.command),
            "",
            f"[{bar:<{_BAR}}] {int(share * 100)} % of {total:,} runs",
            f"{sweep.done:,} done{taken}, {sweep.failed:,} failed, {sweep.left:,} left{now}",
        ]
    )


def _print_failures(sweep: SweepOverview, results_dir: str) -> None:
    """Print every cause once, with the commands of the runs that failed by it."""
    by_cause: dict[str, dict[str, PlannedRun]] = {}
    for run in sweep.plan.runs:
        cause = sweep.causes.get(run.key or run.command)
        if cause is not None:
            by_cause.setdefault(one_line(cause), {}).setdefault(run.key or run.command, run)
    if not by_cause:
        return
    lines = ["", "Failed:"]
    for cause, runs in sorted(by_cause.items(), key=lambda item: -len(item[1])):
        times = f"{len(runs):,} x " if len(runs) > 1 else ""
        lines.append(f"  {times}{one_line(cause, 76 - len(times))}")
        for run in list(runs.values())[:_COMMANDS]:
            # What could not be prepared has no content key that could be asked for.
            key = run.key[:SHORT] if _CONTENT_KEY.fullmatch(run.key) else ""
            lines.append(f"    {one_line(run.run_name, 40)} {key}")
            lines += command_lines(run.command, indent="      ")
        if len(runs) > _COMMANDS:
            lines.append(f"    ... and {len(runs) - _COMMANDS:,} more")
    option = store_option(results_dir)
    lines += [
        "",
        "Each of them, and one in full with its traceback:",
        *command_lines(f"sitrepbench list{option} --sweep {sweep.plan.id[:SHORT]} --state failed"),
        *command_lines(f"sitrepbench explain{option} RUN"),
    ]
    print_lines(lines)


def _print_running(sweep: SweepOverview, marked: Mapping[str, tuple[str, float]]) -> None:
    if not marked:
        return
    names = {run.key: run.run_name for run in sweep.plan.runs}
    print_lines(["", "Under way:"])
    columns = (Column("run", 18), Column("key", SHORT), Column("for", 10), Column("where", 38))
    print_table(
        columns,
        [
            (names[key], key[:SHORT], f"{seconds:.0f} s", where)
            for key, (where, seconds) in sorted(marked.items(), key=lambda item: -item[1][1])
        ],
    )


def _as_json(sweep: SweepOverview, marked: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    runs = []
    for run, state in zip(sweep.plan.runs, sweep.states, strict=True):
        cause = sweep.causes.get(run.key or run.command)
        where, seconds = marked.get(run.key, ("", 0.0))
        runs.append(
            {
                "key": run.key,
                "run_name": run.run_name,
                "command": run.command,
                "state": "running" if where else state.value,
                **({"cause": cause} if cause else {}),
                **({"where": where, "seconds": round(seconds, 1)} if where else {}),
            }
        )
    return {**sweep.counts(), "runs": runs}
