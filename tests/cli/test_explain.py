"""``explain``: why a run is or is not taken from the store, field by field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sitrepbench import runs
from sitrepbench.cli import explain
from sitrepbench.config.differences import ABSENT, Difference, differences, ingredients
from sitrepbench.preparing import forget_data
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.jobs import State

CONFIG, DATA, STORE = 3, 4, 8
MODEL = ["model=complement_nb", "features=word"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "mine.csv"
    write_table(file, "killed")
    return file


def write_table(file: Path, word: str) -> None:
    words = {"casualty_report": word, "denial": "denied", "negotiation": "talks",
             "evacuation": "fled", "background": "hill"}  # fmt: skip
    lines = ["doc_id,text,label"]
    for document in range(10):
        for label, said in words.items():
            lines.append(f"d{document},{said} number {document} in the town,{label}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    forget_data()


@pytest.fixture
def compute(table: Path, store) -> Callable[..., str]:
    """Compute and store a run, and return its key."""

    def call(*overrides: str) -> str:
        given = [f"dataset.path={table}", *MODEL, *overrides, "protocol.n_folds=2"]
        record = runs.obtain(explain.prepare_now(given, []), ResultsStore(store.folder)).record
        return record.key

    return call


@pytest.fixture
def asked(table: Path, told) -> Callable[..., tuple[int, str, str]]:
    """Explain what `compute` computes, with these overrides as well."""

    def call(*overrides: str) -> tuple[int, str, str]:
        return told(
            "explain",
            *_options(overrides),
            f"dataset.path={table}",
            *MODEL,
            *_values(overrides),
            "protocol.n_folds=2",
        )

    return call


def _options(given: tuple[str, ...]) -> list[str]:
    return [text for text in given if text.startswith("--")]


def _values(given: tuple[str, ...]) -> list[str]:
    return [text for text in given if not text.startswith("--")]


def test_keys_are_compared_field_by_field() -> None:
    stored = {"config": {"model": {"C": 0.3, "old": 1}}, "seed": None, "sources": {"a": "1"},
              "data": {"training": "ac27" * 16}}  # fmt: skip
    now = {"config": {"model": {"C": 1.0}}, "seed": None, "sources": {"a": "2", "b": "3"},
           "data": {"training": "b3f1" * 16}}  # fmt: skip
    assert [difference.text() for difference in differences(stored, now)] == [
        "config.model.C: 0.3 -> 1.0",
        "config.model.old: 1 -> (absent)",
        "data.training: ac27.. -> b3f1..",
        "sources.a: changed",
        "sources.b: new",
    ]
    assert not list(differences(now, now))
    assert Difference("sources.c", "1", ABSENT).text() == "sources.c: gone"
    target = Difference("config.model._target_", "sklearn.svm.LinearSVC", "sklearn.svm.SVC")
    assert target.text() == "config.model._target_: LinearSVC -> SVC"
    target = Difference("config.model._target_", "mine.Model", "yours.Model")
    assert target.text() == "config.model._target_: mine.Model -> yours.Model"
    # A value that is null is not one that is absent.
    assert [d.text() for d in differences({"a": None}, {})] == ["a: null -> (absent)"]


def test_a_record_from_before_files_were_told_apart_is_compared() -> None:
    stored, now = {"sources": "ab" * 32}, {"sources": {"a.py": "12" * 8}}
    (difference,) = differences(stored, now)
    assert "does not tell which files" in difference.text()
    assert list(ingredients(stored)) == ["sources: abab.."]


def test_a_run_that_the_store_has_would_be_taken(asked, compute, store) -> None:
    key = compute()
    ledger = store.sweep(["x"], [State.done], study="mine", ended="done")
    plan = (ledger.folder / "plan.json").read_text()
    events = (ledger.folder / "events.jsonl").read_text()
    planned = ledger.plan().runs[0].key
    (ledger.folder / "plan.json").write_text(plan.replace(planned, key))
    (ledger.folder / "events.jsonl").write_text(events.replace(planned, key))
    code, out, _ = asked()
    assert code == 0
    for piece in (key, "would be taken from there", f"by sweep {ledger.folder.name[:8]} (mine)",
                  "computed in 1.5 s", "model=complement_nb"):  # fmt: skip
        assert piece in out
    content = json.loads(asked("--json")[1])
    assert (content["state"], content["key"]) == ("done", key)
    assert content["sweeps"][0]["what"] == "done"
    assert content["key_parts"]["config"]["model"]["alpha"] == 0.3


@pytest.mark.slow
def test_a_run_that_it_has_not_is_compared_with_the_nearest(asked, compute) -> None:
    compute()
    near = compute("model.alpha=0.4")
    compute("features=char", "model.alpha=0.5")
    code, out, _ = asked("model.alpha=0.5", "features.min_df=3")
    assert code == 0
    assert "would be computed" in out
    assert "config.model.alpha: 0.4 -> 0.5" in out
    assert "config.features.min_df: 2 -> 3" in out or "config.features.min_df: 1 -> 3" in out
    content = json.loads(asked("model.alpha=0.5", "--json")[1])
    assert content["state"] == "absent"
    first = next(run for run in content["nearest"] if run["key"] == near)
    assert first["differences"] == [{"field": "config.model.alpha", "stored": 0.4, "now": 0.5}]
    assert content["nearest"][-1]["run_name"] == "cnb alpha=0.5 char"


def test_explaining_computes_and_writes_nothing(asked, store) -> None:
    code, out, _ = asked()
    assert code == 0
    assert "no run to compare it with" in out
    assert not list((store.folder / "runs").iterdir())
    shutil.rmtree(store.folder)
    code, out, _ = asked()
    assert code == 0
    assert "no results store" in out
    assert not store.folder.exists()


def test_another_store_is_asked_where_the_overrides_say_so(asked, compute, tmp_path) -> None:
    compute()
    assert "would be taken" in asked()[1]
    assert "no results store" in asked(f"results_dir={tmp_path / 'other'}")[1]


def test_a_run_that_failed_before_says_why(asked, told, store) -> None:
    key = json.loads(asked("--json")[1])["key"]
    shutil.move(
        store.folder / "failed" / f"{store.failure(1)}.json", store.folder / "failed" / "note"
    )
    note = (store.folder / "failed" / "note").read_text()
    (store.folder / "failed" / f"{key}.json").write_text(note.replace(_key_in(note), key))
    _, out, _ = asked()
    assert "It failed before, once, the last time 11-20 10:00 UTC" in out
    assert "ModelError: it did not" in out
    code, out, _ = told("explain", key[:8])
    assert code == 0
    assert "Traceback (most recent call last):\n  File" in out
    assert "exit code 7" in out


def _key_in(note: str) -> str:
    key: str = json.loads(note)["key"]
    return key


def test_a_damaged_record_is_told_and_left(asked, compute, store) -> None:
    key = compute()
    (store.folder / "runs" / key / "cells.parquet").write_bytes(b"")
    code, out, _ = asked()
    assert code == 0
    assert "would be computed" in out
    assert "changed since it was written" in out
    assert (store.folder / "runs" / key).is_dir()


@pytest.mark.slow
def test_a_stored_run_is_told_and_compared_with_now(told, compute, table) -> None:
    key = compute("model.alpha=0.4")
    code, out, _ = told("explain", key[:8])
    assert code == 0
    assert "config.model.alpha: 0.4" in out
    assert "Now the same command would be taken from the store." in out
    assert all(len(line) <= 80 for line in out.splitlines() if str(table.parent) not in line)
    write_table(table, "wounded")
    content = json.loads(told("explain", "cnb alpha=0.4 word", "--json")[1])
    assert not content["now"]["same"]
    assert [item["field"] for item in content["now"]["differences"]] == [
        "data.scored",
        "data.training",
    ]
    out = told("explain", key)[1]
    assert "comes to another key" in out
    assert "data.training: " in out
    table.unlink()
    write_table(table.with_name("other.csv"), "x")  # forgets what was loaded
    code, out, _ = told("explain", key)
    assert code == 0
    assert "would be refused" in out
    assert "mine.csv" in out


def test_what_decides_nothing_is_left_out_of_the_comparison(told, compute) -> None:
    key = compute("tracking=none", "resume=never", "results_dir=elsewhere", "++tracking.x=1")
    assert "would be taken from the store" in told("explain", key)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["nothing"], STORE, "no run 'nothing'"),
        (["modle=svm"], CONFIG, "Did you mean model=svm?"),
        (["model=complement_nb,linear_svm"], CONFIG, "explain takes one run"),
        (["dataset.path=absent.csv"], DATA, "absent.csv"),
        (["--config-dir", "absent", "model=complement_nb"], CONFIG, "no such folder"),
    ],
)
def test_mistakes_are_one_message(told, store, given, code, message) -> None:
    store.run(1)
    found, out, err = told("explain", *given)
    assert found == code
    assert message in err
    assert "Traceback" not in out + err


def test_a_name_that_several_runs_have_is_refused(told, store) -> None:
    store.run(1)
    store.failure(2)
    code, _, err = told("explain", "")
    assert code == STORE
    assert "could be any of 2 runs" in err


def test_a_run_that_is_only_planned_is_told_with_its_sweep(told, store, table) -> None:
    ledger = store.sweep(["x", "y"], [None, State.failed], study="mine", ended="interrupted")
    plan = json.loads((ledger.folder / "plan.json").read_text())
    overrides = [f"dataset.path={table}", *MODEL, "protocol.n_folds=2"]
    plan["runs"][0] |= {"run_name": "waiting", "overrides": overrides}
    plan["runs"][1] |= {"run_name": "refused", "overrides": [*overrides, "features=none"]}
    (ledger.folder / "plan.json").write_text(json.dumps(plan))
    code, out, _ = told("explain", "waiting")
    assert code == 0
    assert f"Planned by sweep {ledger.folder.name[:8]} (mine) as waiting" in out
    assert "would be computed" in out
    content = json.loads(told("explain", "--json", "refused")[1])
    assert content["planned_by"] == ledger.folder.name
    assert content["cause"].startswith("ModelError")
    assert "needs features" in content["error"]
