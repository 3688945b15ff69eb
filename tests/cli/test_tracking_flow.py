"""A run and its view: what MLflow missed is made up for, and a dead server loses nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sitrepbench.cli import main
from sitrepbench.preparing import forget_data

TRACKING = 9


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    lines = ["doc_id,text,label"]
    for document in range(12):
        for label in ("casualty_report", "denial", "negotiation", "evacuation", "background"):
            lines.append(f"d{document},{label} sentence number {document},{label}")
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def call(*arguments: str) -> tuple[int, str, str]:
        forget_data()
        given = ["run", f"dataset.path={file}", f"results_dir={tmp_path / 'results'}",
                 "protocol.n_folds=3", *arguments]  # fmt: skip
        code = main(given)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def finished_runs(database: Path) -> int:
    connection = sqlite3.connect(database)
    try:
        query = "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.fault
def test_a_dead_server_loses_nothing_and_the_next_start_logs_it(run, tmp_path: Path) -> None:
    code, out, err = run("model=complement_nb", "tracking.uri=http://127.0.0.1:1")
    assert code == TRACKING
    assert "does not answer" in err
    assert "Nothing is lost" in err
    assert "macro-F1" in out
    code, _, err = run("model=keyword_rules")
    assert code == 0, err
    assert "1 earlier run(s) were not in MLflow yet" in err
    assert finished_runs(tmp_path / "results" / "mlflow.db") == 2
    assert run("model=keyword_rules")[0] == 0
    assert finished_runs(tmp_path / "results" / "mlflow.db") == 2


@pytest.mark.slow
def test_untracked_runs_stay_untracked(run, tmp_path: Path) -> None:
    assert run("model=keyword_rules", "tracking=none")[0] == 0
    assert not (tmp_path / "results" / "mlflow.db").exists()
    assert run("model=majority")[0] == 0
    assert finished_runs(tmp_path / "results" / "mlflow.db") == 1


def test_a_store_that_mlflow_does_not_know_any_more_is_refused(run) -> None:
    code, _, err = run("model=keyword_rules", "tracking.uri=file:///tmp/mlruns")
    assert code == 3
    assert "MLflow no longer keeps runs in a plain folder" in err
