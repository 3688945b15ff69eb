"""Approximate randomisation against a published example, scipy and a plain loop."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import accuracy, macro_f1
from sitrepbench.stats.randomisation import randomisation_test
from sitrepbench.stats.simulation import DESIGNS, simulate_models, simulated_confusions, with_skill

MACRO = partial(macro_f1, labels=np.ones(5, dtype=bool))

#: Darwin's maize: crossed less self-fertilised plants of 15 pairs, in eighths of an inch.
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)


def with_right(right: np.ndarray) -> DocumentConfusions:
    """Make a hundred sentences per document, so many of them right."""
    counts = np.zeros((len(right), 2, 2))
    counts[:, 0, 0], counts[:, 0, 1] = right, 100 - right
    return simulated_confusions(counts)


def pair(n_documents: int, worse: float = -0.4, seed: int = 0) -> list[DocumentConfusions]:
    designs = [DESIGNS[1], with_skill(DESIGNS[1], worse)]
    drawn = simulate_models(designs, n_corpora=1, n_documents=n_documents, seed=seed)
    return [simulated_confusions(counts[0]) for counts in drawn]


def test_fishers_example() -> None:
    # Fisher (1935), The Design of Experiments, section 21: of the 32,768 ways to swap, 1,726 make
    # a difference as large.
    values = np.array(DARWIN)
    one, other = with_right(np.maximum(values, 0)), with_right(np.maximum(-values, 0))
    found = randomisation_test(one, other, accuracy, n_permutations=99_999)
    # Its standard error is 0.0007.
    assert found == pytest.approx(1726 / 32768, abs=0.0025)


def test_scipys_exact_test_on_the_same_documents() -> None:
    one, other = pair(11)

    def difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        return first.sum(axis=axis) - second.sum(axis=axis)

    right = [np.trace(each.counts[0], axis1=1, axis2=2) for each in (one, other)]
    exact = stats.permutation_test(right, difference, permutation_type="samples", vectorized=True)
    found = randomisation_test(one, other, accuracy, n_permutations=50_000)
    assert found == pytest.approx(exact.pvalue, abs=0.01)


def test_it_is_a_loop_that_swaps_documents() -> None:
    one, other = pair(6, worse=-0.2)
    wanted = abs(MACRO(one.pooled)[0] - MACRO(other.pooled)[0])
    every = []
    for code in range(2**6):
        swap = code >> np.arange(6)[:, None, None] & 1
        first = np.where(swap, other.counts[0], one.counts[0]).sum(axis=0)
        second = np.where(swap, one.counts[0], other.counts[0]).sum(axis=0)
        every.append(abs(MACRO(first) - MACRO(second)))
    exact = float(np.mean(np.array(every) >= wanted - 1e-12))
    found = randomisation_test(one, other, MACRO, n_permutations=40_000)
    assert found == pytest.approx(exact, abs=0.01)


def test_a_model_against_itself_is_certain_and_the_order_does_not_matter() -> None:
    one, other = pair(30)
    assert randomisation_test(one, one, MACRO, n_permutations=99) == 1.0
    there, back = (
        randomisation_test(one, other, MACRO, n_permutations=999),
        randomisation_test(other, one, MACRO, n_permutations=999),
    )
    assert there == back
    assert there == randomisation_test(one, other, MACRO, n_permutations=999)


def test_the_p_value_is_never_zero() -> None:
    one, other = pair(80, worse=-3.0)
    assert randomisation_test(one, other, MACRO, n_permutations=1999) == 1 / 2000


def test_repeats_swap_together() -> None:
    one, other = pair(30, worse=-0.1)
    plain = randomisation_test(one, other, MACRO, n_permutations=499)
    twice = replace(one, counts=np.concatenate([one.counts] * 2))
    thrice = replace(other, counts=np.concatenate([other.counts] * 3))
    assert randomisation_test(twice, other, MACRO, n_permutations=499) == plain
    assert randomisation_test(twice, thrice, MACRO, n_permutations=499) == plain


def test_what_cannot_be_swapped_is_refused() -> None:
    one, other = pair(5)
    with pytest.raises(DataError, match="same documents"):
        randomisation_test(one, replace(other, documents=("x", *one.documents[1:])), MACRO)
    with pytest.raises(DataError, match="n_permutations must be 1 or more, not 0"):
        randomisation_test(one, other, MACRO, n_permutations=0)
