"""Paired differences: exact where they must be, and right in 95 % of simulated corpora."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import accuracy, f1_per_label, macro_f1
from sitrepbench.stats.intervals import jackknife, proportion_interval
from sitrepbench.stats.paired import (
    difference_distribution,
    label_differences,
    paired_difference,
)

LABELS = ("a", "b", "c")
ALL = np.ones(3, dtype=bool)
MACRO = partial(macro_f1, labels=ALL)


def confusions(counts: np.ndarray) -> DocumentConfusions:
    """Make them of counts of shape (n_documents, L, L)."""
    n = len(counts)
    names = tuple(f"d{number:06d}" for number in range(n))
    full = counts[np.newaxis].astype(float)
    return DocumentConfusions(names, ("",) * n, LABELS, full, full)


def draw(n_documents: int, skill: tuple[float, float], rng: np.random.Generator) -> tuple:
    """Draw two models' confusions on the same documents, which are hard or easy for both."""
    lengths = 3 + rng.poisson(12, n_documents)
    mix = rng.dirichlet([1.0, 0.6, 1.4], n_documents)
    gold = rng.multinomial(lengths, mix)
    hard = rng.normal(0, 0.8, n_documents)
    models = []
    for level in skill:
        own = rng.normal(0, 0.3, n_documents)
        right = 1 / (1 + np.exp(-(level + hard + own)))
        rows = np.full((n_documents, 3, 3), 0.0)
        rows[:] = ((1 - right) / 2)[:, None, None]
        rows[:, range(3), range(3)] = right[:, None]
        models.append(confusions(rng.multinomial(gold, rows)))
    return tuple(models)


def test_interval_holds_the_true_difference() -> None:
    rng = np.random.default_rng(3)
    skill = (1.2, 0.8)
    one, other = draw(100_000, skill, rng)
    truth = float(MACRO(one.pooled)[0] - MACRO(other.pooled)[0])
    held = below = 0
    widths, alone = [], []
    n_corpora = 500
    for _ in range(n_corpora):
        one, other = draw(30, skill, rng)
        found = paired_difference(one, other, MACRO)
        held += found.low <= truth <= found.high
        below += found.high < truth
        widths.append(found.high - found.low)
        low, high = proportion_interval(
            jackknife(one.counts, MACRO, effective_documents=np.array(30.0))
        )
        alone.append(float(high - low))
    # Two standard errors of 500 corpora are 0.02.
    assert 0.93 <= held / n_corpora <= 0.98
    assert below / n_corpora < 0.05
    # The pairing is what it is for: narrower than two intervals of their own.
    assert np.mean(widths) < np.sqrt(2) * np.mean(alone)


def test_a_model_does_not_differ_from_itself() -> None:
    one, other = draw(20, (1.0, 0.5), np.random.default_rng(0))
    same = paired_difference(one, one, MACRO)
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0)
    there, back = paired_difference(one, other, MACRO), paired_difference(other, one, MACRO)
    assert there.estimate == pytest.approx(-back.estimate)
    assert there.low == pytest.approx(-back.high)


def test_repeats_count_as_their_mean() -> None:
    one, other = draw(12, (1.0, 0.5), np.random.default_rng(1))
    twice = replace(one, counts=np.concatenate([one.counts, one.counts]))
    found, plain = (
        paired_difference(twice, other, accuracy),
        paired_difference(one, other, accuracy),
    )
    assert found.estimate == pytest.approx(plain.estimate)
    assert found.low == pytest.approx(plain.low)


def test_one_document_has_no_interval() -> None:
    one, other = draw(1, (1.0, 0.5), np.random.default_rng(1))
    found = paired_difference(one, other, accuracy)
    assert np.isfinite(found.estimate)
    assert np.isnan([found.low, found.high]).all()


def test_other_documents_or_labels_are_refused() -> None:
    one, other = draw(5, (1.0, 0.5), np.random.default_rng(1))
    with pytest.raises(DataError, match=r"same documents; 2 are in one .* 'd000000'"):
        paired_difference(one, replace(other, documents=("x", *one.documents[1:])), MACRO)
    with pytest.raises(DataError, match="labels differ"):
        paired_difference(one, replace(other, labels=("a", "b", "d")), MACRO)
    relabelled = other.counts.copy()
    relabelled[0, 2, [0, 1]] = relabelled[0, 2, [1, 0]] + [[1.0], [0.0]]
    with pytest.raises(DataError, match=r"same gold labels; 1 document.* 'd000002'"):
        paired_difference(one, replace(other, counts=relabelled), MACRO)


def test_p_value_of_a_mean_difference_is_the_paired_t_test() -> None:
    # One label, documents of one length, all of the same weight: accuracy is a plain mean.
    rng = np.random.default_rng(7)
    models, shares = [], []
    for skill in (0.7, 0.6):
        right = rng.binomial(20, skill, 15).astype(float)
        counts = np.zeros((15, 3, 3))
        counts[:, 0, 0], counts[:, 0, 1] = right, 20 - right
        models.append(confusions(counts))
        shares.append(right / 20)
    found = paired_difference(*models, accuracy)
    expected = stats.ttest_rel(*shares)
    assert found.standard_error == pytest.approx(found.estimate / expected.statistic)
    # Of the label's weight, predictions are a part: documents are not quite of one weight.
    assert found.degrees_of_freedom == pytest.approx(14, abs=0.2)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.05)
    t = abs(found.estimate) / found.standard_error
    assert found.p_value == pytest.approx(2 * stats.t.sf(t, found.degrees_of_freedom))


@pytest.mark.parametrize("seed", range(8))
def test_p_value_and_interval_agree(seed: int) -> None:
    one, other = draw(25, (1.0, 0.75), np.random.default_rng(seed))
    found = paired_difference(one, other, MACRO)
    for level in (0.8, 0.95, 1 - found.p_value - 1e-6, 1 - found.p_value + 1e-6):
        interval = paired_difference(one, other, MACRO, level=level)
        assert (interval.low <= 0 <= interval.high) == (found.p_value >= 1 - level)


def test_p_values_at_the_edges() -> None:
    one, _ = draw(20, (1.0, 0.5), np.random.default_rng(0))
    assert paired_difference(one, one, MACRO).p_value == 1.0
    all_right, all_wrong = np.zeros((9, 3, 3)), np.zeros((9, 3, 3))
    all_right[:, 0, 0] = all_wrong[:, 0, 1] = 5
    # Nine documents that all say the same: one side in 2 ** 8 flips of their signs.
    found = paired_difference(confusions(all_right), confusions(all_wrong), accuracy)
    assert found.estimate == 1.0
    assert found.p_value == pytest.approx(0.5**8, rel=0.2)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    single = draw(1, (1.0, 0.5), np.random.default_rng(1))
    assert np.isnan(paired_difference(*single, accuracy).p_value)


def test_label_differences_are_one_paired_difference_each() -> None:
    one, other = draw(30, (1.2, 0.6), np.random.default_rng(2))
    found = label_differences(one, other)
    assert list(found) == list(LABELS)
    for index, label in enumerate(LABELS):
        alone = paired_difference(
            one, other, lambda counts, at=index: f1_per_label(counts)[..., at]
        )
        assert found[label].estimate == pytest.approx(alone.estimate)
        assert found[label].standard_error == pytest.approx(alone.standard_error)
        # Its own documents count, not the mean over the labels.
        assert found[label].degrees_of_freedom != alone.degrees_of_freedom
    without = np.where(np.arange(3)[:, np.newaxis] == 1, 0, one.counts[0])
    assert list(label_differences(confusions(without), confusions(without))) == ["a", "c"]


def test_resamples_of_a_difference_draw_the_same_documents_for_both() -> None:
    one, other = draw(80, (1.2, 0.6), np.random.default_rng(4))
    values = difference_distribution(one, other, MACRO, n_resamples=3000)
    found = paired_difference(one, other, MACRO)
    assert values.shape == (3000,)
    assert values.mean() == pytest.approx(found.estimate, abs=0.01)
    assert values.std() == pytest.approx(found.standard_error, rel=0.12)
    assert (difference_distribution(one, one, MACRO, n_resamples=50) == 0).all()
