"""``status`` and ``list``: what is told of sweeps and runs, and how much it takes to tell it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sitrepbench.cli import main
from sitrepbench.processes import this_host
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import EVENTS_FILE, PLAN_FILE, Event
from sitrepbench.sweep.marks import Marks

STORE, USAGE = 8, 2
GONE = f"{this_host()}:999999999@1"


def lines_fit(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


def test_a_store_without_sweeps_says_how_to_start_one(told) -> None:
    code, out, _ = told("status")
    assert code == 0
    assert "No sweep" in out
    assert "sitrepbench run -m" in out


def test_sweeps_are_listed_last_touched_first_with_their_states(told, store) -> None:
    import os

    for number in (1, 2, 3):
        store.run(number)
    sweeps = [
        store.sweep([1, 2], [State.done, State.cached], ended="done", study="first"),
        store.sweep([1, 4], [State.cached, State.failed], ended="failed", study="second"),
        store.sweep([3, 5, 6], [State.done, None, None], ended="interrupted", study="third"),
        store.sweep([2, 7], [State.cached, None], study="fourth"),
        store.sweep([2, 8], [State.cached, State.running], study="fifth", started=False),
    ]
    store.take_over(sweeps[4], GONE)
    for age, ledger in enumerate(sweeps):
        os.utime(ledger.folder / EVENTS_FILE, (1_000_000 - age, 1_000_000 - age))
    code, out, _ = told("status", "--json")
    assert code == 0
    found = [
        (s["study"], s["state"], s["done"], s["cached"], s["failed"], s["left"], s["total"])
        for s in json.loads(out)
    ]
    assert found == [
        ("first", "done", 2, 1, 0, 0, 2),
        ("second", "failed", 1, 1, 1, 0, 2),
        ("third", "interrupted", 1, 0, 0, 2, 3),
        ("fourth", "running", 1, 1, 0, 1, 2),
        ("fifth", "killed", 1, 1, 0, 1, 2),
    ]
    _, out, _ = told("status")
    assert lines_fit(out)
    assert "\x1b" not in out
    for ledger in sweeps:
        assert ledger.folder.name[:8] in out
    assert out.count("Go on with") == 3
    assert "model.C=1,4 resume=failed" in out
    assert out.rstrip().endswith("sitrepbench run -m model.C=2,8")


def test_records_are_the_truth_not_the_ledger(told, store) -> None:
    # The ledger lost a line of run 1, and the record of run 2 is gone.
    store.run(1)
    ledger = store.sweep([1, 2], [None, State.done], ended="done")
    _, out, _ = told("status", ledger.folder.name, "--json")
    told_of = json.loads(out)
    assert [run["state"] for run in told_of["runs"]] == ["done", "waiting"]
    assert told_of["state"] == "incomplete"
    assert told_of["go_on"] == told_of["command"]
    store.run(2)
    assert json.loads(told("status", ledger.folder.name, "--json")[1])["state"] == "done"


def test_one_sweep_is_told_in_full(told, store) -> None:
    store.run(1, score=0.4)
    store.run(2, score=0.6)
    states = [State.done, State.cached, *([State.failed] * 7), None]
    ledger = store.sweep(list(range(1, 11)), states, ended="interrupted", study="mine")
    code, out, _ = told("status", ledger.folder.name[:6])
    assert code == 0
    assert lines_fit(out)
    for piece in (
        f"Sweep {ledger.folder.name} of study mine: interrupted",
        "20 % of 10 runs",
        "2 done (1 taken from the store), 7 failed, 1 left",
        "7 x ModelError: it did not fit",
        "planned 3 ",
        "sitrepbench run model.C=3",
        "... and 2 more",
        f"--sweep {ledger.folder.name[:8]} --state failed",
        "Go on:",
    ):
        assert piece in out
    # Ranked, under the names of this sweep.
    assert out.index("planned 2") < out.index("planned 1 ")
    assert "svm C=" not in out


def test_runs_that_could_not_be_prepared_have_no_key_and_count_as_failed(told, store) -> None:
    ledger = store.sweep([1], [State.done], ended="failed")
    store.run(1)
    plan = json.loads((ledger.folder / PLAN_FILE).read_text())
    plan["runs"].append({**plan["runs"][0], "key": "", "command": "sitrepbench run model.D=1"})
    (ledger.folder / PLAN_FILE).write_text(json.dumps(plan))
    _, out, _ = told("status", ledger.folder.name)
    assert "1 done, 1 failed, 0 left" in out
    assert "could not be prepared" in out
    assert "sitrepbench run model.D=1" in out


def test_what_could_not_be_prepared_is_listed_with_its_sweep(told, store) -> None:
    ledger = store.sweep([1], [State.failed], ended="failed")
    key = plan_key(ledger, 0)
    for file in (PLAN_FILE, EVENTS_FILE):
        path = ledger.folder / file
        path.write_text(path.read_text().replace(key, "none-0123456789a"))
    _, out, _ = told("status", ledger.folder.name)
    assert "1 failed" in out
    assert "none-" not in out  # no key that anybody could ask for
    (listed,) = json.loads(
        told("list", "--json", "--sweep", ledger.folder.name, "--state", "failed")[1]
    )
    assert (listed["kind"], listed["run_name"]) == ("ModelError", "planned 1")
    assert "0 run(s)" in told("list", "--sweep", ledger.folder.name)[1]


def test_commands_name_another_store(store, capsys: pytest.CaptureFixture[str]) -> None:
    store.failure(1)
    ledger = store.sweep([1], [State.failed], ended="failed")
    option = f"--results-dir {store.folder}"
    for given in (["status", ledger.folder.name], ["list"]):
        assert main([*given, *option.split()]) == 0
        told = capsys.readouterr().out.replace("\\\n", "")
        assert f"sitrepbench explain {option} RUN" in " ".join(told.split())


def test_runs_under_way_are_told_with_their_place(told, store) -> None:
    ledger = store.sweep([1, 2], [None, None])
    folder = ledger.attempt_folder()
    Marks(folder).begin(plan_key(ledger, 0))
    # What a dead process left is not under way.
    left = {"host": this_host(), "process": "999999999@1", "since": 0}
    (folder / f"{plan_key(ledger, 1)}.json").write_text(json.dumps(left))
    _, out, _ = told("status", ledger.folder.name)
    assert "running" in out
    assert "2 left, 1 of them under way" in out
    under_way = out[out.index("Under way:") :]
    assert "planned 1" in under_way
    assert "planned 2" not in under_way
    assert this_host() in under_way
    assert "Go on" not in out


def plan_key(ledger, index: int) -> str:
    key: str = ledger.plan().runs[index].key
    return key


def test_an_unknown_sweep_is_one_message(told, store) -> None:
    ledger = store.sweep([1], [None])
    code, _, err = told("status", "zzz")
    assert code == STORE
    assert "no sweep 'zzz'" in err
    (ledger.folder / PLAN_FILE).write_text("{")
    code, out, err = told("status")
    assert code == 0
    assert "not listed" in err
    assert "No sweep" in out


def test_failed_runs_are_listed_with_their_kind(told, store) -> None:
    store.run(1)
    store.failure(1)  # a note that is over: the run is done
    key = store.failure(2, kind="time limit")
    _, out, _ = told("list")
    assert lines_fit(out)
    assert key[:8] in out
    assert "time limit" in out
    assert "1 run(s)" in out
    assert ", 1 failed" in out
    listed = json.loads(told("list", "--json")[1])
    assert [(item["state"], item["run_name"]) for item in listed] == [
        ("done", "svm C=1"),
        ("failed", "svm C=2"),
    ]
    assert json.loads(told("list", "--json", "--state", "done")[1])[0]["scores"]["cv"]
    assert [item["key"] for item in json.loads(told("list", "--json", "--state", "failed")[1])] == [
        key
    ]


def test_a_run_of_several_studies_is_found_by_each(told, store) -> None:
    store.run(1, study="first")
    store.run(2, study="other")
    store.failure(3, study="first")
    ledger = store.sweep([1, 3], [State.cached, State.failed], study="second", ended="failed")
    for given in (["--study", "second"], ["--sweep", ledger.folder.name[:8]]):
        listed = json.loads(told("list", "--json", *given)[1])
        assert [(item["state"], item["study"]) for item in listed] == [
            ("done", "second"),
            ("failed", "first"),
        ]
        assert listed[0]["run_name"] == "planned 1"
    assert [
        run["run_name"] for run in json.loads(told("list", "--json", "--study", "other")[1])
    ] == ["svm C=2"]
    code, _, err = told("list", "--study", "secnd")
    assert code == STORE
    assert "Did you mean 'second'?" in err


def test_the_best_and_the_newest_are_told_apart(told, store) -> None:
    for number, score in enumerate((0.3, 0.9, 0.6)):
        store.run(number, score=score, created=f"2026-11-2{number}T10:00:00+00:00")
    store.failure(9)  # older than all
    names = [run["run_name"] for run in json.loads(told("list", "--json", "--top", "2")[1])]
    assert names == ["svm C=1", "svm C=2"]
    names = [run["run_name"] for run in json.loads(told("list", "--json", "--limit", "2")[1])]
    assert names == ["svm C=2", "svm C=1"]
    assert len(json.loads(told("list", "--json", "--limit", "9")[1])) == 4


@pytest.mark.parametrize(
    "given",
    [
        ["--top", "2", "--limit", "2"],
        ["--study", "a", "--sweep", "b"],
        ["--top", "0"],
        ["--limit", "many"],
        ["--state", "waiting"],
        ["--top", "2", "--state", "failed"],
    ],
)
def test_contradictions_are_wrong_usage(told, given) -> None:
    code, out, err = told("list", *given)
    assert code == USAGE
    assert "Traceback" not in out + err


@pytest.mark.fault
@pytest.mark.parametrize("command", [["status"], ["list"]])
def test_looking_at_a_store_that_cannot_be_written_changes_nothing(
    told, store, monkeypatch: pytest.MonkeyPatch, command
) -> None:
    import sqlite3

    store.run(1)
    store.sweep([1], [State.done], ended="done")

    def refuse(*arguments: object, **named: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("sitrepbench.store.index._prepare", refuse)
    code, out, err = told(*command)
    assert code == 0
    assert err == ""
    assert "1" in out


@pytest.mark.fault
def test_a_message_with_control_characters_does_not_reach_the_terminal(told, store) -> None:
    ledger = store.sweep([1], [None])
    ledger.add(Event("2026", "failed", plan_key(ledger, 0), note="Error: \x1b[31mred\x07"))
    ledger.end("failed")
    _, out, _ = told("status", ledger.folder.name)
    assert "Error: [31mred" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("command", ["status", "list"])
def test_lists_import_nothing_heavy(store, command) -> None:
    store.run(1)
    store.failure(2)
    store.sweep([1, 2], [State.done, State.failed], ended="failed")
    script = (
        "import sys\n"
        "from sitrepbench.cli import main\n"
        f"main([{command!r}, '--results-dir', sys.argv[1]])\n"
        "heavy = {'mlflow', 'sklearn', 'pandas', 'hydra', 'scipy', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(store.folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_five_thousand_runs_are_told(told, store, tmp_path: Path) -> None:
    numbers = list(range(5000))
    for number in numbers:
        store.run(number, score=(number * 37 % 5000) / 5000)
    states = [State.done] * 5000
    ledger = store.sweep([*numbers, "bad"], [*states, State.failed], ended="failed", study="big")
    code, out, err = told("status", ledger.folder.name)
    assert code == 0
    assert err == ""
    assert "99 % of 5,001 runs" in out
    assert "5,000 done, 1 failed, 0 left" in out
    assert "... and 4,970 more" in out
    assert json.loads(told("status", "--json")[1])[0]["done"] == 5000
    assert "5,000 run(s)" in told("list")[1]
    best = json.loads(told("list", "--json", "--top", "1", "--study", "big")[1])
    assert best[0]["scores"]["cv"]["macro_f1"] == 4999 / 5000
