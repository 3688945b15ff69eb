"""Latent semantic analysis: TF-IDF, brought down to a few dense dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer

from sitrepbench.errors import ModelError
from sitrepbench.features.tfidf import word_char_tfidf


class LatentSemantics(TruncatedSVD):  # type: ignore[misc]
    """`TruncatedSVD` that says what to do where there are fewer dimensions than asked for.

    scikit-learn's own returns fewer columns, without a word, where there are too few sentences.
    """

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit on ``X`` of shape (n_rows, n_terms), and return it in (n_rows, n_components).

        Raises
        ------
        ModelError
            When ``X`` has fewer rows or terms than ``n_components``.
        """
        n_rows, n_terms = X.shape
        if self.n_components > min(n_rows, n_terms):
            raise ModelError(
                f"LSA cannot have {self.n_components} dimensions where {n_rows} training sentences "
                f"have {n_terms} terms; set features.n_components={min(n_rows, n_terms)} or less"
            )
        return super().fit_transform(X, y)


def lsa(
    n_components: int = 100,
    *,
    word_ngrams: Sequence[int] = (1, 2),
    char_ngrams: Sequence[int] = (2, 5),
    min_df: int | float = 2,
    max_df: int | float = 1.0,
    lowercase: bool = True,
    sublinear_tf: bool = True,
    n_iter: int = 5,
    random_state: int | None = None,
) -> Pipeline:
    """Return latent semantic analysis (Deerwester et al. 1990) of word and character TF-IDF.

    The singular vectors are found by a randomised search (Halko, Martinsson & Tropp 2011).

    Parameters
    ----------
    n_components : int
        Dimensions, at most the number of training sentences and of terms.
    word_ngrams, char_ngrams, min_df, max_df, lowercase, sublinear_tf
        As for `word_char_tfidf`.
    n_iter : int
        Iterations of the search; more are more exact.
    random_state : int or None
        Seeds the search; by default the run's seed does. With a number, runs that differ in
        nothing but their seed share the features.

    Returns
    -------
    Pipeline
        From a DataFrame with a ``text`` column to a dense float matrix (n_rows, n_components) of
        rows of length one; a row without a known term is all zeros.
    """
    tfidf = word_char_tfidf(
        word_ngrams,
        char_ngrams,
        min_df=min_df,
        max_df=max_df,
        lowercase=lowercase,
        sublinear_tf=sublinear_tf,
    )
    svd = LatentSemantics(
        n_components, algorithm="randomized", n_iter=n_iter, random_state=random_state
    )
    return Pipeline([("tfidf", tfidf), ("svd", svd), ("length", Normalizer())])
