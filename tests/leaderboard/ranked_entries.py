"""Entries of made-up predictions, to be ranked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sitrepbench.comparison.entries import Entry
from sitrepbench.labels import LABELS
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.record import RunRecord

PARTS = {
    "config": {"protocol": {"train": ["train"], "score": ["dev"]}, "model": {"C": 1.0}},
    "data": {"training": "ac27" * 16, "scored": "ac27" * 16},
    "sources": {"models/nbsvm.py": "aaaa"},
    "own_code": {},
    "versions": {"numpy": "2.0"},
}


def table(
    wrong: float,
    *,
    seed: int = 0,
    repeats: int = 1,
    documents: int = 40,
    probabilities: bool = False,
    labels: tuple[str, ...] = LABELS,
) -> PredictionsTable:
    """Return predictions of which a share is wrong; the gold labels are always the same."""
    draws, chance = np.random.default_rng(7), np.random.default_rng(seed)
    n = documents * 8
    gold = draws.choice(labels, n)
    frames = []
    for repeat in range(repeats):
        guess = np.where(chance.random(n) < wrong, chance.choice(labels, n), gold)
        frame = pd.DataFrame(
            {
                "sentence_id": [f"s{at:04}" for at in range(n)],
                "document_id": [f"d{at // 8:03}" for at in range(n)],
                "domain": [("north", "south")[at // 8 % 2] for at in range(n)],
                "part": "dev",
                "repeat": repeat,
                "fold": 0,
                "label": gold,
                "secondary": "",
                "predicted": guess,
            }
        )
        for label in labels:
            likely = np.where(guess == label, 0.8, 0.2 / (len(labels) - 1))
            frame[f"p_{label}"] = likely if probabilities else np.nan
        frames.append(frame)
    return PredictionsTable(pd.concat(frames, ignore_index=True), labels)


def record(key: str, *, fit: float = 1.0, **parts: Any) -> RunRecord:
    """Return a record without files."""
    tuning = parts.pop("tuning", {})
    return RunRecord(
        key=key, key_parts={**PARTS, **parts}, names={}, run_name=key, study="made", config={},
        overrides=[], dataset={"name": "made", "digest": "ac27" * 16}, labels=list(LABELS),
        environment={}, created="", seconds={"total": fit, "fit": fit, "predict": 0.5},
        peak_memory_mb=1.0, looks=[], notes=[], scores={}, predictions_digest="", tuning=tuning,
    )  # fmt: skip


def run(name: str, wrong: float, *, key: str = "", seed: int = 0, **about: Any) -> Entry:
    """Return a run's entry; ``about`` goes to `record`, ``made`` to `table`."""
    made = about.pop("made", {})
    return Entry(
        name=name,
        predictions=table(wrong, seed=seed, **made),
        kind="run",
        record=record(key or name, **about),
        card=None,
    )


def submission(name: str, wrong: float, *, seed: int = 99) -> Entry:
    """Return a submission's entry."""
    predictions = table(wrong, seed=seed)
    return Entry(name=name, predictions=predictions, kind="submission", record=None, card=None)
