"""A migrated MLflow database made once and copied per test, and records to log."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitrepbench.labels import LABELS
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.record import RunRecord, write_record
from sitrepbench.tracking import sqlite_store
from sitrepbench.tracking.database import prepare_database
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings

MakeRecord = Callable[..., RunRecord]


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh database of the installed MLflow; making one costs seconds."""
    path = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    prepare_database(path, artifact_root=str(path.parent / "artifacts"), patience_seconds=10)
    return path


@pytest.fixture
def results(tmp_path: Path, migrated_database: Path) -> Path:
    """A results folder with a migrated database in it."""
    folder = tmp_path / "results"
    folder.mkdir()
    shutil.copyfile(migrated_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def settings(results: Path) -> TrackingSettings:
    """Settings of the study ``demo`` on that folder."""
    return tracking_settings(results, "demo")


@pytest.fixture
def by_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every store written by MLflow's client, as with an MLflow of another schema."""
    monkeypatch.setattr(sqlite_store, "VERIFIED_REVISIONS", frozenset())


@pytest.fixture
def make_record(tmp_path: Path) -> MakeRecord:
    """A function that writes and returns the record of a made-up run."""
    return lambda **changes: build_record(tmp_path / "runs", **changes)


@pytest.fixture
def chromium(require: Callable[[bool, str], None]) -> str:
    """The path of chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    require(bool(found), "chromium is not installed (Debian: apt-get install chromium)")
    return found


def build_record(
    runs: Path,
    *,
    key: str = "00c0ffee00c0ffee",
    run_name: str = "svm word_char",
    model: str = "linear_svm",
    features: str = "word_char",
    skill: float = 0.6,
    seed: int = 0,
    parts: tuple[str, ...] = ("cv",),
    model_config: dict[str, Any] | None = None,
    **changes: Any,
) -> RunRecord:
    """Write a record whose predictions are right with probability ``skill``."""
    predictions = made_up_predictions(skill, parts)
    content: dict[str, Any] = {
        "key": key,
        "key_parts": {"seed": seed},
        "names": {
            "dataset": "table",
            "protocol": "grouped_cv",
            "features": features,
            "model": model,
        },
        "run_name": run_name,
        "study": "demo",
        "config": {
            "dataset": {
                "_target_": "sitrepbench.data.load_table",
                "path": "sentences.csv",
                "name": None,
                "columns": {"text": None, "label": None},
                "allow": [],
            },
            "protocol": {"_target_": "sitrepbench.protocols.GroupedCV", "n_folds": 5},
            "features": {
                "_target_": f"sitrepbench.features.{features}_tfidf",
                "ngram_range": [1, 2],
                "min_df": 2,
                "_about_": {"short": features},
            },
            "model": {"_target_": "sklearn.svm.LinearSVC", **(model_config or {"C": 0.3})},
            "executor": {
                "_target_": "sitrepbench.sweep.executors.SerialExecutor",
                "blas_threads": 1,
            },
            "tracking": {"uri": None},
            "seed": seed,
            "results_dir": "results",
            "resume": "missing",
            "study": None,
            "unlock": {"reason": None},
        },
        "overrides": ["dataset=table", "dataset.path=my sentences.csv", f"model={model}"],
        "dataset": {
            "name": "sentences",
            "digest": "ab" * 32,
            "version": "",
            "source": "sentences.csv",
            "sentences": 200,
            "documents": 20,
        },
        "labels": list(LABELS),
        "environment": {
            "sitrepbench": "0.1.0",
            "python": "3.11.7",
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "dirty": False,
            "host": "somewhere",
        },
        "created": "2026-11-22T12:00:00+00:00",
        "seconds": {"total": 12.5, "fit": 10.0, "predict": 0.5},
        "peak_memory_mb": 321.0,
        "looks": [],
        "notes": [],
        "scores": {part: {"macro_f1": skill} for part in parts},
        "predictions_digest": predictions.digest(),
    }
    content.update(changes)
    folder = runs / key
    folder.mkdir(parents=True)
    record = RunRecord(**content, folder=folder)
    cells = pd.DataFrame({"part": list(parts), "repeat": 0, "fold": 0})
    write_record(record, folder, predictions=predictions, cells=cells)
    return record


def made_up_predictions(skill: float, parts: tuple[str, ...]) -> PredictionsTable:
    """Predictions of 20 documents with 10 sentences each per part, without probabilities."""
    rng = np.random.default_rng(7)
    frames = []
    for part in parts:
        gold = rng.choice(LABELS, size=200, p=[0.3, 0.1, 0.15, 0.15, 0.3])
        right = rng.random(200) < skill
        frames.append(
            pd.DataFrame(
                {
                    "sentence_id": [f"{part}{number}" for number in range(200)],
                    "document_id": [f"{part}-d{number // 10}" for number in range(200)],
                    "domain": ["city" if number < 100 else "border" for number in range(200)],
                    "part": part,
                    "repeat": 0,
                    "fold": [number // 40 for number in range(200)],
                    "label": gold,
                    "secondary": "",
                    "predicted": np.where(right, gold, rng.choice(LABELS, size=200)),
                    **{f"p_{label}": np.nan for label in LABELS},
                }
            )
        )
    return PredictionsTable(pd.concat(frames, ignore_index=True), LABELS)
