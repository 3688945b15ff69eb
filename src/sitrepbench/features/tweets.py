"""TF-IDF of cleaned tweets: what people wrote, without links, names, numbers and punctuation."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer

from sitrepbench.features.tfidf import bound_to_text, ngram_pair

_LINK = re.compile(r"(?:https?://|www\.)\S*", re.IGNORECASE)
#: A user name is not preceded by a letter, as the part of an address after its sign is.
_USER = re.compile(r"(?<!\w)@\w+")
#: The mark of a retweet, in front of the name of whom it repeats.
_RETWEET = re.compile(r"(?<!\w)RT(?=\s*@|\s*:|\s+)")
_DIGITS = re.compile(r"\d+")
_NO_WORD = re.compile(r"[\W_]+")


def clean_tweet(text: str) -> str:
    """Return the words of a tweet, lower-case and separated by single spaces.

    HTML's names of characters are read; links, user names, the mark of a retweet, numbers,
    punctuation and emoji go. The word of a hashtag stays.

    >>> clean_tweet("RT @someone: 3,000 flee #WildFire &amp; smoke! https://t.co/xyz")
    'flee wildfire smoke'
    """
    plain = _LINK.sub(" ", html.unescape(text))
    plain = _USER.sub(" ", _RETWEET.sub(" ", plain))
    return _NO_WORD.sub(" ", _DIGITS.sub(" ", plain)).strip().lower()


def tweet_tfidf(
    ngram_range: Sequence[int] = (1, 3),
    *,
    min_df: int | float = 1,
    max_df: int | float = 1.0,
    max_features: int | None = None,
    sublinear_tf: bool = True,
) -> ColumnTransformer:
    """Return TF-IDF of word n-grams of `clean_tweet`; the arguments are `TfidfVectorizer`'s.

    Returns
    -------
    ColumnTransformer
        From a DataFrame with a ``text`` column to a sparse float matrix (n_rows, n_terms).
    """
    vectorizer = TfidfVectorizer(
        preprocessor=clean_tweet,
        analyzer="word",
        ngram_range=ngram_pair(ngram_range),
        min_df=min_df,
        max_df=max_df,
        max_features=max_features,
        sublinear_tf=sublinear_tf,
    )
    return bound_to_text(tweet=vectorizer)
