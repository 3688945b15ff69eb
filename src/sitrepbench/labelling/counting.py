"""Counting n-grams of new texts: scikit-learn's counts to the last bit, in less than half the time.

scikit-learn counts with a fitted vocabulary as it does with one that grows: term by term, with an
exception for each that it does not know. In new texts, most word pairs are such terms.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from sitrepbench.trained.parts import parts_of

#: Words whose characters' n-grams are remembered, some 20 MiB; with one more, all are forgotten.
MAX_WORDS = 50_000
#: For a term that the vocabulary lacks.
_ABSENT = -1
#: scikit-learn's own pattern.
_PLAIN_WORDS = r"(?u)\b\w\w+\b"
_get: Callable[[dict[str, int], str, int], int] = dict.get

#: Adds a text's terms, as places in the vocabulary or `_ABSENT`, to an array.
_Adder = Callable[["array[int]", Any], None]


class _FrozenCounts:
    """What counts faster where the vocabulary cannot grow; in front of scikit-learn's own."""

    def _count_vocab(self, raw_documents: Iterable[Any], fixed_vocab: bool) -> tuple[Any, Any]:
        if not fixed_vocab:
            self.__dict__.pop("_sitrepbench_pairs", None)
            self.__dict__.pop("_sitrepbench_words", None)
            grown: tuple[Any, Any] = super()._count_vocab(  # type: ignore[misc]
                raw_documents, fixed_vocab
            )
            return grown
        add = _adder(self)
        terms, ends = array("i"), [0]
        for text in raw_documents:
            add(terms, text)
            ends.append(len(terms))
        places = np.frombuffer(terms, dtype=np.intc) if terms else np.empty(0, np.intc)
        known = places != _ABSENT
        starts = np.concatenate([[0], np.cumsum(known)])[ends]
        places = places[known]
        vocabulary = self.vocabulary_  # type: ignore[attr-defined]
        counts = csr_array(
            (np.ones(len(places), self.dtype), places, starts.astype(np.intc)),  # type: ignore[attr-defined]
            shape=(len(ends) - 1, len(vocabulary)),
        )
        # Sorts them as well.
        counts.sum_duplicates()
        return vocabulary, counts


class FrozenCountVectorizer(_FrozenCounts, CountVectorizer):  # type: ignore[misc]
    """A fitted `CountVectorizer` that is not going to be fitted again."""


class FrozenTfidfVectorizer(_FrozenCounts, TfidfVectorizer):  # type: ignore[misc]
    """A fitted `TfidfVectorizer` that is not going to be fitted again."""


_FROZEN = {CountVectorizer: FrozenCountVectorizer, TfidfVectorizer: FrozenTfidfVectorizer}


def freeze_vocabularies(fitted: Any) -> None:
    """Let all vectorisers of a fitted pipeline count faster, with the same results.

    They are changed in place: for a model that nobody else holds. Those of other classes, and
    those that hash, stay as they are.

    Parameters
    ----------
    fitted : Pipeline
        Just loaded.
    """
    for part in parts_of(fitted):
        frozen = _FROZEN.get(type(part))
        if frozen is not None:
            part.__class__ = frozen


def _adder(vectorizer: Any) -> _Adder:
    if vectorizer.analyzer == "word":
        return _word_adder(vectorizer)
    if vectorizer.analyzer == "char_wb":
        return _inside_words_adder(vectorizer)
    find, analyze = vectorizer.vocabulary_.get, vectorizer.build_analyzer()

    def add(terms: array[int], text: Any) -> None:
        terms.extend(map(find, analyze(text), repeat(_ABSENT)))

    return add


def _word_adder(vectorizer: Any) -> _Adder:
    find, decode = vectorizer.vocabulary_.get, vectorizer.decode
    prepare, split = vectorizer.build_preprocessor(), vectorizer.build_tokenizer()
    stop_words = vectorizer.get_stop_words()
    shortest, longest = vectorizer.ngram_range
    pairs = _pairs(vectorizer) if shortest <= 2 <= longest else None
    nothing: dict[str, int] = {}

    def add(terms: array[int], text: Any) -> None:
        words = split(prepare(decode(text)))
        if stop_words is not None:
            words = [word for word in words if word not in stop_words]
        if shortest == 1:
            terms.extend(map(find, words, repeat(_ABSENT)))
        if pairs is not None:
            after = map(pairs.get, words, repeat(nothing))
            terms.extend(map(_get, after, words[1:], repeat(_ABSENT)))
        for n_words in range(max(shortest, 2 if pairs is None else 3), longest + 1):
            grams = zip(*(words[start:] for start in range(n_words)), strict=False)
            terms.extend(map(find, map(" ".join, grams), repeat(_ABSENT)))

    return add


def _pairs(vectorizer: Any) -> dict[str, dict[str, int]] | None:
    """Return the second words of pairs by the first, so that no pair of a text must be written.

    None where a word could have a space in it.
    """
    if vectorizer.tokenizer is not None or vectorizer.token_pattern != _PLAIN_WORDS:
        return None
    kept: dict[str, dict[str, int]] | None = vectorizer.__dict__.get("_sitrepbench_pairs")
    if kept is not None:
        return kept
    found: dict[str, dict[str, int]] = {}
    for term, place in vectorizer.vocabulary_.items():
        words = term.split(" ")
        if len(words) == 2:
            found.setdefault(words[0], {})[words[1]] = place
    vectorizer.__dict__["_sitrepbench_pairs"] = found
    return found


def _inside_words_adder(vectorizer: Any) -> _Adder:
    find, decode = vectorizer.vocabulary_.get, vectorizer.decode
    prepare, analyze = vectorizer.build_preprocessor(), vectorizer._char_wb_ngrams
    # Of each word, those of its n-grams that the vocabulary has. Between calls as well.
    remembered: dict[str, array[int]] = vectorizer.__dict__.setdefault("_sitrepbench_words", {})

    def of(word: str) -> array[int]:
        if len(remembered) >= MAX_WORDS:
            remembered.clear()
        places = map(find, analyze(word), repeat(_ABSENT))
        found = array("i", (place for place in places if place != _ABSENT))
        remembered[word] = found
        return found

    def add(terms: array[int], text: Any) -> None:
        for word in prepare(decode(text)).split():
            found = remembered.get(word)
            terms.extend(of(word) if found is None else found)

    return add
