"""LSA: small, dense, of length one, and honest about its dimensions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from sitrepbench.errors import ModelError
from sitrepbench.features import LatentSemantics, lsa, word_char_tfidf
from sitrepbench.models.pipeline import build_pipeline, unset_seeds


@pytest.fixture(scope="module")
def sentences() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    words = [f"word{number}" for number in range(60)]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(80)]
    return pd.DataFrame({"position": range(80), "text": texts})


def test_rows_are_dense_and_of_length_one(sentences: pd.DataFrame) -> None:
    features = lsa(10, random_state=0)
    found = features.fit_transform(sentences)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert found.shape == (80, 10)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    unknown = features.transform(pd.DataFrame({"text": ["§§ §§"]}))
    assert not unknown.any()


def test_similarities_are_those_of_the_exact_decomposition(sentences: pd.DataFrame) -> None:
    """Cosines in the 20 dimensions against numpy's full SVD of the same TF-IDF."""
    tfidf = word_char_tfidf().fit_transform(sentences).toarray()
    left, values, _ = np.linalg.svd(tfidf, full_matrices=False)
    exact = left[:, :20] * values[:20]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    found = lsa(20, n_iter=30, random_state=0).fit_transform(sentences)
    np.testing.assert_allclose(found @ found.T, exact @ exact.T, atol=1e-6)


def test_the_runs_seed_decides_unless_one_is_given() -> None:
    drawing = build_pipeline(lsa(), GaussianNB())
    assert unset_seeds(drawing) == ["features__svd__random_state"]
    assert unset_seeds(build_pipeline(lsa(random_state=1), GaussianNB())) == []
    both = unset_seeds(build_pipeline(lsa(), LinearSVC()))
    assert both == ["features__svd__random_state", "model__random_state"]


@pytest.mark.parametrize(("shape", "possible"), [((30, 8), 8), ((8, 30), 8)])
def test_too_many_dimensions_are_refused_with_the_possible_number(
    shape: tuple[int, int], possible: int
) -> None:
    matrix = np.random.default_rng(0).random(shape)
    message = rf"cannot have 9 dimensions where {shape[0]} training sentences have {shape[1]} terms"
    with pytest.raises(ModelError, match=message + rf"; set features.n_components={possible} or"):
        LatentSemantics(9).fit_transform(matrix)
    assert LatentSemantics(possible).fit_transform(matrix).shape == (shape[0], possible)
    # What it guards against: scikit-learn's own gives fewer columns, or another message.
    if shape[0] < shape[1]:
        assert TruncatedSVD(9).fit_transform(matrix).shape == (shape[0], possible)
