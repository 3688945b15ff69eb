"""Which differences this many documents could have told from chance.

A difference that is not significant is no proof of equality. What a comparison could have found
depends on the spread of the difference between documents and on their number, and not on the
difference that was observed (Hoenig & Heisey 2001, The American Statistician 55, 19-24, on why
power "at the observed effect" says nothing that the p-value does not).
"""

from __future__ import annotations

import math

from scipy.special import nctdtr, nctdtrinc, stdtrit

from sitrepbench.errors import DataError
from sitrepbench.stats.paired import PairedDifference


def minimum_detectable_difference(
    difference: PairedDifference, *, power: float = 0.8, level: float = 0.95
) -> float:
    """Return the smallest true difference that such a comparison would find this often.

    With t the critical value of Student's t, it is d * se where d solves P(T > t) = ``power`` for
    a noncentral t of the difference's degrees of freedom and noncentrality d (Cohen 1988,
    Statistical Power Analysis for the Behavioral Sciences, chapter 2). The other tail's share is
    left out: it is below one in ten thousand from a power of one half.

    Parameters
    ----------
    difference : PairedDifference
        Its standard error and degrees of freedom are used, its estimate is not.
    power : float
        How often the difference would be found, from 0.5 to below 1.
    level : float
        The level of the two-sided test: 0.95 tests at 0.05.

    Returns
    -------
    float
        In the units of the score; NaN where the documents show no spread (one document, or
        predictions that differ nowhere), for then nothing is known of it.

    Raises
    ------
    DataError
        When ``power`` or ``level`` is out of range.

    Examples
    --------
    Fifty pairs, a standard error of 1 point: a difference of 2.9 points is found 8 times in 10.

    >>> seen = PairedDifference(0.3, -1.7, 2.3, 1.0, 49.0, 0.77)
    >>> round(minimum_detectable_difference(seen), 2)
    2.86
    """
    if not 0.5 <= power < 1 or not 0 < level < 1:
        raise DataError(
            f"power must be from 0.5 to below 1 and level between 0 and 1, not {power} and {level}"
        )
    error, freedom = difference.standard_error, difference.degrees_of_freedom
    if not error > 0:
        return math.nan
    critical = float(stdtrit(freedom, 0.5 + level / 2))
    return float(nctdtrinc(freedom, 1 - power, critical)) * error


def power_at(difference: PairedDifference, true_difference: float, *, level: float = 0.95) -> float:
    """Return how often a true difference of this size would be found, by such a comparison.

    Parameters
    ----------
    difference : PairedDifference
        Its standard error and degrees of freedom are used, its estimate is not.
    true_difference : float
        In the units of the score.
    level : float
        The level of the two-sided test.

    Returns
    -------
    float
        Between ``1 - level`` and 1; NaN where the documents show no spread.

    Examples
    --------
    >>> seen = PairedDifference(0.3, -1.7, 2.3, 1.0, 49.0, 0.77)
    >>> round(power_at(seen, 2.86), 2)
    0.8
    """
    error, freedom = difference.standard_error, difference.degrees_of_freedom
    if not error > 0:
        return math.nan
    critical = float(stdtrit(freedom, 0.5 + level / 2))
    shift = abs(true_difference) / error
    found = 1 - float(nctdtr(freedom, shift, critical))
    # Found the wrong way round. Far out that is nothing, and the library answers NaN.
    wrongly = 1 - float(nctdtr(freedom, -shift, critical)) if shift < 5 else 0.0
    return found + wrongly
