"""Jackknife, intervals and bootstrap against naive loops, and at the edges."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sitrepbench.metrics.scores import accuracy, f1_per_label, macro_f1
from sitrepbench.stats.intervals import (
    Jackknife,
    Statistic,
    bootstrap_distribution,
    document_resamples,
    effective_number,
    jackknife,
    label_effective_documents,
    proportion_interval,
)

macro = partial(macro_f1, labels=np.ones(3, dtype=bool))


def random_counts(*, n_repeats: int = 2, n_documents: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, (n_repeats, n_documents, 3, 3)).astype(np.float64)


@pytest.mark.parametrize("statistic", [macro, accuracy, f1_per_label])
def test_jackknife_is_a_loop_that_leaves_a_document_out(statistic: Statistic) -> None:
    counts = random_counts()
    result = jackknife(counts, statistic, effective_documents=np.array(12.0))
    by_hand = [
        np.mean([statistic(np.delete(rep, d, axis=0).sum(axis=0)) for rep in counts], axis=0)
        for d in range(12)
    ]
    np.testing.assert_allclose(result.replicates, by_hand)
    np.testing.assert_allclose(
        result.estimate, np.mean([statistic(rep.sum(axis=0)) for rep in counts], axis=0)
    )
    error = np.sqrt(11 / 12 * np.sum((by_hand - np.mean(by_hand, axis=0)) ** 2, axis=0))
    np.testing.assert_allclose(result.standard_error, error)


def test_standard_error_of_a_mean_is_the_textbook_one() -> None:
    # One sentence per document: accuracy is a plain mean, and the jackknife is exact for it.
    right = np.array([1.0] * 13 + [0.0] * 7)
    counts = np.zeros((1, 20, 2, 2))
    counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 1 - right
    result = jackknife(counts, accuracy, effective_documents=np.array(20.0))
    assert result.standard_error == pytest.approx(right.std(ddof=1) / np.sqrt(20))
    assert result.degrees_of_freedom == 19


def test_interval_of_a_proportion_is_wilsons_up_to_the_quantile() -> None:
    n, p = 200_000, 0.3
    error = np.sqrt(p * (1 - p) / n)
    ends = np.array([p - error, p + error])
    # Replicates with exactly this standard error: two values, n of them.
    spread = error / np.sqrt(n - 1)
    replicates = np.where(np.arange(n) % 2, p + spread, p - spread)
    result = Jackknife(np.array(p), replicates, np.array(float(n)))
    assert result.standard_error == pytest.approx(error)
    low, high = proportion_interval(result)
    expected = stats.binomtest(int(n * p), n).proportion_ci(method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-6)
    assert high == pytest.approx(expected.high, abs=1e-6)
    assert low < ends[0] < ends[1] < high


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, (2, 5, 3, 3), elements=st.integers(0, 3).map(float)).filter(
        lambda counts: (counts.sum(axis=(1, 2, 3)) > 0).all()
    ),
    st.floats(0.5, 0.99),
)
def test_interval_is_within_bounds_around_the_estimate(counts: np.ndarray, level: float) -> None:
    sentences = counts.sum(axis=(0, 2, 3))
    for statistic in (macro, accuracy, f1_per_label):
        result = jackknife(counts, statistic, effective_documents=effective_number(sentences))
        low, high = proportion_interval(result, level=level)
        assert (low >= 0).all()
        assert (high <= 1).all()
        assert (low <= result.estimate).all()
        assert (result.estimate <= high).all()
        assert (low < high).all()


def test_a_higher_level_is_wider() -> None:
    result = jackknife(random_counts(), macro, effective_documents=np.array(12.0))
    low, high = proportion_interval(result, level=0.9)
    lower, higher = proportion_interval(result, level=0.99)
    assert lower < low < high < higher


def test_all_right_is_not_certainty() -> None:
    counts = np.zeros((1, 30, 2, 2))
    counts[..., 0, 0] = counts[..., 1, 1] = 4
    result = jackknife(counts, accuracy, effective_documents=np.array(30.0))
    low, high = proportion_interval(result)
    assert 0.8 < low < 0.95
    assert high == 1


def test_a_label_that_rests_on_one_document_is_open_to_all() -> None:
    counts = np.zeros((1, 30, 2, 2))
    counts[..., 0, 0] = 4
    counts[0, 7, 1, 1] = 3
    effective = label_effective_documents(counts)
    np.testing.assert_allclose(effective, [30, 1])
    low, high = proportion_interval(jackknife(counts, f1_per_label, effective_documents=effective))
    assert low[0] > 0.8
    assert low[1] < 0.01
    assert high[1] == 1


def test_one_document_has_no_interval() -> None:
    result = jackknife(random_counts(n_documents=1), f1_per_label, effective_documents=np.ones(3))
    assert np.isnan(result.standard_error).all()
    for end in proportion_interval(result):
        assert end.shape == (3,)
        assert np.isnan(end).all()


def test_equal_documents_count_in_full_and_absent_ones_not_at_all() -> None:
    weights = np.array([[3.0, 0.0, 1.0], [3.0, 0.0, 1.0], [3.0, 0.0, 0.0]])
    np.testing.assert_allclose(effective_number(weights), [3, 0, 2])


def test_documents_weigh_by_their_gold_and_predicted_sentences() -> None:
    counts = random_counts(n_documents=7)
    weights = [
        sum(counts[r, d, 1, :].sum() + counts[r, d, :, 1].sum() for r in range(2)) for d in range(7)
    ]
    expected = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    assert label_effective_documents(counts)[1] == pytest.approx(expected)


def test_bootstrap_is_a_loop_over_the_same_draws() -> None:
    counts = random_counts(n_repeats=3)
    draws = document_resamples(12, n_resamples=25, seed=7)
    by_hand = [
        np.mean(
            [
                macro(np.concatenate([rep[[d]] for d in np.repeat(range(12), n)]).sum(axis=0))
                for rep in counts
            ]
        )
        for n in draws.astype(int)
    ]
    values = bootstrap_distribution(counts, macro, n_resamples=25, seed=7)
    np.testing.assert_allclose(values, by_hand)
    several = bootstrap_distribution(counts, f1_per_label, n_resamples=25, seed=7)
    np.testing.assert_allclose(several.mean(axis=1), values)


def test_resamples_draw_as_many_documents_as_there_are() -> None:
    draws = document_resamples(30, n_resamples=200, seed=1)
    assert draws.shape == (200, 30)
    assert (draws.sum(axis=1) == 30).all()
    assert (draws != document_resamples(30, n_resamples=200, seed=2)).any()
    np.testing.assert_array_equal(draws, document_resamples(30, n_resamples=200, seed=1))


def test_bootstrap_and_jackknife_agree_on_the_spread() -> None:
    counts = random_counts(n_documents=100)
    values = bootstrap_distribution(counts, macro, n_resamples=4000, seed=0)
    error = jackknife(counts, macro, effective_documents=np.array(100.0)).standard_error
    assert values.std() == pytest.approx(float(error), rel=0.08)
