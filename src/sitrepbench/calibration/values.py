"""How sure a fitted model is of each label, on one scale for probabilities and decision values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sitrepbench.errors import ModelError

Array = npt.NDArray[np.float64]

#: Probabilities are no nearer to 0 or 1 than this before their logarithm is taken.
SMALLEST = float(np.finfo(np.float64).eps)
#: What is asked for decision values, in this order; the first that a model has counts.
ASKED = ("predict_proba", "decision_function")


def check_answers(model: Any) -> None:
    """Refuse a model that says only which label, and not how sure it is.

    Raises
    ------
    ModelError
        When it has neither ``predict_proba`` nor ``decision_function``.
    """
    if not any(hasattr(model, name) for name in ASKED):
        raise ModelError(
            f"{type(model).__name__} has neither predict_proba nor decision_function, so there is "
            "nothing to calibrate; use calibrator=none"
        )


def label_values(model: Any, inputs: Any, *, n_rows: int, labels: tuple[str, ...]) -> Array:
    """Return logarithms of a fitted model's probabilities, else its decision values.

    Parameters
    ----------
    model : estimator
        Fitted.
    inputs : DataFrame, array or matrix
        Of ``n_rows`` rows.
    n_rows : int
        How many rows there are.
    labels : tuple of str
        The dataset's labels, in order.

    Returns
    -------
    ndarray, shape (n_rows, L)
        Larger is surer; minus infinity for a label that the model has not met.

    Raises
    ------
    ModelError
        When the model has no such answers, or they are of another shape or not finite.
    """
    check_answers(model)
    asked = next(name for name in ASKED if hasattr(model, name))
    given = np.asarray(getattr(model, asked)(inputs), dtype=np.float64)
    if asked == "decision_function" and given.ndim == 1 and len(model.classes_) == 2:
        # One value for two labels: how much more the second is meant than the first.
        given = np.stack([-given / 2, given / 2], axis=1)
    if given.shape != (n_rows, len(model.classes_)):
        raise ModelError(
            f"{asked} gave shape {given.shape}, expected {(n_rows, len(model.classes_))}; it "
            "cannot be calibrated"
        )
    if not np.isfinite(given).all():
        raise ModelError(f"{asked} gave NaN or infinite values; they cannot be calibrated")
    if asked == "predict_proba":
        given = np.log(np.clip(given, SMALLEST, 1.0 - SMALLEST))
    values = np.full((n_rows, len(labels)), -np.inf)
    values[:, [labels.index(str(name)) for name in model.classes_]] = given
    return values
