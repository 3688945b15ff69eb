"""The features that speak for each label, read off a fitted linear model or naive Bayes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.naive_bayes import BernoulliNB
from sklearn.svm import SVC, NuSVC

Array = npt.NDArray[np.float64]

#: What weighs less than this share of the label's first feature says nothing.
_LEAST = 0.01
FEATURE_COLUMNS = ("label", "rank", "feature", "weight")


def label_weights(model: Any) -> Array | None:
    """Return how much each feature speaks for each label, shape (n_classes, n_features).

    Of a linear model the coefficients. Of naive Bayes what a feature adds to the label's log
    score, less the mean over the other labels: for two labels, the log-odds ratio. None for any
    other model.

    Examples
    --------
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> model = MultinomialNB().fit([[3, 0], [0, 3]], ["a", "b"])
    >>> label_weights(model).round(3).tolist()
    [[1.386, -1.386], [-1.386, 1.386]]
    """
    n_classes = len(getattr(model, "classes_", ()))
    if n_classes < 2:
        return None
    scores = getattr(model, "feature_log_prob_", None)
    if scores is not None:
        values = np.asarray(scores, dtype=np.float64)
        if isinstance(model, BernoulliNB):
            # A feature that is absent counts too: what its presence changes is the logit.
            values = values - np.log1p(-np.exp(values))
        others = (values.sum(axis=0) - values) / (n_classes - 1)
        return np.asarray(values - others) if len(values) == n_classes else None
    if isinstance(model, (SVC, NuSVC)) and n_classes > 2:
        return None  # one machine for each pair of labels: no weight belongs to one label
    return _coefficients(getattr(model, "coef_", None), n_classes)


def _coefficients(coefficients: Any, n_classes: int) -> Array | None:
    if coefficients is None:
        return None
    dense = coefficients.toarray() if hasattr(coefficients, "toarray") else coefficients
    values = np.atleast_2d(np.asarray(dense, dtype=np.float64))
    if len(values) == 1 and n_classes == 2:
        # Two labels share one row, which speaks for the second.
        values = np.vstack([-values, values])
    return values if len(values) == n_classes else None


def top_features(model: Any, names: Sequence[str], *, n_features: int) -> pd.DataFrame | None:
    """Return the features that speak most for each label.

    Parameters
    ----------
    model : classifier
        Fitted.
    names : sequence of str, length n_features
        What the features are called.
    n_features : int
        How many per label; only those that speak for it.

    Returns
    -------
    DataFrame or None
        Columns `FEATURE_COLUMNS`, ``rank`` from 1; None where the model has no such weights.
    """
    weights = label_weights(model)
    if weights is None or weights.shape[1] != len(names):
        return None
    # What kind a feature is of need not be said where all are of one kind.
    kinds = {_split(name)[0] for name in names}
    rows = []
    for label, own in zip(model.classes_, weights, strict=True):
        best = np.argsort(-own, kind="stable")[:n_features]
        for rank, at in enumerate(best, start=1):
            if own[at] > _LEAST * own[best[0]] > 0:
                rows.append(
                    (
                        str(label),
                        rank,
                        shown_feature(names[at], kind=len(kinds) > 1),
                        float(own[at]),
                    )
                )
    return pd.DataFrame(rows, columns=list(FEATURE_COLUMNS))


def shown_feature(name: str, *, kind: bool = True) -> str:
    """Return a feature's name without the names of the steps around its own.

    Characters are put in quotation marks: their spaces count. Without ``kind``, the name of its
    own step goes too.

    >>> shown_feature("text__chars__ kil"), shown_feature("word__shot dead", kind=False)
    ("chars ' kil'", 'shot dead')
    """
    step, last = _split(name)
    told = f"'{last}'" if last != last.strip() or step.startswith("char") else last
    return f"{step} {told}".strip() if kind else told


def _split(name: str) -> tuple[str, str]:
    *steps, last = str(name).split("__")
    return (steps[-1] if steps else ""), last
