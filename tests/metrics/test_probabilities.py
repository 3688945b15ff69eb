"""Log loss and Brier score against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from sitrepbench.metrics.probabilities import brier_scores, log_losses


@pytest.mark.parametrize("seed", range(5))
def test_means_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), 50)
    # Some rows that are quite sure, and one that is quite wrong.
    probabilities[:5] = np.eye(4)[[0, 1, 2, 3, 0]]
    gold = rng.integers(0, 4, 50)
    gold[:5] = [0, 1, 2, 3, 1]
    labels = range(4)
    assert log_losses(probabilities, gold).mean() == pytest.approx(
        log_loss(gold, probabilities, labels=labels)
    )
    assert brier_scores(probabilities, gold).mean() == pytest.approx(
        brier_score_loss(gold, probabilities, labels=labels)
    )


def test_a_sure_mistake_costs_a_finite_amount() -> None:
    sure = np.array([[1.0, 0.0]])
    assert log_losses(sure, np.array([1]))[0] == pytest.approx(36.0437, abs=1e-4)
    assert brier_scores(sure, np.array([1]))[0] == 2
    assert log_losses(sure, np.array([0]))[0] == brier_scores(sure, np.array([0]))[0] == 0
