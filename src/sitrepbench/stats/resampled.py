"""The corrected resampled t-test for differences fold by fold.

The folds of a cross-validation share training data, and repeated ones share test data too, so
their differences are no independent sample, and the plain t-test finds far too much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from sitrepbench.errors import DataError
from sitrepbench.stats.paired import two_sided_p


@dataclass(frozen=True)
class ResampledTest:
    """A difference over the folds, with Nadeau and Bengio's corrected t-test.

    Parameters
    ----------
    estimate : float
        The mean difference.
    statistic : float
        Corrected t, with one degree of freedom fewer than there are folds.
    p_value : float
        Two-sided, approximate.
    low, high : float
        The ends of the interval, approximate.
    """

    estimate: float
    statistic: float
    p_value: float
    low: float
    high: float


def nadeau_bengio(
    differences: npt.ArrayLike, *, n_train: int, n_test: int, level: float = 0.95
) -> ResampledTest:
    """Test the mean difference over folds, its variance corrected for shared training data.

    The variance of the mean of J differences is taken as (1/J + n_test/n_train) s^2 in place of
    s^2/J (Nadeau & Bengio 2003, Machine Learning 52, 239-281, section 3.3). The correction is an
    approximation, not a bound: it takes the correlation of two folds as n_test / (n_test +
    n_train). It is about models that are fitted anew, unlike `paired_difference`.

    Parameters
    ----------
    differences : array-like, shape (n_folds,)
        One model's score minus the other's, fold by fold, over all repeats.
    n_train, n_test : int
        Units in a fold's training and test data; only the ratio matters.
    level : float
        The wanted coverage.

    Raises
    ------
    DataError
        With fewer than two folds, folds that are not finite or a size below one.

    Examples
    --------
    >>> found = nadeau_bengio([0.02, 0.05, 0.01, 0.04, 0.03], n_train=80, n_test=20)
    >>> round(found.estimate, 3), round(found.statistic, 3), round(found.p_value, 4)
    (0.03, 2.828, 0.0474)
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise DataError(
            "the corrected t-test needs the finite differences of two or more folds, not "
            f"{values.tolist()}"
        )
    if n_train < 1 or n_test < 1:
        raise DataError(f"n_train and n_test must be 1 or more, not {n_train} and {n_test}")
    mean = values.mean()
    freedom = np.asarray(values.size - 1.0)
    error = np.sqrt((1 / values.size + n_test / n_train) * values.var(ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = mean / error if mean != 0 else np.float64(0.0)
    half = float(stdtrit(freedom, 0.5 + level / 2) * error)
    return ResampledTest(
        float(mean),
        float(statistic),
        float(two_sided_p(mean, error, freedom)),
        float(mean) - half,
        float(mean) + half,
    )
