"""Counts of word n-grams: what naive Bayes models are defined on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer

from sitrepbench.features.tfidf import bound_to_text, ngram_pair


def word_count(
    ngram_range: Sequence[int] = (1, 2),
    *,
    binary: bool = True,
    min_df: int | float = 2,
    max_df: int | float = 1.0,
    lowercase: bool = True,
) -> ColumnTransformer:
    """Return how often, or by default whether, a sentence has each word n-gram.

    Parameters
    ----------
    ngram_range : pair of int
        Shortest and longest n-gram.
    binary : bool
        Whether to note only that an n-gram occurs.
    min_df, max_df : int or float
        N-grams in fewer or more training sentences (as a number or a share) are left out.
    lowercase : bool
        Whether case is levelled.

    Returns
    -------
    ColumnTransformer
        From a DataFrame with a ``text`` column to a sparse float matrix (n_rows, n_terms).
    """
    vectorizer = CountVectorizer(
        ngram_range=ngram_pair(ngram_range),
        binary=binary,
        min_df=min_df,
        max_df=max_df,
        lowercase=lowercase,
        dtype=np.float64,
    )
    return bound_to_text(word=vectorizer)
