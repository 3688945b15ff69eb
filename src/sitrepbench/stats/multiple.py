"""Several tests at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sitrepbench.errors import DataError

Array = npt.NDArray[np.float64]


def holm(p_values: npt.ArrayLike) -> Array:
    """Return the p-values adjusted for their number, in the same order.

    Rejecting those at or below 0.05 makes any false rejection at all at most 5 % likely, whatever
    the tests have to do with each other. The i-th smallest of m is multiplied by m - i + 1, and
    none may be below a smaller one's (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    Parameters
    ----------
    p_values : array-like, shape (m,)
        A NaN (a test that could not be made) stays one, and counts in m.

    Raises
    ------
    DataError
        When they are not one row of numbers in [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise DataError(f"p-values must be one row of numbers, not of shape {p.shape}")
    outside = np.flatnonzero((p < 0) | (p > 1))
    if outside.size:
        raise DataError(
            f"{outside.size} of {p.size} p-values are outside [0, 1]; the first is number "
            f"{outside[0]} (from 0): {p[outside[0]]}"
        )
    order = np.argsort(p)  # NaN last
    factors = np.arange(p.size, 0, -1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted
