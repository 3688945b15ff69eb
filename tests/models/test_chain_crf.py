"""The chain CRF against its definition: every path of labels written out and summed."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.optimize import check_grad
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sitrepbench.errors import ModelError
from sitrepbench.features import word_tfidf
from sitrepbench.models import ChainCRF
from sitrepbench.models.chain_crf import Weights, _Problem
from sitrepbench.models.chains import Chains, backward, best_paths, forward, log_sum
from sitrepbench.models.example import example_sentences

Array = npt.NDArray[np.float64]


class Numbers(TransformerMixin, BaseEstimator):
    """Features that stand in the table as they are."""

    def fit(self, X: pd.DataFrame, y: object = None) -> Numbers:
        return self

    def transform(self, X: pd.DataFrame) -> Array:
        return np.asarray(X[["a", "b"]], dtype=float)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def table(lengths: list[int], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        {"document_id": f"d{document}", "position": position, "a": rng.normal(), "b": rng.normal()}
        for document, length in enumerate(lengths)
        for position in range(length)
    ]
    return pd.DataFrame(rows)


def every_path(scores: Array, transitions: Array) -> dict[tuple[int, ...], float]:
    """Return the log factor of every label path of one chain."""
    n, k = scores.shape
    return {
        path: float(
            sum(scores[place, label] for place, label in enumerate(path))
            + sum(transitions[a, b] for a, b in pairwise(path))
        )
        for path in product(range(k), repeat=n)
    }


def test_sums_and_best_paths_are_those_of_all_paths_written_out() -> None:
    rng = np.random.default_rng(3)
    frame = table([4, 1, 5, 2])
    chains = Chains.of(frame)
    scores, transitions = rng.normal(size=(12, 3)) * 2, rng.normal(size=(3, 3)) * 2
    packed = scores[chains.rows]
    alpha = forward(chains, packed, transitions)
    both = alpha + backward(chains, packed, transitions)
    marginals, best = np.empty((12, 3)), np.empty(12, dtype=int)
    marginals[chains.rows] = np.exp(both - log_sum(both, axis=1)[:, None])
    best[chains.rows] = best_paths(chains, packed, transitions)
    totals = log_sum(alpha[chains.last], axis=1)
    names = frame["document_id"].to_numpy()[chains.rows[chains.last]]
    for document, rows in frame.groupby("document_id").indices.items():
        paths = every_path(scores[rows], transitions)
        factors = np.exp(np.array(list(paths.values())))
        assert totals[list(names).index(document)] == pytest.approx(np.log(factors.sum()))
        assert tuple(best[rows]) == max(paths, key=lambda path: paths[path])
        labels = np.array(list(paths))
        for place, row in enumerate(rows):
            expected = [factors[labels[:, place] == k].sum() / factors.sum() for k in range(3)]
            np.testing.assert_allclose(marginals[row], expected)


def test_a_case_worked_by_hand() -> None:
    """Two sentences, two labels, weights that are logarithms of whole numbers.

    Factors: first sentence (2, 1), second (1, 3), transitions [[4, 1], [1, 1]]. Paths: 00 is
    2*4*1 = 8, 01 is 2*1*3 = 6, 10 is 1*1*1 = 1, 11 is 1*1*3 = 3; together 18.
    """
    chains = Chains.of(table([2]))
    scores, transitions = np.log([[2.0, 1.0], [1.0, 3.0]]), np.log([[4.0, 1.0], [1.0, 1.0]])
    alpha = forward(chains, scores, transitions)
    both = alpha + backward(chains, scores, transitions)
    assert np.exp(alpha[-1]).sum() == pytest.approx(18)
    np.testing.assert_allclose(np.exp(both) / 18, [[14 / 18, 4 / 18], [9 / 18, 9 / 18]])
    assert best_paths(chains, scores, transitions).tolist() == [0, 0]


def problem(frame: pd.DataFrame, codes: list[int], C: float) -> _Problem:
    chains = Chains.of(frame)
    numbers = frame[["a", "b"]].to_numpy()
    return _Problem(numbers[chains.rows], np.array(codes)[chains.rows], chains, 3, C)


def test_the_loss_is_the_definition_and_the_gradient_its_derivative() -> None:
    frame, C = table([3, 2]), 0.8
    codes = [0, 2, 1, 1, 0]
    made = problem(frame, codes, C)
    flat = np.random.default_rng(5).normal(size=made.n_weights)
    w = Weights.of(flat, 2, 3)
    likelihood = 0.0
    for rows in frame.groupby("document_id").indices.values():
        scores = frame[["a", "b"]].to_numpy()[rows] @ w.coef + w.intercept
        scores[0] += w.start
        scores[-1] += w.end
        paths = every_path(scores, w.transitions)
        gold = paths[tuple(codes[row] for row in rows)]
        likelihood += gold - np.log(np.exp(list(paths.values())).sum())
    drawn = sum((part**2).sum() for part in (w.coef, w.transitions, w.start, w.end))
    assert made.loss(flat)[0] == pytest.approx(-likelihood / 5 + drawn / (2 * C * 5))
    error = check_grad(lambda x: made.loss(x)[0], lambda x: made.loss(x)[1], flat)
    assert error < 1e-6


def test_sentences_without_neighbours_are_logistic_regression() -> None:
    """Chains of one: start and end add to the intercept, and cost next to nothing."""
    rng = np.random.default_rng(2)
    frame = table([1] * 60)
    y = np.where(frame["a"] + rng.normal(size=60) > 0, "x", np.where(frame["b"] > 0, "y", "z"))
    crf = ChainCRF(Numbers(), C=3.0, tol=1e-8).fit(frame, y)
    reference = LogisticRegression(C=3.0, tol=1e-8, max_iter=1000).fit(frame[["a", "b"]].values, y)
    np.testing.assert_allclose(
        crf.predict_proba(frame), reference.predict_proba(frame[["a", "b"]].values), atol=1e-4
    )


def test_it_learns_what_follows_what() -> None:
    """Labels that alternate, and features that say nothing but for the first sentence."""
    frame = table([6] * 20)
    first = frame["position"] == 0
    odd = frame["document_id"].str[1:].astype(int) % 2
    frame["a"], frame["b"] = np.where(first, 4.0 * odd - 2.0, 0.0), 0.0
    y = np.where((frame["position"] + odd) % 2 == 0, "even", "odd").astype(object)
    crf = ChainCRF(Numbers(), C=10.0).fit(frame, y)
    assert (crf.predict(frame) == y).all()
    assert (ChainCRF(Numbers(), C=10.0, decode="path").fit(frame, y).predict(frame) == y).all()
    assert crf.weights_.transitions[0, 1] > crf.weights_.transitions[0, 0]
    # Behind a gap, nothing is known of what stood before it.
    alone = frame[frame["position"] != 1]
    said = crf.predict_proba(alone)[(alone["position"] == 2).to_numpy()]
    np.testing.assert_allclose(said, said[:1].repeat(len(said), axis=0))


def test_both_ways_of_decoding_are_what_they_say() -> None:
    """The likeliest path need not pass through the labels that are likeliest one by one.

    Factors of the paths of two sentences: 00 is 3, 01 is 3, 10 is 4, 11 is 0.01. So path 10 is
    best, though label 0 is likelier for the first sentence (6 against 4.01).
    """
    crf = ChainCRF(Numbers())
    crf.classes_, crf.features_ = np.array(["zero", "one"], dtype=object), Numbers()
    crf.weights_ = Weights(
        np.zeros((2, 2)), np.zeros(2), np.log([[3.0, 3.0], [4.0, 0.01]]), np.zeros(2), np.zeros(2)
    )
    frame = table([2])
    np.testing.assert_allclose(crf.predict_proba(frame)[0], [6 / 10.01, 4.01 / 10.01])
    assert list(crf.predict(frame)) == ["zero", "zero"]
    assert list(crf.set_params(decode="path").predict(frame)) == ["one", "zero"]


def test_rows_in_any_order_and_documents_alone_get_the_same() -> None:
    frame, y = example_sentences(20)
    crf = ChainCRF(word_tfidf(min_df=1)).fit(frame, y)
    order = np.random.default_rng(0).permutation(len(frame))
    shuffled = frame.iloc[order].reset_index(drop=True)
    np.testing.assert_allclose(crf.predict_proba(shuffled), crf.predict_proba(frame)[order])
    one = frame[frame["document_id"] == "example-3"]
    rows = (frame["document_id"] == "example-3").to_numpy()
    np.testing.assert_allclose(crf.predict_proba(one), crf.predict_proba(frame)[rows])
    again = ChainCRF(word_tfidf(min_df=1)).fit(shuffled, y[order])
    np.testing.assert_allclose(again.predict_proba(frame), crf.predict_proba(frame), atol=2e-3)
    assert crf.predict(frame.iloc[:0]).shape == (0,)


def test_chains_are_cut_at_documents_and_gaps() -> None:
    frame = pd.DataFrame(
        {"document_id": list("bbbaab"), "position": [4, 1, 2, 7, 8, 3]}, index=range(6)
    )
    chains = Chains.of(frame)
    before, after = chains.links
    linked = {
        (int(a), int(b)) for a, b in zip(chains.rows[before], chains.rows[after], strict=True)
    }
    assert linked == {(1, 2), (2, 5), (5, 0), (3, 4)}
    assert chains.sizes.tolist() == [2, 2, 1, 1]
    cut = Chains.of(frame.drop(index=2).reset_index(drop=True))
    assert sorted(cut.sizes.tolist()) == [2, 3]


@pytest.mark.parametrize(
    ("model", "labels", "told"),
    [
        (ChainCRF(Numbers()), ["x"] * 4, "all 4 training sentences are 'x'"),
        (ChainCRF(), ["x", "y"] * 2, "ChainCRF needs features"),
        (
            ChainCRF(Numbers(), C=-1, decode="best", max_iter=0),
            ["x", "y"] * 2,
            "C is above 0, found -1; decode is 'marginals' or 'path', found 'best'; max_iter",
        ),
    ],
)
def test_what_it_cannot_do_is_told(model: ChainCRF, labels: list[str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        model.fit(table([2, 2]), labels)


def test_too_few_steps_are_told() -> None:
    frame, y = example_sentences(8)
    with pytest.warns(ConvergenceWarning, match="not converged after 2 steps"):
        ChainCRF(word_tfidf(), max_iter=2).fit(frame, y)
