"""The ledger of a sweep: what was planned, and what became of every run.

<results>/sweeps/<id>/plan.json       the runs, in order, with names, keys and commands
<results>/sweeps/<id>/events.jsonl    what happened, one line each, appended and never rewritten
<results>/sweeps/<id>/attempts/       per start of the sweep: marks of the runs under way

The id is a digest of the study and the runs' content keys, so that the same command, started
again after a kill, continues the same sweep.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sitrepbench.errors import StoreError, closest
from sitrepbench.processes import is_alive, this_host, this_process
from sitrepbench.store.looks import now
from sitrepbench.sweep.jobs import Failure, State

SWEEPS_FOLDER = "sweeps"
PLAN_FILE = "plan.json"
EVENTS_FILE = "events.jsonl"
ATTEMPTS_FOLDER = "attempts"
ID_LENGTH = 12
LEDGER_FORMAT = 1
_STATES = frozenset(state.value for state in State)


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep's plan: ``key`` is empty where it could not even be prepared."""

    key: str
    run_name: str
    command: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep consists of.

    Parameters
    ----------
    id : str
        12 hexadecimal digits: a digest of the study and the sorted keys.
    study : str
        The study or ``adhoc``.
    command : str
        The command line of the whole sweep.
    created : str
        ISO 8601 in UTC.
    runs : tuple of PlannedRun
        In the order of the command.
    """

    id: str
    study: str
    command: str
    created: str
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True)
class Event:
    """One line of the ledger.

    Parameters
    ----------
    time : str
        ISO 8601 in UTC.
    what : str
        ``started`` and ``ended`` of the sweep itself, with ``key`` empty; of a run the name of
        a `State`.
    key : str
        The run's content key.
    seconds : float
        Wall time of a run.
    where : str
        ``host:pid`` of the worker; of ``started``, the parent as ``host:pid@start``.
    note : str
        A failure's kind and message; of ``ended``, how.
    """

    time: str
    what: str
    key: str = ""
    seconds: float = 0.0
    where: str = ""
    note: str = ""


@dataclass(frozen=True)
class SweepStatus:
    """A sweep with what became of it.

    Parameters
    ----------
    plan : SweepPlan
        What was planned.
    states : dict
        The last `State` of every planned run by key; runs of which nothing is known wait.
    starts : int
        How often it was started.
    updated : str
        Time of the last event.
    alive : bool
        Whether a process of this host works on it now.
    state : str
        ``done``, ``running``, ``failed`` (all tried, some failed), ``interrupted`` (stopped by
        hand) or ``killed`` (its process is gone without a word).
    """

    plan: SweepPlan
    states: dict[str, State]
    notes: dict[str, str]
    starts: int
    updated: str
    alive: bool
    state: str

    def count(self, *states: State) -> int:
        """Return how many runs are in one of the states."""
        return sum(state in states for state in self.states.values())


def sweep_id(study: str, keys: Iterable[str]) -> str:
    """Return the id of the sweep of these runs, whatever their order."""
    text = json.dumps([study, *sorted(set(keys))])
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


class SweepLedger:
    """One sweep's folder.

    Raises
    ------
    StoreError
        When it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, results_dir: Path, plan: SweepPlan) -> SweepLedger:
        """Begin the ledger of a sweep, or take up that of an earlier start."""
        ledger = cls(results_dir / SWEEPS_FOLDER / plan.id)
        try:
            ledger.folder.mkdir(parents=True, exist_ok=True)
            if ledger._plan_or_none() is None:
                ledger._write_plan(plan)
        except OSError as error:
            raise StoreError(
                f"{ledger.folder}: the sweep's ledger cannot be written: {error}"
            ) from error
        return ledger

    def write_plan(self, plan: SweepPlan) -> None:
        """Replace the plan, as runs are added by a sweeper that does not know them beforehand."""
        try:
            self._write_plan(plan)
        except OSError as error:
            raise StoreError(f"{self.folder / PLAN_FILE}: {error}") from error

    def attempt_folder(self) -> Path:
        """Make and return a folder for the marks of this start; its name says whose it is."""
        time, nonce = now().replace(":", ""), uuid.uuid4().hex[:6]
        name = f"{time}.{nonce}.{this_process()}.{this_host()}"
        folder = self.folder / ATTEMPTS_FOLDER / name
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"{folder}: {error}") from error
        return folder

    def add(self, *events: Event) -> None:
        """Append events in one write; a full disk loses lines of the ledger, never a record."""
        lines = "".join(json.dumps(asdict(event), ensure_ascii=False) + "\n" for event in events)
        try:
            with (self.folder / EVENTS_FILE).open("ab+") as file:
                file.write(_line_end(file) + lines.encode(errors="replace"))
        except OSError as error:
            raise StoreError(f"{self.folder / EVENTS_FILE}: {error}") from error

    def start(self) -> None:
        """Note that this process works on the sweep from now on."""
        self.add(Event(now(), "started", where=f"{this_host()}:{this_process()}"))

    def end(self, how: str) -> None:
        """Note how this process left the sweep: ``done``, ``failed`` or ``interrupted``."""
        self.add(Event(now(), "ended", where=f"{this_host()}:{this_process()}", note=how))

    def note(
        self,
        key: str,
        state: State,
        *,
        seconds: float = 0.0,
        where: str = "",
        failure: Failure | None = None,
    ) -> None:
        """Note what became of a run."""
        note = f"{failure.kind}: {failure.message}" if failure else ""
        self.add(Event(now(), state.value, key, round(seconds, 3), where, note))

    def plan(self) -> SweepPlan:
        """Read the plan."""
        found = self._plan_or_none()
        if found is None:
            raise StoreError(f"{self.folder / PLAN_FILE}: not a readable plan of a sweep")
        return found

    def events(self) -> Iterator[Event]:
        """Yield the events; a last line that a kill cut short is left out."""
        try:
            text = (self.folder / EVENTS_FILE).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{self.folder / EVENTS_FILE}: {error}") from error
        # Not splitlines(): a message may hold other characters that end lines.
        for line in text.split("\n"):
            try:
                event = Event(**json.loads(line))
            except (ValueError, TypeError):
                continue
            if isinstance(event.what, str) and isinstance(event.key, str):
                yield event

    def status(self) -> SweepStatus:
        """Return what the plan and the events say."""
        plan = self.plan()
        states = {run.key: State.waiting for run in plan.runs if run.key}
        notes: dict[str, str] = {}
        starts, updated, ended = 0, plan.created, ""
        #: Several processes may work on the same sweep.
        parents: set[str] = set()
        for event in self.events():
            updated = event.time
            if event.what == "started":
                starts, ended = starts + 1, ""
                parents.discard(event.where)
                if not any(map(_may_live, parents)):
                    states = {
                        key: State.waiting if state is State.running else state
                        for key, state in states.items()
                    }
                parents.add(event.where)
            elif event.what == "ended":
                ended = event.note
                parents.discard(event.where)
            elif event.key in states and event.what in _STATES:
                states[event.key] = State(event.what)
                notes[event.key] = event.note
        alive = any(where.startswith(f"{this_host()}:") and _may_live(where) for where in parents)
        running = any(map(_may_live, parents))
        if not running:
            states = {
                key: State.waiting if state in (State.running, State.busy) else state
                for key, state in states.items()
            }
        state = "running" if running else ended or "killed"
        return SweepStatus(plan, states, notes, starts, updated, alive, state)

    def _plan_or_none(self) -> SweepPlan | None:
        try:
            content: dict[str, Any] = json.loads(
                (self.folder / PLAN_FILE).read_text(encoding="utf-8")
            )
            if content.pop("format") != LEDGER_FORMAT:
                return None
            content["runs"] = tuple(
                PlannedRun(**{**run, "overrides": tuple(run["overrides"])})
                for run in content["runs"]
            )
            return SweepPlan(**content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _write_plan(self, plan: SweepPlan) -> None:
        beside = self.folder / f".{PLAN_FILE}.{os.getpid()}.{uuid.uuid4().hex[:6]}"
        beside.write_text(
            json.dumps({**asdict(plan), "format": LEDGER_FORMAT}, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="replace",
        )
        beside.replace(self.folder / PLAN_FILE)


def may_go_on(attempt: Path) -> bool:
    """Return whether the process that made an attempt's folder may still run, here or elsewhere."""
    pieces = attempt.name.split(".", 3)
    return len(pieces) == 4 and (pieces[3] != this_host() or is_alive(pieces[2]))


def _line_end(file: BinaryIO) -> bytes:
    """Return what ends a last line that a kill or a full disk cut short."""
    if file.seek(0, os.SEEK_END) == 0:
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _may_live(where: str) -> bool:
    """Return whether the parent ``host:pid@start`` may still run, here or on another host."""
    host, _, process = where.rpartition(":")
    return host != this_host() or is_alive(process)


def ledgers(results_dir: Path) -> list[SweepLedger]:
    """Return the ledgers of a results store that have a plan, last touched first."""
    folder = results_dir / SWEEPS_FOLDER
    try:
        found = [entry for entry in folder.iterdir() if (entry / PLAN_FILE).is_file()]
    except FileNotFoundError:
        return []

    def touched(entry: Path) -> float:
        for name in (EVENTS_FILE, PLAN_FILE):
            with contextlib.suppress(OSError):
                return (entry / name).stat().st_mtime
        return 0.0  # freed at this moment

    return [SweepLedger(entry) for entry in sorted(found, key=touched, reverse=True)]


def find_ledger(results_dir: Path, name: str) -> SweepLedger:
    """Return the ledger whose id begins with ``name``.

    Raises
    ------
    StoreError
        When there is none, or several.
    """
    everything = ledgers(results_dir)
    found = [ledger for ledger in everything if ledger.folder.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    ids = [ledger.folder.name for ledger in (found or everything)]
    if found:
        raise StoreError(f"{name!r} could be any of {len(found)} sweeps: {', '.join(ids[:5])}")
    match = closest(name, ids)
    hint = f" Did you mean {match!r}?" if match else ""
    raise StoreError(f"no sweep {name!r} in {results_dir}.{hint} See: sitrepbench status")
