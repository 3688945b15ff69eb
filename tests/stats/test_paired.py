"""Paired differences: exact where they must be, and right in 95 % of simulated corpora."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import accuracy, macro_f1
from sitrepbench.stats.intervals import jackknife, proportion_interval
from sitrepbench.stats.paired import paired_difference

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
