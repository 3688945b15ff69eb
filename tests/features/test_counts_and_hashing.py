"""Counts and hashed counts of word n-grams."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from sitrepbench.errors import ConfigError
from sitrepbench.features import hashing, word_count

FRAME = pd.DataFrame({"position": [0, 1], "text": ["talks talks stall", "Talks resume"]})


def test_counts_say_whether_or_how_often() -> None:
    often = word_count((1, 1), binary=False, min_df=1)
    assert often.fit_transform(FRAME).toarray().tolist() == [[0, 1, 2], [1, 0, 1]]
    assert list(often.get_feature_names_out()) == ["word__resume", "word__stall", "word__talks"]
    whether = word_count((1, 1), min_df=1).fit_transform(FRAME)
    assert whether.toarray().tolist() == [[0, 1, 1], [1, 0, 1]]
    assert whether.dtype == np.float64
    assert word_count([1, 2], min_df=1).fit_transform(FRAME).shape == (2, 6)


def test_hashed_counts_are_sklearns_without_signs() -> None:
    found = hashing((1, 2), n_features=64).fit_transform(FRAME)
    reference = HashingVectorizer(ngram_range=(1, 2), n_features=64, alternate_sign=False)
    np.testing.assert_allclose(
        found.toarray(), reference.transform(FRAME["text"]).toarray(), rtol=1e-6
    )
    assert found.dtype == np.float32
    assert found.min() >= 0
    counts = hashing((1, 1), n_features=2**18, norm=None).fit_transform(FRAME)
    assert counts.sum(axis=1).ravel().tolist() == [[3, 2]]


def test_hashing_keeps_nothing_of_the_text() -> None:
    few = hashing().fit(FRAME)
    many = hashing().fit(pd.concat([FRAME] * 500, ignore_index=True))
    assert len(pickle.dumps(many)) <= len(pickle.dumps(few)) + 100


@pytest.mark.parametrize("made", [word_count, hashing])
def test_ranges_that_are_none_are_told(made: object) -> None:
    with pytest.raises(ConfigError, match=r"an n-gram range is two numbers.*found \[2, 1\]"):
        made([2, 1])
