"""Runs made by hand: whatever a check looks at can be set, and nothing is computed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitrepbench.checks.check import NotApplicable
from sitrepbench.checks.material import CheckedRun, Material
from sitrepbench.checks.registry import find_check
from sitrepbench.data.dataset import Dataset, canonical_frame, frame_digest
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.record import RunRecord

LABELS = ("a", "b", "c")
TIME = "2026-11-20T10:00:00+00:00"
SVM = "sklearn.svm.LinearSVC"
KEYWORDS = "sitrepbench.models.KeywordRules"
MAJORITY = "sitrepbench.models.MajorityClass"


def predictions(
    right: float = 0.8,
    *,
    documents: int = 40,
    seed: int = 0,
    part: str = "dev",
    folds: int = 1,
    constant: str = "",
) -> PredictionsTable:
    """Return answers of which about so many are right, the same sentences whatever the rest."""
    rng = np.random.default_rng(seed)
    rows = []
    for document in range(documents):
        for at in range(6):
            label = LABELS[at % 3]
            wrong = LABELS[(at + 1) % 3]
            predicted = constant or (label if rng.random() < right else wrong)
            rows.append((f"d{document:03}.{at}", f"d{document:03}", "", part, 0,
                         document % folds, label, "", predicted))  # fmt: skip
    columns = ["sentence_id", "document_id", "domain", "part", "repeat", "fold", "label",
               "secondary", "predicted"]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    for label in LABELS:
        frame[f"p_{label}"] = np.where(frame["predicted"] == label, 0.8, 0.1)
    return PredictionsTable(frame, LABELS)


def run(
    name: str = "svm",
    *,
    model: str = SVM,
    table: PredictionsTable | None = None,
    data: str = "0" * 16,
    protocol: dict[str, Any] | None = None,
    tuner: dict[str, Any] | None = None,
    about: dict[str, Any] | None = None,
    key_parts: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
    **checked: Any,
) -> CheckedRun:
    """Return a run; what is not given is as it should be."""
    table = predictions() if table is None else table
    config = {"protocol": protocol or {"_target_": "P.Official"}, "features": None,
              "model": {"_target_": model, "C": name}, "tuner": tuner}  # fmt: skip
    given: dict[str, Any] = {
        "key": hashlib.sha256(name.encode()).hexdigest()[:16],
        "key_parts": {
            "config": config,
            "seed": None,
            "data": {"training": data, "scored": data},
            "sources": {"fitting.py": "11"},
            "own_code": {},
            "versions": {"numpy": "2.0"},
            **(key_parts or {}),
        },
        "names": {"model": name.split()[0]},
        "run_name": name,
        "study": "adhoc",
        "config": {"model": {"_target_": model, "_about_": about or {}}, "tuner": tuner},
        "overrides": [],
        "dataset": {"name": "made", "digest": data},
        "labels": list(LABELS),
        "environment": {"python": "3.11", "cpu": "x", "cpus": 2, "commit": "c", "dirty": False,
                        **(environment or {})},
        "created": TIME,
        "seconds": {},
        "peak_memory_mb": 1.0,
        "looks": [],
        "notes": [],
        "scores": {},
        "predictions_digest": table.digest(),
        "tuning": {},
        **(record or {}),
    }  # fmt: skip
    checked.setdefault("search", tuner)
    return CheckedRun(name, RunRecord(**given), table, **checked)


def dataset(texts: Sequence[tuple[str, str, str, str]], *, cluster: str = "") -> Dataset:
    """Return a dataset of (document, text, label, split)."""
    rows = [
        {
            "sentence_id": f"{document}.{at}", "document_id": document, "position": at,
            "text": text, "label": label, "secondary": "", "domain": "", "split": split,
            "cluster": cluster,
        }
        for at, (document, text, label, split) in enumerate(texts)
    ]  # fmt: skip
    frame = canonical_frame(pd.DataFrame(rows))
    return Dataset("made", frame, LABELS, frame_digest(frame, LABELS), "")


@pytest.fixture
def found() -> Callable[..., list[str]]:
    """Return a function that asks one check and gives its messages; none where it passes."""

    def ask(code: str, material: Material | Sequence[CheckedRun]) -> list[str]:
        given = material if isinstance(material, Material) else Material(tuple(material))
        answer = find_check(code).find(given)
        if isinstance(answer, NotApplicable):
            pytest.fail(f"{code} does not apply: {answer.reason}")
        return [finding.message for finding in answer]

    return ask


@pytest.fixture
def unasked() -> Callable[..., str]:
    """Return a function that asks one check and gives the reason why it does not apply."""

    def ask(code: str, material: Material | Sequence[CheckedRun]) -> str:
        given = material if isinstance(material, Material) else Material(tuple(material))
        answer = find_check(code).find(given)
        assert isinstance(answer, NotApplicable), answer
        return answer.reason

    return ask


class Made:
    """The makers above, for tests."""

    run = staticmethod(run)
    predictions = staticmethod(predictions)
    dataset = staticmethod(dataset)


@pytest.fixture
def made() -> Made:
    return Made()
