"""The ledger: the same runs are the same sweep, and no kill or full disk makes it unreadable."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.errors import StoreError
from sitrepbench.processes import this_host, this_process
from sitrepbench.store.looks import now
from sitrepbench.sweep.jobs import Failure, State
from sitrepbench.sweep.ledger import (
    EVENTS_FILE,
    PLAN_FILE,
    Event,
    PlannedRun,
    SweepLedger,
    SweepPlan,
    find_ledger,
    ledgers,
    may_go_on,
    sweep_id,
)


def plan(*keys: str, study: str = "adhoc") -> SweepPlan:
    runs = tuple(
        PlannedRun(key, f"run {key}", f"sitrepbench run x={key}", (f"x={key}",)) for key in keys
    )
    return SweepPlan(sweep_id(study, keys), study, "sitrepbench run -m x=1,2", now(), runs)


@pytest.fixture
def ledger(tmp_path: Path) -> SweepLedger:
    return SweepLedger.open(tmp_path, plan("a", "b", "c"))


def dead_process() -> str:
    code = "from sitrepbench.processes import this_process; print(this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_same_runs_are_the_same_sweep() -> None:
    assert sweep_id("adhoc", ["b", "a", "a"]) == sweep_id("adhoc", ["a", "b"])
    assert sweep_id("adhoc", ["a", "b"]) != sweep_id("other", ["a", "b"])
    assert sweep_id("adhoc", ["a", "b"]) != sweep_id("adhoc", ["a", "b", "c"])
    assert sweep_id("adhoc", ["ab"]) != sweep_id("adhoc", ["a", "b"])


def test_a_later_start_takes_the_ledger_up(tmp_path: Path, ledger: SweepLedger) -> None:
    ledger.start()
    ledger.note("a", State.done)
    first = ledger.plan()
    again = SweepLedger.open(tmp_path, replace(plan("c", "a", "b"), created="later"))
    assert again.folder == ledger.folder
    assert again.plan() == first
    again.start()
    status = again.status()
    assert status.starts == 2
    assert status.states == {"a": State.done, "b": State.waiting, "c": State.waiting}


@pytest.mark.parametrize("text", ["", '{"format": 1, "ru', "[]", '{"format": 99}'])
def test_a_damaged_plan_is_written_anew(tmp_path: Path, text: str) -> None:
    ledger = SweepLedger.open(tmp_path, plan("a"))
    (ledger.folder / PLAN_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match="not a readable plan"):
        ledger.plan()
    assert SweepLedger.open(tmp_path, plan("a")).plan().runs[0].key == "a"


def test_what_happened_is_read_back(ledger: SweepLedger) -> None:
    ledger.start()
    ledger.note("a", State.running)
    ledger.note("a", State.done, seconds=1.23456, where="host:1")
    ledger.note("b", State.failed, failure=Failure("ModelError", "no\nwords ü"))
    ledger.end("failed")
    events = list(ledger.events())
    assert [event.what for event in events] == ["started", "running", "done", "failed", "ended"]
    assert events[0].where == f"{this_host()}:{this_process()}"
    assert (events[2].seconds, events[2].where) == (1.235, "host:1")
    assert events[3].note == "ModelError: no\nwords ü"
    status = ledger.status()
    assert status.notes["b"] == "ModelError: no\nwords ü"
    assert status.count(State.done) == 1
    assert status.count(State.failed, State.waiting) == 2


def test_a_message_may_hold_characters_that_end_lines(ledger: SweepLedger) -> None:
    odd = "one\x85two\u2028three\u2029four\x0b\x0c\x1c five"
    ledger.note("a", State.failed, failure=Failure("ModelError", odd))
    ledger.note("b", State.done)
    assert [event.key for event in ledger.events()] == ["a", "b"]
    assert ledger.status().notes["a"] == f"ModelError: {odd}"


def test_a_message_that_is_no_text_is_noted(ledger: SweepLedger) -> None:
    ledger.note("a", State.failed, failure=Failure("ValueError", "\ud800"))
    assert ledger.status().notes["a"] == "ValueError: ?"


def test_a_line_cut_short_costs_only_itself(ledger: SweepLedger) -> None:
    ledger.start()
    ledger.note("a", State.done)
    ledger.note("b", State.done)
    file = ledger.folder / EVENTS_FILE
    file.write_bytes(file.read_bytes()[:-9])
    assert [event.key for event in ledger.events()] == ["", "a"]
    ledger.note("c", State.done)
    ledger.note("b", State.cached)
    assert [event.key for event in ledger.events()] == ["", "a", "c", "b"]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"garbage\n",
        b"[]\n",
        b"3\n",
        b"\xff\xfe\x00\n",
        b'{"time": "t"}\n',
        b'{"time": "t", "what": "done", "key": "a", "more": 1}\n',
        b'{"time": "t", "what": "done", "key": ["a"]}\n',
        b'{"time": "t", "what": {}, "key": "a"}\n',
        b'{"time": "t", "what": "dreaming", "key": "a"}\n',
        b'{"time": "t", "what": "done", "key": "not planned"}\n',
    ],
)
def test_garbage_is_passed_over(ledger: SweepLedger, line: bytes) -> None:
    ledger.note("b", State.done)
    with (ledger.folder / EVENTS_FILE).open("ab") as file:
        file.write(line)
    ledger.note("c", State.done)
    states = ledger.status().states
    assert states == {"a": State.waiting, "b": State.done, "c": State.done}


def test_a_ledger_without_events_waits(ledger: SweepLedger) -> None:
    status = ledger.status()
    assert (status.starts, status.alive, status.state) == (0, False, "killed")
    assert set(status.states.values()) == {State.waiting}
    assert status.updated == status.plan.created


def test_a_sweep_under_way_is_running(ledger: SweepLedger) -> None:
    ledger.start()
    ledger.note("a", State.running)
    ledger.note("b", State.busy)
    status = ledger.status()
    assert (status.alive, status.state) == (True, "running")
    assert status.states == {"a": State.running, "b": State.busy, "c": State.waiting}


@pytest.mark.parametrize("how", ["done", "failed", "interrupted"])
def test_a_sweep_that_ended_says_how(ledger: SweepLedger, how: str) -> None:
    ledger.start()
    ledger.note("a", State.running)
    ledger.end(how)
    status = ledger.status()
    assert (status.alive, status.state) == (False, how)
    assert status.states["a"] is State.waiting
    ledger.start()
    assert ledger.status().state == "running"


def test_a_sweep_whose_process_is_gone_was_killed(ledger: SweepLedger) -> None:
    ledger.add(Event(now(), "started", where=f"{this_host()}:{dead_process()}"))
    ledger.note("a", State.done)
    ledger.note("b", State.running)
    status = ledger.status()
    assert (status.alive, status.state) == (False, "killed")
    assert status.states == {"a": State.done, "b": State.waiting, "c": State.waiting}


def test_of_another_host_nothing_is_known(ledger: SweepLedger) -> None:
    ledger.add(Event(now(), "started", where="elsewhere:1@1"))
    assert ledger.status().state == "running"


def test_a_new_start_forgets_what_was_under_way(ledger: SweepLedger) -> None:
    ledger.start()
    ledger.note("a", State.running)
    ledger.start()
    assert ledger.status().states["a"] is State.waiting


def test_ten_thousand_events_are_read_fast(ledger: SweepLedger) -> None:
    events = [Event(now(), "done", "abc"[n % 3], 1.0, "host:1", "") for n in range(10_000)]
    ledger.add(*events)
    spent = time.process_time()
    status = ledger.status()
    assert time.process_time() - spent < 2.0  # it is 0.1; the square would be minutes
    assert set(status.states.values()) == {State.done}


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path, ledger: SweepLedger) -> None:
    (ledger.folder / EVENTS_FILE).mkdir()
    with pytest.raises(StoreError, match=r"events\.jsonl"):
        ledger.start()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="ledger cannot be written"):
        SweepLedger.open(tmp_path / "file", plan("a"))


def test_an_attempt_says_whose_it_is(ledger: SweepLedger) -> None:
    mine = ledger.attempt_folder()
    assert mine.is_dir()
    assert ledger.attempt_folder() != mine
    assert may_go_on(mine)
    name = mine.name.replace(this_process(), dead_process())
    assert not may_go_on(mine.with_name(name))
    assert may_go_on(mine.with_name(name.replace(this_host(), "elsewhere.org")))
    assert not may_go_on(mine.with_name("something"))


def test_ledgers_are_found_by_the_beginning_of_their_id(tmp_path: Path) -> None:
    made = [SweepLedger.open(tmp_path, plan(*keys)) for keys in (("a",), ("b",), ("a", "b"))]
    for ledger in made:
        ledger.start()
    (tmp_path / "sweeps" / "no-plan").mkdir()
    assert {found.folder for found in ledgers(tmp_path)} == {ledger.folder for ledger in made}
    name = made[1].folder.name
    assert find_ledger(tmp_path, name[:8]).folder == made[1].folder
    with pytest.raises(StoreError, match="3 sweeps"):
        find_ledger(tmp_path, "")
    wrong = name[:-1] + "x"
    with pytest.raises(StoreError, match=f"Did you mean {name!r}"):
        find_ledger(tmp_path, wrong)
    assert ledgers(tmp_path / "absent") == []


def test_a_plan_that_grows_is_replaced(ledger: SweepLedger) -> None:
    ledger.write_plan(plan("a", "b", "c", "d"))
    assert [run.key for run in ledger.plan().runs] == ["a", "b", "c", "d"]
    assert not [entry for entry in ledger.folder.iterdir() if entry.name.startswith(".")]
    text = json.loads((ledger.folder / PLAN_FILE).read_text(encoding="utf-8"))
    assert text["runs"][0]["overrides"] == ["x=a"]
