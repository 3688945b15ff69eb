"""Frozen vocabularies: the same counts, bit by bit, as scikit-learn's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.svm import LinearSVC

from sitrepbench.features import word_char_cues
from sitrepbench.labelling import counting
from sitrepbench.labelling.counting import FrozenTfidfVectorizer, freeze_vocabularies
from sitrepbench.models.pipeline import build_pipeline

SEEN = ["They denied it, they did.", "Nine people were killed in the north.", "A İstanbul ß a a"]
NEW = [
    *SEEN, "", "  \t ", "x", "Nine nine NINE people", "they\u2028denied\x1fit\x85in\u00a0the north",
    "İSTANBUL", "a\x1c\x1d b", "unheard of", "the the the the the", "éa\u0301 ß",
]  # fmt: skip
SETTINGS = [
    {},
    {"ngram_range": (1, 3), "sublinear_tf": True},
    {"ngram_range": (2, 2)},
    {"stop_words": "english", "ngram_range": (1, 2)},
    {"token_pattern": r"\S+ ?", "ngram_range": (1, 2), "lowercase": False},
    {"strip_accents": "unicode", "binary": True, "dtype": np.float32},
    {"analyzer": "char", "ngram_range": (1, 3)},
    {"analyzer": "char_wb", "ngram_range": (2, 5), "sublinear_tf": True},
    {"analyzer": "char_wb", "ngram_range": (1, 4), "lowercase": False, "norm": None},
    {"analyzer": str.split},
    {"tokenizer": str.split, "token_pattern": None, "max_features": 4},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("words", [50_000, 2])
def test_matrices_are_the_same(settings, words, monkeypatch):
    monkeypatch.setattr(counting, "MAX_WORDS", words)
    vectorizer = TfidfVectorizer(**settings).fit(SEEN)
    frozen = copy.deepcopy(vectorizer)
    freeze_vocabularies(frozen)
    assert type(frozen) is FrozenTfidfVectorizer
    for texts in (NEW, NEW[::-1], NEW[4:6]):
        found, expected = frozen.transform(texts), vectorizer.transform(texts)
        assert type(found) is type(expected)
        assert found.has_sorted_indices
        for part in ("data", "indices", "indptr"):
            one, other = getattr(found, part), getattr(expected, part)
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()


def test_counts_are_the_same_and_bad_texts_too():
    vectorizer = CountVectorizer(ngram_range=(1, 2)).fit(SEEN)
    frozen = pickle.loads(pickle.dumps(vectorizer))
    freeze_vocabularies(frozen)
    assert (frozen.transform(NEW) != vectorizer.transform(NEW)).nnz == 0
    assert frozen.transform([]).shape == (0, len(vectorizer.vocabulary_))
    with pytest.raises(ValueError, match="np.nan is an invalid document"):
        frozen.transform([np.nan])
    # Whoever fits it again gets what scikit-learn gives.
    again = CountVectorizer(ngram_range=(1, 2)).fit(NEW)
    assert frozen.fit(NEW).vocabulary_ == again.vocabulary_
    assert (frozen.transform(SEEN) != again.transform(SEEN)).nnz == 0


def test_all_vectorisers_of_a_pipeline_are_frozen():
    frame = pd.DataFrame({"text": NEW * 3, "document_id": "d", "position": range(len(NEW) * 3)})
    labels = ["a", "b"] * len(frame)
    pipeline = build_pipeline(word_char_cues(), LinearSVC()).fit(frame, labels[: len(frame)])
    frozen = pickle.loads(pickle.dumps(pipeline))
    freeze_vocabularies(frozen)
    assert pickle.dumps(frozen).count(b"FrozenTfidfVectorizer") == 1  # named once, and then again
    assert b"\x8c\x0fTfidfVectorizer" not in pickle.dumps(frozen[:-1].steps[0][1].transformer_list)
    expected = pipeline.decision_function(frame)
    assert frozen.decision_function(frame).tobytes() == expected.tobytes()
