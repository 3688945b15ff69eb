"""How long does a leaderboard take, beside the loops over scikit-learn that a user would write?

    python benchmarks/leaderboard.py

30 models, each with 5 repeats over 5,000 sentences of 250 documents, with probabilities. The
predictions are written to files first, and the time includes reading them. The loops compute the
same intervals and the same pairs' p-values: score every model without each document, once for its
interval and, pair by pair, once for both models of a difference, by scikit-learn's `f1_score`.
They are timed on a few documents of a few models and pairs and scaled up; what they gave is
compared with the leaderboard's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from sitrepbench.comparison.entries import Entry
from sitrepbench.comparison.leaderboard import build_leaderboard
from sitrepbench.labels import LABELS
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.predictions import PredictionsTable
from sitrepbench.stats.intervals import jackknife

MODELS, REPEATS = 30, 5
DOCUMENTS, SENTENCES = 250, 5_000
#: What of the loops is timed: documents left out, for one model of a few.
LOOPED_DOCUMENTS, LOOPED_MODELS = 10, 3


def random_table(model: int) -> PredictionsTable:
    """Return 5 repeats, of which about 70 % are right, with probabilities."""
    shared, generator = np.random.default_rng(0), np.random.default_rng(1 + model)
    n = SENTENCES * REPEATS
    gold = np.tile(shared.choice(LABELS, SENTENCES, p=[0.22, 0.08, 0.15, 0.09, 0.46]), REPEATS)
    wrong = generator.random(n) < 0.30 + 0.01 * (model % 10)
    numbers = np.tile(np.arange(SENTENCES), REPEATS)
    predicted = np.where(wrong, generator.choice(LABELS, n), gold)
    frame = pd.DataFrame(
        {
            "sentence_id": [f"s{number:05}" for number in numbers],
            "document_id": [f"d{number % DOCUMENTS:03}" for number in numbers],
            "domain": [f"conflict {number % DOCUMENTS % 12}" for number in numbers],
            "part": "cv",
            "repeat": np.repeat(np.arange(REPEATS), SENTENCES),
            "fold": 0,
            "label": gold,
            "secondary": "",
            "predicted": predicted,
        }
    )
    likely = generator.dirichlet(np.ones(len(LABELS)), size=n)
    likely.sort(axis=1)
    for place, label in enumerate(LABELS):
        frame[f"p_{label}"] = np.where(predicted == label, likely[:, -1], likely[:, place] / 2)
    columns = [f"p_{label}" for label in LABELS]
    frame[columns] = frame[columns].div(frame[columns].sum(axis=1), axis=0)
    return PredictionsTable(frame, LABELS)


def read_entries(files: Sequence[Path]) -> list[Entry]:
    """Read stored predictions as entries."""
    return [
        Entry(
            name=file.stem,
            predictions=PredictionsTable.read(file, LABELS),
            kind="file",
            record=None,
            card=None,
        )
        for file in files
    ]


def without(table: PredictionsTable, document: str) -> float:
    """Score a model without a document: the mean over the repeats, by scikit-learn."""
    kept = table.frame[table.frame["document_id"] != document]
    return float(
        np.mean(
            [
                f1_score(rows["label"], rows["predicted"], average="macro", zero_division=0)
                for _, rows in kept.groupby("repeat")
            ]
        )
    )


def loop(tables: Sequence[PredictionsTable], documents: Sequence[str]) -> list[list[float]]:
    """Return the scores without each of some documents, model by model."""
    return [[without(table, document) for document in documents] for table in tables]


def main() -> None:
    """Print both times and how far the values agree."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for model in range(MODELS):
            files.append(Path(folder) / f"model {model:02}.parquet")
            random_table(model).write(files[-1])
        # Both sides begin with everything imported.
        build_leaderboard(read_entries(files[:2]), study="warm", part="cv")
        started = time.perf_counter()
        entries = read_entries(files)
        read = time.perf_counter() - started
        board = build_leaderboard(entries, study="benchmark", part="cv")
        total = time.perf_counter() - started

    tables = [entry.predictions for entry in entries[:LOOPED_MODELS]]
    names = sorted(tables[0].frame["document_id"].unique())[:LOOPED_DOCUMENTS]
    started = time.perf_counter()
    scores = loop(tables, names)
    each = (time.perf_counter() - started) / (LOOPED_DOCUMENTS * LOOPED_MODELS)
    gap = 0.0
    for table, looped in zip(tables, scores, strict=True):
        confusions = document_confusions(table)
        score = partial(macro_f1, labels=confusions.supported)
        found = jackknife(confusions.counts, score, effective_documents=np.asarray(1.0))
        gap = max(gap, float(np.abs(found.replicates[:LOOPED_DOCUMENTS] - looped).max()))

    once = each * MODELS * DOCUMENTS
    pairs = MODELS * (MODELS - 1) // 2
    print(f"{MODELS} models x {REPEATS} repeats x {SENTENCES:,} sentences, {DOCUMENTS} documents")
    print(f"leaderboard: {total:.2f} s, of which reading {read:.2f} s ({len(board.rows)} rows)")
    print(
        f"loop over f1_score, each model without each document once: {once:,.0f} s, "
        f"{once / total:,.0f} x"
    )
    print(
        f"the same written pair by pair ({pairs} pairs): {each * 2 * pairs * DOCUMENTS:,.0f} s, "
        f"{each * 2 * pairs * DOCUMENTS / total:,.0f} x"
    )
    print(
        f"The loops are extrapolated from {LOOPED_DOCUMENTS} documents of {LOOPED_MODELS} models, "
        f"{each * 1e3:.0f} ms for each; their scores and the leaderboard's differ by at most "
        f"{gap:.0e}. They give the intervals and ranks only; the leaderboard also has the labels', "
        "the conflicts' and the calibration's numbers and the optimism."
    )


if __name__ == "__main__":
    main()
