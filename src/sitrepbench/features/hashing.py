"""Hashed word n-grams: no vocabulary, so the memory does not grow with the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer

from sitrepbench.features.tfidf import bound_to_text, ngram_pair


def hashing(
    ngram_range: Sequence[int] = (1, 2),
    *,
    n_features: int = 2**18,
    analyzer: str = "word",
    binary: bool = False,
    lowercase: bool = True,
    norm: str | None = "l2",
) -> ColumnTransformer:
    """Return counts of n-grams under the hash of their text (Weinberger et al. 2009).

    N-grams that share a hash are told apart by nothing. Counts are not negative, so every model
    of the zoo can take them, and they are 32-bit floats: half of the memory.

    Parameters
    ----------
    ngram_range : pair of int
        Shortest and longest n-gram.
    n_features : int
        How many hashes there are; a power of two spreads them evenly.
    analyzer : str
        ``word``, ``char`` or ``char_wb``.
    binary : bool
        Whether to note only that an n-gram occurs.
    lowercase : bool
        Whether case is levelled.
    norm : str or None
        ``l2`` scales every row to length one, ``l1`` to a sum of one, None leaves counts.

    Returns
    -------
    ColumnTransformer
        From a DataFrame with a ``text`` column to a sparse float32 matrix (n_rows, n_features).
    """
    vectorizer = HashingVectorizer(
        analyzer=analyzer,
        ngram_range=ngram_pair(ngram_range),
        n_features=n_features,
        binary=binary,
        lowercase=lowercase,
        norm=norm,
        alternate_sign=False,
        dtype=np.float32,
    )
    return bound_to_text(hashed=vectorizer)
