"""McNemar, Holm, Nadeau-Bengio and power, against libraries and published worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from sitrepbench.errors import DataError
from sitrepbench.stats.mcnemar import exact_p, mcnemar
from sitrepbench.stats.multiple import holm
from sitrepbench.stats.paired import PairedDifference
from sitrepbench.stats.power import minimum_detectable_difference, power_at
from sitrepbench.stats.resampled import nadeau_bengio


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_scipys_binomial_test(only_one: int, only_other: int) -> None:
    if only_one + only_other:
        expected = stats.binomtest(only_one, only_one + only_other).pvalue
        assert exact_p(only_one, only_other) == pytest.approx(expected, rel=1e-9)
    else:
        assert exact_p(0, 0) == 1.0


def test_mcnemar_on_agrestis_approval_ratings() -> None:
    # Agresti (2013), Categorical Data Analysis, table 11.1: 1,600 people rate a prime minister
    # twice; z = (86 - 150) / sqrt(86 + 150) = -4.17, and its normal p-value is 0.00003.
    first = np.repeat([1, 1, 0, 0], [794, 150, 86, 570])
    second = np.repeat([1, 0, 1, 0], [794, 150, 86, 570])
    found = mcnemar(first, second)
    assert (found.only_one, found.only_other) == (150, 86)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(4.17), rel=0.3)


def test_mcnemar_refuses_other_sentences() -> None:
    with pytest.raises(DataError, match=r"shapes \(3,\) and \(2,\)"):
        mcnemar([1, 0, 1], [1, 0])


def test_holm_on_benjamini_and_hochbergs_example() -> None:
    # Benjamini & Hochberg (1995), JRSS B 57, 289-300, section 4.1: fifteen p-values, of which
    # procedures that keep the familywise error reject the first three at 0.05.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p_values += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000]
    adjusted = holm(p_values)
    assert (adjusted <= 0.05).tolist() == [True] * 3 + [False] * 12
    np.testing.assert_allclose(adjusted[:4], [0.0015, 0.0056, 0.0247, 0.114])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_the_step_down_loop(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected: set[int] = set()
        for step, index in enumerate(np.argsort(p_values, kind="stable")):
            if p_values[index] * (len(p_values) - step) > level:
                break
            rejected.add(int(index))
        assert {int(index) for index in np.flatnonzero(adjusted <= level)} == rejected
    assert (adjusted >= np.minimum(p_values, 1)).all()


def test_holm_at_the_edges() -> None:
    assert holm([]).shape == (0,)
    np.testing.assert_array_equal(holm([math.nan, 0.02, 0.9]), [math.nan, 0.06, 1.0])
    with pytest.raises(DataError, match=r"2 of 3 p-values .* number 1 \(from 0\): 1.5"):
        holm([0.1, 1.5, -0.1])
    with pytest.raises(DataError, match=r"not of shape \(1, 2\)"):
        holm([[0.1, 0.2]])


@pytest.mark.slow
def test_nadeau_bengio_on_scikit_learns_example() -> None:
    # The scikit-learn user guide's "Statistical comparison of models using grid search": two
    # support vector machines in 10 x 10 folds, corrected t = 0.750 with p = 0.227 (one-sided),
    # where the plain t-test has 2.611 and 0.005.
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), X, y, scoring="roc_auc", cv=folds)
        for kernel in ("rbf", "linear")
    )
    found = nadeau_bengio(rbf - linear, n_train=90, n_test=10)
    assert found.statistic == pytest.approx(0.750, abs=0.0005)
    assert found.p_value / 2 == pytest.approx(0.227, abs=0.0005)
    plain = stats.ttest_rel(rbf, linear, alternative="greater")
    assert plain.statistic == pytest.approx(2.611, abs=0.0005)


def test_nadeau_bengio_is_the_plain_t_test_without_shared_data() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, 25)
    found = nadeau_bengio(values, n_train=10**15, n_test=1)
    plain = stats.ttest_1samp(values, 0)
    assert found.statistic == pytest.approx(plain.statistic)
    assert found.p_value == pytest.approx(plain.pvalue)
    interval = plain.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_nadeau_bengio_at_the_edges() -> None:
    same = nadeau_bengio([0.0, 0.0, 0.0], n_train=80, n_test=20)
    assert (same.estimate, same.statistic, same.p_value) == (0.0, 0.0, 1.0)
    sure = nadeau_bengio([0.5, 0.5, 0.5], n_train=80, n_test=20)
    assert (sure.statistic, sure.p_value) == (math.inf, 0.25)
    for bad in ([0.1], [], [0.1, math.nan]):
        with pytest.raises(DataError, match="two or more folds"):
            nadeau_bengio(bad, n_train=80, n_test=20)
    with pytest.raises(DataError, match="1 or more, not 0 and 20"):
        nadeau_bengio([0.1, 0.2], n_train=0, n_test=20)


def seen(standard_error: float, degrees_of_freedom: float) -> PairedDifference:
    return PairedDifference(0.01, -0.1, 0.1, standard_error, degrees_of_freedom, 0.7)


def test_power_on_g_powers_example() -> None:
    # The manual of G*Power 3.1, "Difference between two dependent means": 50 pairs, an effect of
    # 0.421637 standard deviations, two-sided at 0.05: noncentrality 2.981424, power 0.832114.
    error = 1 / np.sqrt(50)
    assert power_at(seen(error, 49), 0.421637) == pytest.approx(0.832114, abs=5e-6)
    least = minimum_detectable_difference(seen(error, 49), power=0.832114)
    assert least == pytest.approx(0.421637, abs=5e-6)


@given(st.floats(1, 300), st.floats(0.5, 0.99), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_minimum_detectable_difference_has_the_wanted_power(
    freedom: float, power: float, level: float
) -> None:
    least = minimum_detectable_difference(seen(0.02, freedom), power=power, level=level)
    critical = stats.t.ppf(0.5 + level / 2, freedom)
    expected = stats.nct.sf(critical, freedom, least / 0.02)
    assert expected == pytest.approx(power, abs=1e-4)
    assert power_at(seen(0.02, freedom), least, level=level) == pytest.approx(power, abs=0.01)


def test_no_spread_says_nothing_of_power() -> None:
    for error in (0.0, math.nan):
        assert math.isnan(minimum_detectable_difference(seen(error, 10)))
        assert math.isnan(power_at(seen(error, 10), 0.1))
    assert power_at(seen(0.02, 10), 0.0) == pytest.approx(0.05)
    with pytest.raises(DataError, match="power must be from 0.5 to below 1"):
        minimum_detectable_difference(seen(0.02, 10), power=0.3)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_that_of_statsmodels(only_one: int, only_other: int) -> None:
    expected = statsmodels_mcnemar([[7, only_one], [only_other, 3]], exact=True).pvalue
    assert exact_p(only_one, only_other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@settings(max_examples=10)  # statsmodels takes a tenth of a second for each
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert holm(np.array(p_values)) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("n_documents", [10, 40, 100])
def test_the_minimum_detectable_difference_is_that_of_statsmodels(n_documents: int) -> None:
    error = 0.02
    found = PairedDifference(0.01, -0.03, 0.05, error, float(n_documents - 1), 0.6)
    effect = TTestPower().solve_power(nobs=n_documents, alpha=0.05, power=0.8)
    expected = effect * error * math.sqrt(n_documents)
    assert minimum_detectable_difference(found) == pytest.approx(expected, rel=1e-4)
