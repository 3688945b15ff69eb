"""TF-IDF of word and character n-grams, bound to the ``text`` column."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfVectorizer,
)

from sitrepbench.data.dataset import TEXT
from sitrepbench.errors import ConfigError


def word_tfidf(
    ngram_range: Sequence[int] = (1, 2),
    *,
    min_df: int | float = 2,
    max_df: int | float = 1.0,
    max_features: int | None = None,
    lowercase: bool = True,
    sublinear_tf: bool = True,
    stop_words: str | Sequence[str] | None = None,
) -> ColumnTransformer:
    """Return TF-IDF of word n-grams; the arguments are `TfidfVectorizer`'s.

    Returns
    -------
    ColumnTransformer
        From a DataFrame with a ``text`` column to a sparse float matrix (n_rows, n_terms).
    """
    vectorizer = TfidfVectorizer(
        analyzer="word",
        ngram_range=ngram_pair(ngram_range),
        min_df=min_df,
        max_df=max_df,
        max_features=max_features,
        lowercase=lowercase,
        sublinear_tf=sublinear_tf,
        stop_words=list(stop_words)
        if isinstance(stop_words, Sequence) and not isinstance(stop_words, str)
        else stop_words,
    )
    return bound_to_text(word=vectorizer)


def char_tfidf(
    ngram_range: Sequence[int] = (2, 5),
    *,
    analyzer: str = "char_wb",
    min_df: int | float = 2,
    max_df: int | float = 1.0,
    max_features: int | None = None,
    lowercase: bool = True,
    sublinear_tf: bool = True,
) -> ColumnTransformer:
    """Return TF-IDF of character n-grams (by default within word boundaries)."""
    vectorizer = TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=ngram_pair(ngram_range),
        min_df=min_df,
        max_df=max_df,
        max_features=max_features,
        lowercase=lowercase,
        sublinear_tf=sublinear_tf,
    )
    return bound_to_text(char=vectorizer)


def word_char_tfidf(
    word_ngrams: Sequence[int] = (1, 2),
    char_ngrams: Sequence[int] = (2, 5),
    *,
    min_df: int | float = 2,
    max_df: int | float = 1.0,
    lowercase: bool = True,
    sublinear_tf: bool = True,
) -> ColumnTransformer:
    """Return word and character TF-IDF side by side, each scaled to unit length by itself."""
    word = word_tfidf(
        word_ngrams, min_df=min_df, max_df=max_df, lowercase=lowercase, sublinear_tf=sublinear_tf
    )
    char = char_tfidf(
        char_ngrams, min_df=min_df, max_df=max_df, lowercase=lowercase, sublinear_tf=sublinear_tf
    )
    return bound_to_text(word=word.transformers[0][1], char=char.transformers[0][1])


def bound_to_text(**vectorizers: CountVectorizer | HashingVectorizer) -> ColumnTransformer:
    """Return text vectorisers side by side, each reading the column ``text`` of a DataFrame."""
    return ColumnTransformer(
        [(name, vectorizer, TEXT) for name, vectorizer in vectorizers.items()],
        sparse_threshold=1.0,
    )


def ngram_pair(ngram_range: Sequence[int]) -> tuple[int, int]:
    """Return a range of n-gram lengths as a tuple, checked."""
    # Configurations give lists; TfidfVectorizer insists on a tuple.
    if len(ngram_range) != 2 or not 1 <= ngram_range[0] <= ngram_range[1]:
        raise ConfigError(
            f"an n-gram range is two numbers, shortest and longest, found {list(ngram_range)}"
        )
    return int(ngram_range[0]), int(ngram_range[1])
