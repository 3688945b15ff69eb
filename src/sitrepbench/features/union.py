"""Features side by side."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.pipeline import FeatureUnion

from sitrepbench.features.contents import ContentOfParts
from sitrepbench.features.cues import HandMadeCues
from sitrepbench.features.tfidf import word_char_tfidf


class SideBySide(ContentOfParts, FeatureUnion):  # type: ignore[misc]
    """`FeatureUnion` whose content counts: files that a part reads decide predictions."""

    #: Parameters of a configuration that ``content_digest`` stands for.
    content_parameters: tuple[str, ...] = ("lexicon",)


def word_char_cues(
    word_ngrams: Sequence[int] = (1, 2),
    char_ngrams: Sequence[int] = (2, 5),
    *,
    min_df: int | float = 2,
    max_df: int | float = 1.0,
    lowercase: bool = True,
    sublinear_tf: bool = True,
    lexicon: str = "english",
    weight: float = 1.0,
) -> SideBySide:
    """Return word and character TF-IDF beside hand-made cues.

    Parameters
    ----------
    word_ngrams, char_ngrams, min_df, max_df, lowercase, sublinear_tf
        As for `word_char_tfidf`.
    lexicon, weight
        As for `HandMadeCues`.

    Returns
    -------
    SideBySide
        From a sentence table to a sparse float matrix (n_rows, n_features).
    """
    tfidf = word_char_tfidf(
        word_ngrams,
        char_ngrams,
        min_df=min_df,
        max_df=max_df,
        lowercase=lowercase,
        sublinear_tf=sublinear_tf,
    )
    return SideBySide([("text", tfidf), ("cues", HandMadeCues(lexicon, weight=weight))])
