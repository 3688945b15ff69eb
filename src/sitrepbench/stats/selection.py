"""How much too good the best of several models looks.

The best of many is best by merit and by luck, and its score keeps the luck. Choosing on a
resample of the documents and scoring on those left out shows how much (Tsamardinos, Greasidou &
Borboudakis 2018, Machine Learning 107, 1895-1922).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.stats.intervals import Statistic, document_resamples, weighted_scores
from sitrepbench.stats.paired import require_same_documents


@dataclass(frozen=True)
class Optimism:
    """The best model's score, and what of it is the luck of being chosen.

    Parameters
    ----------
    best : int
        Which model scores best; the first of equals.
    apparent : float
        Its score.
    optimism : float
        By how much that is too high on average, for having been chosen on the same documents; 0
        with a single model.
    corrected : float
        ``apparent - optimism``.
    """

    best: int
    apparent: float
    optimism: float
    corrected: float


def best_of_optimism(
    models: Sequence[DocumentConfusions],
    statistic: Statistic,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Optimism:
    """Estimate by how much the best of these models' score is too high.

    In each resample of the documents the best model is chosen, and the documents left out say how
    good it is. The gap between the two scores, less the mean gap of all models (which no choice
    made), is the luck of the choice. A resample of n documents is as noisy as one of n / (2 -
    1/n), so the mean is divided by sqrt(2 - 1/n): that is exact for models that are equally good,
    and errs on the cautious side where they are not.

    Parameters
    ----------
    models : sequence of DocumentConfusions
        All that were tried, of the same documents with the same gold labels.
    statistic : callable
        From confusion counts of shape (..., L, L) to scores of shape (...).
    n_resamples, seed : int
        As for `sitrepbench.stats.intervals.document_resamples`.

    Raises
    ------
    DataError
        Without models or resamples, with fewer than two documents, or when documents, labels or
        gold counts differ.
    """
    if not models or n_resamples < 1:
        raise DataError(
            "the optimism of a choice needs models and resamples; there are "
            f"{len(models)} models and {n_resamples} resamples"
        )
    for other in models[1:]:
        require_same_documents(models[0], other)
    n_documents = len(models[0].documents)
    if n_documents < 2:
        raise DataError(f"documents cannot be left out when there are {n_documents}: 2 are needed")
    scores = np.array([float(statistic(model.pooled).mean()) for model in models])
    best = int(scores.argmax())
    draws = document_resamples(n_documents, n_resamples=n_resamples, seed=seed)
    # A resample that drew every document leaves nothing to score on.
    draws = draws[(draws == 0).any(axis=1)]
    left_out = (draws == 0).astype(np.float64)
    chosen_on, scored_on = (
        np.stack([weighted_scores(model.counts, statistic, weights=each) for model in models])
        for each in (draws, left_out)
    )
    gaps = chosen_on - scored_on
    chosen = np.take_along_axis(gaps, chosen_on.argmax(axis=0)[np.newaxis], axis=0)[0]
    luck = (chosen - gaps.mean(axis=0)).mean() / np.sqrt(2 - 1 / n_documents)
    optimism = max(0.0, float(luck))
    apparent = float(scores[best])
    return Optimism(best, apparent, optimism, apparent - optimism)
