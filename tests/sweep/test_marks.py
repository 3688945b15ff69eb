"""Marks: whoever finds one of a dead worker books what happened, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from errands import job

from sitrepbench.processes import this_host, this_process
from sitrepbench.sweep.jobs import Failure, Reply, State
from sitrepbench.sweep.marks import KILLED, TIME_LIMIT, Marks

CAUSE = "killed by signal 9 (SIGKILL)"


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(tmp_path)


@pytest.fixture(scope="module")
def dead() -> str:
    """A process of this host that has ended."""
    code = "from sitrepbench.processes import this_process; print(this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def leave(marks: Marks, key: str, **changes: Any) -> None:
    """Leave a mark as another process would."""
    content = {"host": this_host(), "process": "1@1", "since": 1.0, "deaths": 0, **changes}
    (marks.folder / f"{key}.json").write_text(json.dumps(content), encoding="utf-8")


def settle(marks: Marks, key: str, retries: int = 1, limit: float | None = None) -> Reply | None:
    return marks.settle(job(key), retries=retries, cause=CAUSE, time_limit=limit)


def test_a_run_under_way_says_whose_it_is(marks: Marks) -> None:
    marks.begin("a")
    assert marks.has("a")
    assert not marks.has("b")
    assert marks.under_way() == {"a": f"{this_host()}:{os.getpid()}"}
    assert marks.may_live("a")
    assert not marks.died_here("a")
    marks.clear("a")
    assert marks.under_way() == {}
    assert not marks.may_live("a")


@pytest.mark.parametrize(
    "reply",
    [
        Reply("a", State.done, 1.5, "host:1"),
        Reply("a", State.failed, 0.1, "host:1", Failure("ModelError", "no: \ud800 ü\u2028")),
    ],
)
def test_what_became_of_a_run_is_read_back(marks: Marks, reply: Reply) -> None:
    marks.begin("a")
    marks.finish(reply)
    assert marks.reply("a") == reply
    assert marks.under_way() == {}
    assert settle(marks, "a", retries=0) == reply


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "a"}', '{"failure": {"x": 1}}'])
def test_an_unreadable_reply_is_none(marks: Marks, text: str) -> None:
    (marks.folder / "a.reply").write_text(text, encoding="utf-8")
    assert marks.reply("a") is None


def test_a_run_that_was_not_begun_is_simply_tried(marks: Marks) -> None:
    assert settle(marks, "a", retries=0) is None
    assert marks.deaths("a") == 0


def test_deaths_are_forgiven_as_often_as_asked(marks: Marks) -> None:
    for death in (1, 2):
        marks.begin("a")
        assert settle(marks, "a", retries=2) is None
        assert marks.deaths("a") == death
    marks.begin("a")
    reply = settle(marks, "a", retries=2)
    assert reply is not None
    assert reply.state is State.failed
    assert reply.failure is not None
    assert reply.failure.kind == KILLED
    assert (
        reply.failure.message
        == f"its worker ended without an answer 3 times, the last time: {CAUSE}"
    )
    assert marks.reply("a") == reply
    assert not marks.has("a")


def test_a_worker_that_tries_again_does_not_count_the_same_death(marks: Marks, dead: str) -> None:
    leave(marks, "a", process=dead)
    assert marks.died_here("a")
    assert settle(marks, "a") is None
    assert not marks.died_here("a")
    assert not marks.may_live("a")
    assert marks.deaths("a") == 1


def test_without_retries_the_first_death_counts(marks: Marks) -> None:
    leave(marks, "a")
    reply = settle(marks, "a", retries=0)
    assert reply is not None
    assert reply.failure is not None
    assert reply.failure.message == f"its worker ended without an answer: {CAUSE}"
    assert reply.where == f"{this_host()}:1"
    assert reply.seconds > 1e6


def test_a_stack_tells_of_a_time_limit(marks: Marks) -> None:
    marks.begin("a")
    lines = ["Timeout (0:00:02)!", *(f'  File "x.py", line {n} in f' for n in range(50))]
    marks.stack_file("a").write_text("\n".join(lines), encoding="utf-8")
    reply = settle(marks, "a", retries=5, limit=2.0)
    assert reply is not None
    assert reply.failure is not None
    assert reply.failure.kind == TIME_LIMIT
    assert reply.failure.message == "it did not end within 2 s (executor.time_limit)"
    assert reply.failure.details.splitlines() == lines[:12]
    assert not marks.stack_file("a").exists()


def test_an_empty_stack_is_a_death_before_the_time_was_up(marks: Marks) -> None:
    marks.begin("a")
    marks.stack_file("a").touch()
    reply = settle(marks, "a", retries=0, limit=2.0)
    assert reply is not None
    assert reply.failure is not None
    assert reply.failure.kind == KILLED


def test_a_process_that_could_not_mark_its_run_is_counted(marks: Marks) -> None:
    marks.begin_for("a")
    assert marks.has("a")
    assert not marks.died_here("a")
    assert settle(marks, "a") is None
    marks.begin_for("a")
    assert settle(marks, "a") is not None


def test_only_this_host_knows_who_is_dead(marks: Marks, dead: str) -> None:
    leave(marks, "here", process=dead)
    leave(marks, "there", process=dead, host="elsewhere")
    leave(marks, "mine", process=this_process())
    assert [key for key in ("here", "there", "mine", "none") if marks.died_here(key)] == ["here"]
    alive = [key for key in ("here", "there", "mine", "none") if marks.may_live(key)]
    assert alive == ["there", "mine"]


def test_a_pid_that_somebody_else_has_now_is_dead(marks: Marks) -> None:
    leave(marks, "a", process=f"{os.getppid()}@1000000")
    assert marks.died_here("a")


def test_a_mark_cut_short_is_no_mark(marks: Marks) -> None:
    (marks.folder / "a.json").write_text('{"host": ', encoding="utf-8")
    assert not marks.has("a")
    assert marks.under_way() == {}
    assert settle(marks, "a", retries=0) is None


def test_a_folder_that_is_gone_has_no_marks(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "gone")
    assert marks.under_way() == {}
    marks.finish(Reply("a", State.done))
    assert marks.reply("a") is None
    with pytest.raises(OSError):
        marks.begin("a")


def test_a_worker_that_died_with_its_record_stored_has_done_it(
    marks: Marks, tmp_path: Path
) -> None:
    record = tmp_path / "runs" / "a"
    leave(marks, "a", since=1.0)
    record.mkdir(parents=True)
    reply = marks.settle(job("a"), retries=0, cause=CAUSE, time_limit=None, stored=record)
    assert reply is not None
    assert reply.state is State.done
    assert marks.reply("a") == reply
    assert not marks.has("a")


@pytest.mark.parametrize("old", [True, False])
def test_a_record_from_before_or_none_does_not_count(
    marks: Marks, tmp_path: Path, old: bool
) -> None:
    record = tmp_path / "runs" / "a"
    if old:
        record.mkdir(parents=True)
        (record / "record.json").touch()
        for path in (record / "record.json", record):
            os.utime(path, (1.0, 1.0))
    marks.begin("a")
    reply = marks.settle(job("a"), retries=0, cause=CAUSE, time_limit=None, stored=record)
    assert reply is not None
    assert reply.state is State.failed
