"""Scores of predicted probabilities, one value per prediction.

They are left per row, so that a caller can average them by repeat, document or domain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: The smallest probability that the log loss believes; a surer model cannot lose more than
#: -log(2.2e-16) = 36.04 on one sentence. The bound of scikit-learn for float64.
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


def log_losses(probabilities: Array, gold: npt.NDArray[np.int64]) -> Array:
    """Return ``-log(p of the gold label)`` of every prediction, in nats.

    Parameters
    ----------
    probabilities : float ndarray, shape (n, L)
        Taken as they are: not rescaled to sum to one, but not below `SMALLEST_PROBABILITY`.
    gold : int ndarray, shape (n,)
        The index of the gold label.

    Examples
    --------
    >>> import numpy as np
    >>> log_losses(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])).round(4).tolist()
    [0.6931, 36.0437]
    """
    given = probabilities[np.arange(len(gold)), gold]
    return np.asarray(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)))


def brier_scores(probabilities: Array, gold: npt.NDArray[np.int64]) -> Array:
    """Return the squared distance of every prediction from the truth, between 0 and 2.

    The sum over the labels of (p - 1[gold])^2, the original score for several classes; for two
    labels it is twice the binary Brier score.
    Source: Brier (1950), Monthly Weather Review 78, 1-3.

    Parameters
    ----------
    probabilities : float ndarray, shape (n, L)
    gold : int ndarray, shape (n,)
        The index of the gold label.

    Examples
    --------
    >>> import numpy as np
    >>> brier_scores(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])).tolist()
    [0.5, 2.0]
    """
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(gold)), gold] = 1.0
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))
