"""How long do intervals take, beside the loop over scikit-learn that a user would write?

    python benchmarks/intervals.py

5,000 sentences in 250 documents, 2,000 resamples of the documents. The loop is timed on 40
resamples and scaled up; both see the same draws, and their values are compared.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from sitrepbench.labels import LABELS
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.metrics.summary import summarise
from sitrepbench.predictions import PredictionsTable
from sitrepbench.stats.intervals import bootstrap_distribution, document_resamples

DOCUMENTS = 250
SENTENCES = 5_000
RESAMPLES = 2_000
LOOPED = 40


def random_table() -> PredictionsTable:
    """5,000 sentences with about 70 % of the predictions right."""
    generator = np.random.default_rng(0)
    gold = generator.choice(LABELS, SENTENCES, p=[0.22, 0.08, 0.15, 0.09, 0.46])
    wrong = generator.random(SENTENCES) < 0.35
    frame = pd.DataFrame(
        {
            "sentence_id": [f"s{number}" for number in range(SENTENCES)],
            "document_id": [f"d{number % DOCUMENTS}" for number in range(SENTENCES)],
            "domain": "",
            "part": "test",
            "repeat": 0,
            "fold": 0,
            "label": gold,
            "secondary": "",
            "predicted": np.where(wrong, generator.choice(LABELS, SENTENCES), gold),
        }
    )
    for label in LABELS:
        frame[f"p_{label}"] = np.nan
    return PredictionsTable(frame, LABELS)


def loop(table: PredictionsTable, draws: np.ndarray) -> list[float]:
    """Collect the drawn documents' rows and call scikit-learn, resample by resample."""
    gold, predicted = table.codes("label"), table.codes("predicted")
    rows = list(table.frame.groupby("document_id", sort=True).indices.values())
    values = []
    for draw in draws:
        drawn = np.repeat(np.arange(len(rows)), draw.astype(int))
        sample = np.concatenate([rows[document] for document in drawn])
        values.append(f1_score(gold[sample], predicted[sample], average="macro"))
    return values


def main() -> None:
    """Print the times and their ratio."""
    table = random_table()
    draws = document_resamples(DOCUMENTS, n_resamples=RESAMPLES, seed=1)

    start = time.perf_counter()
    looped = loop(table, draws[:LOOPED])
    theirs = (time.perf_counter() - start) * RESAMPLES / LOOPED

    start = time.perf_counter()
    confusions = document_confusions(table)
    statistic = partial(macro_f1, labels=confusions.supported)
    ours_values = bootstrap_distribution(
        confusions.counts, statistic, n_resamples=RESAMPLES, seed=1
    )
    ours = time.perf_counter() - start

    start = time.perf_counter()
    summarise(table, "test")
    whole = time.perf_counter() - start

    difference = float(np.abs(ours_values[:LOOPED] - looped).max())
    print(f"{RESAMPLES:,} resamples of {DOCUMENTS} documents, {SENTENCES:,} sentences, macro-F1")
    print(f"loop over f1_score   {theirs:9.2f} s (scaled up from {LOOPED} resamples)")
    print(f"sitrepbench          {ours:9.4f} s, {theirs / ours:,.0f} times as fast")
    print(f"largest difference   {difference:9.1e}")
    print(f"the whole summary    {whole:9.4f} s (all metrics, intervals and tables)")


if __name__ == "__main__":
    main()
