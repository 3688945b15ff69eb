"""Scores of confusion matrices, over any number of leading axes at once.

Every function takes counts of shape (..., L, L), gold label in the rows and predicted label in
the columns, and returns shape (...) or, per label, (..., L). Counts may be fractions, as in a
weighted bootstrap. A score whose denominator is zero is 0, as in scikit-learn with
``zero_division=0``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Array:
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    return np.asarray(np.divide(top, bottom, out=np.zeros(top.shape), where=bottom > 0))


def _diagonal(confusion: Array) -> Array:
    return np.asarray(np.diagonal(confusion, axis1=-2, axis2=-1))


def precision_per_label(confusion: Array) -> Array:
    """Return TP / (TP + FP) of each label, shape (..., L); 0 where a label is never predicted."""
    return _ratio(_diagonal(confusion), confusion.sum(axis=-2))


def recall_per_label(confusion: Array) -> Array:
    """Return TP / (TP + FN) of each label, shape (..., L); 0 where a label has no sentence."""
    return _ratio(_diagonal(confusion), confusion.sum(axis=-1))


def f1_per_label(confusion: Array) -> Array:
    """Return 2 TP / (2 TP + FP + FN) of each label, shape (..., L).

    >>> import numpy as np
    >>> f1_per_label(np.array([[3.0, 1.0], [2.0, 4.0]])).round(4).tolist()
    [0.6667, 0.7273]
    """
    return _ratio(2 * _diagonal(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: Array, *, labels: Mask) -> Array:
    """Return the unweighted mean of the F1 of the chosen labels, shape (...).

    Parameters
    ----------
    confusion : ndarray, shape (..., L, L)
    labels : bool ndarray, shape (L,)
        The labels that count: those that some gold sentence of the part bears. They are given,
        not read off ``confusion``, so that every resample of a part averages the same labels.

    Raises
    ------
    ValueError
        When no label is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> both = np.array([True, True])
    >>> round(float(macro_f1(np.array([[3.0, 1.0], [2.0, 4.0]]), labels=both)), 4)
    0.697
    """
    if not labels.any():
        raise ValueError("macro-F1 needs at least one label; the mask chooses none")
    return np.asarray(f1_per_label(confusion)[..., labels].mean(axis=-1))


def weighted_f1(confusion: Array) -> Array:
    """Return the mean of the F1 of all labels, each by its gold sentences, shape (...).

    0 without sentences. It is what scikit-learn calls ``f1_score(average="weighted")``.

    Parameters
    ----------
    confusion : ndarray, shape (..., L, L)

    Examples
    --------
    >>> import numpy as np
    >>> round(float(weighted_f1(np.array([[3.0, 1.0], [2.0, 4.0]]))), 4)
    0.703
    """
    gold = confusion.sum(axis=-1)
    return _ratio((f1_per_label(confusion) * gold).sum(axis=-1), gold.sum(axis=-1))


def accuracy(confusion: Array) -> Array:
    """Return the share of the sentences on the diagonal, shape (...)."""
    return _ratio(_diagonal(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: Array) -> Array:
    """Return the mean recall of the labels that have gold sentences, shape (...)."""
    supported = confusion.sum(axis=-1) > 0
    recalls = recall_per_label(confusion)
    return _ratio((recalls * supported).sum(axis=-1), supported.sum(axis=-1))


def matthews_corrcoef(confusion: Array) -> Array:
    """Return Matthews' correlation for several labels, shape (...); 0 where it is undefined.

    It is undefined where only one label is predicted, or only one is gold.
    Source: Gorodkin (2004), Computational Biology and Chemistry 28, 367-374 (R_K).

    >>> import numpy as np
    >>> round(float(matthews_corrcoef(np.array([[3.0, 1.0], [2.0, 4.0]]))), 4)
    0.4082
    """
    gold, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = confusion.sum(axis=(-2, -1))
    covariance = _diagonal(confusion).sum(axis=-1) * total - (gold * predicted).sum(axis=-1)
    spread_gold = total**2 - (gold**2).sum(axis=-1)
    spread_predicted = total**2 - (predicted**2).sum(axis=-1)
    return _ratio(covariance, np.sqrt(spread_gold * spread_predicted))


def cohen_kappa(confusion: Array) -> Array:
    """Return Cohen's kappa of gold and predicted labels, shape (...); 0 where it is undefined.

    It is undefined where all sentences bear, and are given, one and the same label.
    Source: Cohen (1960), Educational and Psychological Measurement 20, 37-46.

    >>> import numpy as np
    >>> round(float(cohen_kappa(np.array([[3.0, 1.0], [2.0, 4.0]]))), 4)
    0.4
    """
    gold, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = confusion.sum(axis=(-2, -1))
    by_chance = (gold * predicted).sum(axis=-1)
    return _ratio(_diagonal(confusion).sum(axis=-1) * total - by_chance, total**2 - by_chance)
