"""What a fitted model answers, and the contract that its answers are held to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sitrepbench.errors import ModelError

#: Predicted labels, shape (n_rows,), and probabilities, shape (n_rows, n_labels) or all NaN.
Answers = tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]
#: How far the probabilities of a row may be from summing to one.
SUM_TOLERANCE = 1e-4


def predict(
    model: Any, inputs: Any, *, n_rows: int, labels: tuple[str, ...], probabilities: bool = True
) -> Answers:
    """Return what a fitted model says of some rows, checked.

    Parameters
    ----------
    model : estimator
        With ``predict`` and perhaps ``predict_proba``.
    inputs : DataFrame, array, sparse matrix or whatever the features give
        What it was fitted on, of other rows.
    n_rows : int
        How many rows there are.
    labels : tuple of str
        The dataset's labels, in their order.
    probabilities : bool
        Whether to ask for probabilities; else they are NaN.

    Raises
    ------
    ModelError
        When an answer breaks the contract: another number of rows, labels that the dataset does
        not have, or probabilities that are none.
    """
    predicted = np.asarray(model.predict(inputs), dtype=object)
    if predicted.shape != (n_rows,):
        raise ModelError(
            f"predict gave an array of shape {predicted.shape} for {n_rows} sentences; "
            "one label per sentence is expected"
        )
    unknown = sorted({str(value) for value in predicted} - set(labels))
    if unknown:
        raise ModelError(
            f"predicted label(s) that the dataset does not have: {', '.join(unknown[:5])}; "
            f"its labels are {', '.join(labels)}"
        )
    found = np.full((n_rows, len(labels)), np.nan)
    if probabilities and hasattr(model, "predict_proba"):
        given = np.asarray(model.predict_proba(inputs), dtype=np.float64)
        _check_probabilities(given, n_rows, len(model.classes_))
        found[:] = 0.0
        found[:, [labels.index(str(name)) for name in model.classes_]] = given
    return predicted, found


def _check_probabilities(given: npt.NDArray[np.float64], n_rows: int, n_classes: int) -> None:
    if given.shape != (n_rows, n_classes):
        raise ModelError(f"predict_proba gave shape {given.shape}, expected {(n_rows, n_classes)}")
    broken = ~np.isfinite(given).all(axis=1)
    if broken.any():
        raise ModelError(
            f"predict_proba gave NaN or infinite values for {int(broken.sum())} of {n_rows} "
            "sentences"
        )
    off = np.abs(given.sum(axis=1) - 1.0)
    if len(off) and (off.max() > SUM_TOLERANCE or given.min() < -SUM_TOLERANCE):
        raise ModelError(
            f"predict_proba gave rows that are no probabilities: sums are off by up to "
            f"{off.max():.3g}, the smallest value is {given.min():.3g}"
        )
