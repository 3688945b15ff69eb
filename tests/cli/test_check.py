"""``check`` on a study that is really run: what is planted is found, and a sound one passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sitrepbench.cli import main
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data
from sitrepbench.store.results import ResultsStore

CONFIG, STORE = 3, 8
KEYWORDS = ("killed", "denied", "talks", "fled", "hill")
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo")
STUDY = """\
# @package _global_
# Question: which of two models is better?
# Command:  sitrepbench run -cd own experiments=tiny
defaults:
  - override /dataset: table
  - override /protocol: official
  - override /features: word
  - override /tuner: random
  - override /executor: serial
  - override /tracking: none

study: tiny

dataset:
  path: {table}
tuner:
  trials: {trials}
  n_folds: 2

hydra:
  mode: MULTIRUN
  sweeper:
    params:
      model: keyword_rules,complement_nb,multinomial_nb
"""


def rows(seed: int = 0) -> list[list[str]]:
    """Return documents of invented words; one word tells the label, and a keyword often does."""
    rng = np.random.default_rng(seed)

    def word() -> str:
        return "".join(rng.choice(SYLLABLES, size=3))

    found = []
    for document in range(48):
        split = ("train", "dev", "test")[document % 3]
        for at, label in enumerate(LABELS):
            told = at if rng.random() < 0.5 else int(rng.integers(5))
            hint = at if rng.random() < 0.9 else int(rng.integers(5))
            rest = " ".join(word() for _ in range(9))
            said = f"{rest} zor{SYLLABLES[hint]} {KEYWORDS[told]} there"
            found.append([f"d{document}", said, label, split])
    return found


class Place:
    """A user's folder with a study over a table, and the command line beside it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.table = folder / "mine.csv"
        self.results = folder / "results"
        self._capsys = capsys
        (folder / "own" / "experiments").mkdir(parents=True)
        self.write(rows())
        self.study()

    def write(self, table: list[list[str]]) -> None:
        lines = [["doc_id", "text", "label", "split"], *table]
        self.table.write_text("\n".join(map(",".join, lines)) + "\n", encoding="utf-8")

    def study(self, *, trials: int = 2) -> None:
        file = self.folder / "own" / "experiments" / "tiny.yaml"
        file.write_text(STUDY.format(table=self.table, trials=trials), encoding="utf-8")

    def call(self, *words: str) -> tuple[int, str, str]:
        forget_data()
        self._capsys.readouterr()
        try:
            code = main(list(words))
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def run(self, *overrides: str) -> None:
        code, out, err = self.call(
            "run", "-cd", str(self.folder / "own"), f"results_dir={self.results}", *overrides
        )
        assert code == 0, out + err

    def look(self) -> None:
        """Score the test split by hand."""
        table = f"dataset.path={self.table}"
        self.run("dataset=table", table, "protocol=official", "protocol.score=[test]",
                 "features=word", "model=ridge", "executor=serial", "tracking=none",
                 "unlock.reason=curious")  # fmt: skip

    def check(self, *words: str) -> tuple[int, str, str]:
        # The tree that the tests run from may well be dirty.
        skip = () if "--only" in words else ("--skip", "SB006")
        return self.call("check", *words, *skip, "--results-dir", str(self.results),
                         "-cd", str(self.folder / "own"))  # fmt: skip

    def results_of(self, *words: str) -> dict[str, Any]:
        content = json.loads(self.check(*words, "--json")[1])
        return {result["code"]: result for result in content["results"]}


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


@pytest.fixture
def done(place: Place) -> Place:
    place.run("experiments=tiny")
    return place


@pytest.mark.slow
def test_a_sound_study_has_no_issue(done: Place) -> None:
    code, out, err = done.check("tiny", "--refit")
    assert code == 0, out
    assert err == ""
    assert "tiny, 3 runs: 0 issues" in out
    assert max(map(len, out.splitlines())) <= 80
    found = done.results_of("tiny", "--refit")
    for code_ in ("SB001", "SB003", "SB004", "SB005", "SB011", "SB012", "SB013", "SB014", "SB021",
                  "SB031", "SB042", "SB043", "SB051"):  # fmt: skip
        assert found[code_]["status"] == "passed", found[code_]
    assert found["SB045"]["status"] in ("passed", "tip")


@pytest.mark.slow
def test_a_planted_leak_is_found(place: Place) -> None:
    table = rows()
    train = [row for row in table if row[3] == "train"][:6]
    place.write([*table, *(["copy", f"{row[1]} again", row[2], "dev"] for row in train)])
    place.run("experiments=tiny")
    code, out, _ = place.check("tiny", "--only", "SB011")
    assert code == 1
    assert "issue  SB011  Near-duplicates across a split" in out
    assert "6 of 86 scored sentences" in out
    assert place.check("tiny", "--only", "SB011", "--similarity", "1")[0] == 0


@pytest.mark.slow
def test_a_planted_peek_is_found(place: Place) -> None:
    place.look()
    place.run("experiments=tiny")
    code, out, _ = place.check("tiny", "--only", "SB021")
    assert code == 1
    assert "SB021  The test split was looked at during development" in out
    assert "'curious'" in out


@pytest.mark.slow
def test_a_final_look_is_no_peek(done: Place) -> None:
    done.look()
    ledger = done.results / "looks.jsonl"
    look = json.loads(ledger.read_text())
    ledger.write_text(json.dumps({**look, "time": "2999-01-01T00:00:00+00:00"}) + "\n")
    assert done.check("tiny", "--only", "SB021")[0] == 0


@pytest.mark.slow
def test_an_unequal_budget_is_found(place: Place) -> None:
    place.run("experiments=tiny", "model=keyword_rules,complement_nb")
    place.study(trials=5)
    place.run("experiments=tiny", "model=multinomial_nb")
    code, out, _ = place.check("tiny", "--only", "SB031")
    assert code == 1
    assert "SB031  Compared models were tuned with unequal budgets" in out
    found = place.results_of("tiny")
    (budgets,) = found["SB031"]["findings"]
    assert "5 trials on 2 inner folds: multinomial_nb" in budgets["message"]
    assert "2 trials on 2 inner folds: complement_nb" in budgets["message"]
    # The run with the old budget is told as such.
    (older,) = found["SB005"]["findings"]
    assert older["severity"] == "tip"
    assert "setting: tuner.trials: 2 -> 5" in older["message"]


@pytest.mark.slow
def test_runs_by_name_and_key_are_checked_alike(done: Place) -> None:
    done.study(trials=5)
    done.run("experiments=tiny", "model=complement_nb")
    keys = sorted(ResultsStore(done.results).finished())
    found = done.results_of(*keys)
    assert found["SB031"]["status"] == "issue"
    assert found["SB005"]["status"] == "not applicable"
    code, out, _ = done.check("mnb word", "--only", "SB051")
    assert (code, "mnb word, 1 run:" in out) == (0, True)


@pytest.mark.slow
def test_the_runs_of_a_name_without_a_file_are_checked(place: Place) -> None:
    place.run("experiments=tiny", "study=other")
    code, out, _ = place.check("other")
    assert code == 0, out
    assert "other, 3 runs" in out


@pytest.mark.slow
def test_missing_and_failed_runs_are_found(place: Place) -> None:
    place.run("experiments=tiny", "model=keyword_rules")
    code, out, _ = place.check("tiny", "--only", "SB005")
    assert code == 1
    assert "2 of 3 runs: it was never run: complement_nb, multinomial_nb" in out


@pytest.mark.slow
def test_a_damaged_record_is_told(done: Place) -> None:
    store = ResultsStore(done.results)
    key = store.resolve("mnb word").key
    (done.results / "runs" / key / "predictions.parquet").write_bytes(b"broken")
    code, out, _ = done.check("tiny", "--only", "SB005")
    assert code == 1
    assert "1 of 3 runs: its record was damaged" in out


@pytest.mark.slow
def test_a_damaged_run_and_a_damaged_ledger_are_errors(done: Place) -> None:
    key = ResultsStore(done.results).resolve("mnb word").key
    (done.results / "runs" / key / "predictions.parquet").write_bytes(b"broken")
    code, _, err = done.check(key, "none")
    assert code == STORE
    assert "damaged" in err
    assert "no run 'none'" in err
    (done.results / "looks.jsonl").write_text("{broken\n")
    code, _, err = done.check("tiny")
    assert code == STORE
    assert "looks.jsonl, line 1" in err


@pytest.mark.slow
def test_data_that_changed_are_not_taken_for_those_of_the_run(done: Place) -> None:
    keys = sorted(ResultsStore(done.results).finished())
    done.write(rows(seed=1))
    found = done.results_of(*keys)
    assert "data are not what the run read" in found["SB011"]["reason"]
    assert found["SB001"]["status"] == "passed"
    study = done.results_of("tiny")
    assert "data: scored" in study["SB005"]["findings"][0]["message"]


@pytest.mark.slow
def test_the_search_behind_a_committed_choice_is_known(place: Place) -> None:
    words = ("reproduce", "tiny", "-cd", str(place.folder / "own"), "--results-dir",
             str(place.results))  # fmt: skip
    code, _, err = place.call(*words, "--update")
    assert code == 0, err
    store = ResultsStore(place.results)
    for key in store.finished():
        store.remove(key)
    code, out, err = place.call(*words)
    assert code == 0, out + err
    found = place.results_of("tiny")
    assert found["SB005"]["status"] == "passed", found["SB005"]
    assert found["SB031"]["status"] == "passed", found["SB031"]
    assert found["SB032"]["status"] in ("passed", "tip")


@pytest.mark.slow
def test_a_study_and_runs_together_are_refused(done: Place) -> None:
    code, _, err = done.check("tiny", "cnb word")
    assert code == CONFIG
    assert "one study, or runs only" in err


@pytest.mark.slow
def test_a_wrong_name_gets_the_nearest_study(done: Place) -> None:
    code, _, err = done.check("tinny")
    assert code == STORE
    assert "Did you mean 'tiny'?" in err


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["check", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_checks_are_listed_and_explained_without_a_store(told: Any, tmp_path: Path) -> None:
    code, out, _ = told("--list", "--results-dir", str(tmp_path))
    assert code == 0
    assert "SB011  error    Near-duplicates across a split" in out
    code, out, _ = told("--explain", "sb011")
    assert code == 0
    assert "sitrepbench data audit" in out
    assert json.loads(told("--explain", "SB011", "--json")[1])[0]["code"] == "SB011"


def test_wrong_usage_is_told(told: Any, tmp_path: Path) -> None:
    assert told()[0] == 2
    code, _, err = told("--explain", "SB998")
    assert (code, "no check 'SB998'" in err) == (CONFIG, True)
    code, _, err = told("tiny", "--results-dir", str(tmp_path / "none"))
    assert (code, "no results store" in err) == (STORE, True)
