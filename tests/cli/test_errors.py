"""``errors``: what a run gets wrong, from the store, the data and, if asked, one more fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sitrepbench.cli import main
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data
from sitrepbench.store.looks import LookLedger
from sitrepbench.store.results import ResultsStore

DATA = 4
Call = Callable[..., tuple[int, str, str]]


def write_table(file: Path, *, first: str = LABELS[0]) -> None:
    lines = ["doc_id,text,label,split,desk"]
    for document in range(80):
        split = ("train", "train", "dev", "test")[document % 4]
        for at, label in enumerate(LABELS):
            shown = first if (document, at) == (0, 0) else label
            # One document in five of each split speaks as if it were about something else.
            said = LABELS[at - 1] if document % 20 in (2, 3) else label
            text = f"{said} and <b>so on</b> number {document}"
            lines.append(f"d{document},{text},{shown},{split},{'ab'[document // 40]}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line beside a store, as a fresh process would."""
    write_table(tmp_path / "mine.csv")

    def told(*arguments: str) -> tuple[int, str, str]:
        forget_data()
        given = list(arguments)
        if given[0] == "run":
            given += ["dataset=table", f"dataset.path={tmp_path / 'mine.csv'}", "executor=serial",
                      f"results_dir={tmp_path / 'results'}", "tracking=none"]  # fmt: skip
        else:
            given += ["--results-dir", str(tmp_path / "results")]
        code = main(given)
        said = capsys.readouterr()
        return code, said.out, said.err

    return told


def only_key(tmp_path: Path) -> str:
    (found,) = ResultsStore(tmp_path / "results").finished()
    return found


def fitted(call: Call, *more: str) -> None:
    code, _, err = call("run", "protocol=official", "features=word", *more)
    assert code == 0, err


def test_everything_is_said_at_80_columns(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=logistic_regression")
    code, out, err = call("errors", only_key(tmp_path)[:6], "--top-features")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "100 sentences of 20 documents; 20.0 % of the answers are wrong." in out
    for title in ("taken for", "Surest mistakes", "Where it errs", "may be wrong", "speaks for"):
        assert title in out
    assert "LogisticRegression fitted once more on its 200 training sentences." in out
    assert "casualty_report: casualty_report" in out
    assert err.strip() == "Not added to MLflow: the run was made with tracking=none."


def test_json_is_plain_and_counts_right(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=logistic_regression")
    code, out, _ = call("errors", only_key(tmp_path), "--json", "--examples", "1")
    told = json.loads(out)
    assert code == 0
    assert told["part"] == "dev"
    assert sum(pair["count"] for pair in told["pairs"]) == 20
    assert all(len(pair["examples"]) == 1 for pair in told["pairs"])
    assert {row["by"] for row in told["slices"]} <= {"desk", "length", "position"}
    assert told["suspects"]["count"] >= 15
    assert told["top_features"] is None


def test_without_probabilities_it_says_what_needs_them(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=linear_svm")
    code, out, _ = call("errors", only_key(tmp_path), "--json")
    told = json.loads(out)
    assert (code, told["suspects"], told["surest_mistakes"]) == (0, None, None)
    _, out, _ = call("errors", only_key(tmp_path))
    assert out.replace("\n", " ").count("needs probabilities, and this model gives none") == 2


@pytest.mark.slow
def test_a_page_with_tables_and_figures_is_written(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=multinomial_nb")
    folder = tmp_path / "out" / "here"
    options = ("--top-features", "--output", str(folder), "--no-tracking")
    code, _, err = call("errors", only_key(tmp_path), *options)
    assert code == 0
    assert "MLflow" not in err
    assert {path.name for path in folder.iterdir()} == {
        "errors.html", "pairs.csv", "mistakes.csv", "groups.csv", "suspected_label_errors.csv",
        "top_features.csv", "thresholds.csv", "confusion.svg", "confusion.png", "groups.svg",
        "groups.png", "reliability.svg", "risk_coverage.svg",
    }  # fmt: skip
    page = (folder / "errors.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;so on&lt;/b&gt;" in page
    assert "<b>" not in page
    assert len(pd.read_csv(folder / "mistakes.csv")) == 20
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    call("errors", only_key(tmp_path), *options)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_test_part_is_no_new_look_and_is_warned_of(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=logistic_regression", "protocol.score=[test]", "unlock.reason=final")
    looks = LookLedger(tmp_path / "results").read()
    assert len(looks) == 1
    code, out, _ = call("errors", only_key(tmp_path), "--top-features")
    assert code == 0
    assert "Note: test is a test part" in out
    assert LookLedger(tmp_path / "results").read() == looks


def test_changed_data_are_refused(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=logistic_regression")
    write_table(tmp_path / "mine.csv", first="background")
    code, out, err = call("errors", only_key(tmp_path))
    assert (code, out) == (DATA, "")
    assert "dataset 'mine' has changed since run" in err
    assert "digest" in err


def test_data_that_are_gone_are_told(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=logistic_regression")
    (tmp_path / "mine.csv").unlink()
    code, _, err = call("errors", only_key(tmp_path))
    assert code == DATA
    assert "cannot be read any more" in err
    assert "mine.csv" in err


def test_another_part_is_refused(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=logistic_regression")
    code, _, err = call("errors", only_key(tmp_path), "--part", "dve")
    assert code == DATA
    assert "Did you mean 'dev'" in err


def test_what_a_tuner_chose_and_the_first_fold_are_refitted(call: Call, tmp_path: Path) -> None:
    code, _, err = call("run", "protocol.n_folds=3", "features=word", "model=logistic_regression",
                        "tuner=grid", "tuner.grid={C: [0.001]}", "tuner.n_folds=2")  # fmt: skip
    assert code == 0, err
    _, tuned, _ = call("errors", only_key(tmp_path), "--top-features", "--json")
    found = json.loads(tuned)["top_features"]
    assert "of the first of 3 folds" in found["told"]
    # So little C leaves hardly any weight.
    assert max(row["weight"] for row in found["table"]) < 0.1


def test_a_model_without_weights_gets_one_line(call: Call, tmp_path: Path) -> None:
    fitted(call, "model=knn")
    code, out, _ = call("errors", only_key(tmp_path), "--top-features")
    assert code == 0
    assert "KNeighborsClassifier has no weight per feature and label to show." in out
