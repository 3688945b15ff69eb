"""Time of paired comparisons, randomisation tests and rankings beside loops over scikit-learn.

    python benchmarks/comparisons.py

Random predictions of 5,000 sentences in 250 documents. The loops are what a user would write:
collect the sentences of the drawn or swapped documents, and call ``f1_score`` for each model.
Only a few turns of a loop are made and scaled up. The values are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from sitrepbench.metrics.confusion import DocumentConfusions, grouped_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.stats.intervals import document_resamples
from sitrepbench.stats.paired import difference_distribution
from sitrepbench.stats.randomisation import randomisation_test
from sitrepbench.stats.ranks import rank_models
from sitrepbench.stats.selection import best_of_optimism

DOCUMENTS, SENTENCES, LABELS = 250, 5_000, 5
MODELS, REPEATS = 30, 5
RESAMPLES, PERMUTATIONS, LOOPED = 2_000, 9_999, 20
STATISTIC = partial(macro_f1, labels=np.ones(LABELS, dtype=bool))
Codes = np.ndarray


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that the work took, and what it returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def confusions(document: Codes, gold: Codes, predicted: Codes) -> DocumentConfusions:
    """Count one model's predictions of shape (n_repeats, n_sentences)."""
    counts = np.stack(
        [grouped_confusions(document, gold, each, (DOCUMENTS, LABELS)) for each in predicted]
    )
    names = tuple(f"d{number:03d}" for number in range(DOCUMENTS))
    return DocumentConfusions(names, ("",) * DOCUMENTS, tuple("abcde"), counts, counts)


def macro(gold: Codes, predicted: Codes) -> float:
    """Return what a user would."""
    return float(f1_score(gold, predicted, average="macro"))


def loop_resamples(document: Codes, gold: Codes, one: Codes, other: Codes) -> list[float]:
    """Score the sentences of the drawn documents with both models, resample by resample."""
    rows = [np.flatnonzero(document == number) for number in range(DOCUMENTS)]
    values = []
    for draw in document_resamples(DOCUMENTS, n_resamples=RESAMPLES, seed=0)[:LOOPED]:
        drawn = np.repeat(np.arange(DOCUMENTS), draw.astype(int))
        sample = np.concatenate([rows[number] for number in drawn])
        values.append(macro(gold[sample], one[sample]) - macro(gold[sample], other[sample]))
    return values


def loop_permutations(document: Codes, gold: Codes, one: Codes, other: Codes) -> None:
    """Swap the models' predictions document by document, and score both."""
    rng = np.random.default_rng(0)
    for _ in range(LOOPED):
        swap = rng.integers(0, 2, DOCUMENTS).astype(bool)[document]
        macro(gold, np.where(swap, other, one)), macro(gold, np.where(swap, one, other))


def loop_models(document: Codes, gold: Codes, predicted: Codes) -> None:
    """Leave out one document at a time, for one model and repeat: all pairs can share these."""
    for number in range(LOOPED):
        keep = document != number
        macro(gold[keep], predicted[0, 0, keep])


def line(what: str, theirs: float, ours: float) -> None:
    print(f"{what:44s} {theirs:10.2f} s {ours:9.4f} s {theirs / ours:10,.0f} x")


def main() -> None:
    """Print the times and their ratios."""
    rng = np.random.default_rng(0)
    document = np.sort(rng.integers(0, DOCUMENTS, SENTENCES))
    gold = rng.integers(0, LABELS, SENTENCES)
    random = rng.integers(0, LABELS, (MODELS, REPEATS, SENTENCES))
    right = rng.random((MODELS, REPEATS, SENTENCES)) < rng.uniform(0.5, 0.8, (MODELS, 1, 1))
    predicted = np.where(right, gold, random)
    one, other = predicted[0, 0], predicted[1, 0]

    print(f"{SENTENCES:,} sentences, {DOCUMENTS} documents, macro-F1")
    print(f"{'':44s} {'f1_score':>12s} {'sitrepbench':>11s} {'ratio':>12s}")

    def paired() -> np.ndarray:
        first, second = (confusions(document, gold, each[np.newaxis]) for each in (one, other))
        return difference_distribution(first, second, STATISTIC, n_resamples=RESAMPLES)

    theirs, looped = timed(lambda: loop_resamples(document, gold, one, other))
    ours, values = timed(paired)
    line(f"{RESAMPLES:,} paired resamples", theirs * RESAMPLES / LOOPED, ours)
    print(
        f"{'  largest difference of the values':44s} {np.abs(values[:LOOPED] - looped).max():.1e}"
    )

    def randomised() -> float:
        first, second = (confusions(document, gold, each[np.newaxis]) for each in (one, other))
        return randomisation_test(first, second, STATISTIC, n_permutations=PERMUTATIONS)

    theirs, _ = timed(lambda: loop_permutations(document, gold, one, other))
    line(f"{PERMUTATIONS:,} permutations", theirs * PERMUTATIONS / LOOPED, timed(randomised)[0])

    theirs, _ = timed(lambda: loop_models(document, gold, predicted))
    pairs = MODELS * (MODELS - 1) // 2
    scale = MODELS * REPEATS * DOCUMENTS / LOOPED
    ours, models = timed(lambda: [confusions(document, gold, each) for each in predicted])
    ranked, _ = timed(lambda: rank_models(models, STATISTIC))
    line(f"all {pairs} pairs of {MODELS} models x {REPEATS} repeats", theirs * scale, ours + ranked)
    chosen, _ = timed(lambda: best_of_optimism(models, STATISTIC))
    print(f"{'optimism of the best, 1,000 resamples':44s} {'':12s} {chosen:9.4f} s")


if __name__ == "__main__":
    main()
