"""Inner folds keep documents whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sitrepbench.errors import ModelError
from sitrepbench.models import DocumentFolds
from sitrepbench.models.example import example_sentences


def test_every_document_is_held_out_once_and_whole() -> None:
    frame, y = example_sentences()
    documents = frame["document_id"].to_numpy()
    seen: list[str] = []
    for train, test in DocumentFolds(4).split(frame, y):
        assert not set(documents[train]) & set(documents[test])
        assert sorted([*train, *test]) == list(range(len(frame)))
        seen += sorted(set(documents[test]))
    assert sorted(seen) == sorted(set(documents))


def test_labels_are_spread() -> None:
    """Eight of forty documents hold all of one label: two for each of four folds."""
    frame, _ = example_sentences()
    rare = frame["document_id"].str.fullmatch(r"example-\d")
    rare &= ~frame["document_id"].isin(["example-8", "example-9"])
    labels = np.where(rare, "rare", "usual").astype(object)
    for _, test in DocumentFolds(4).split(frame, labels):
        assert (labels[test] == "rare").sum() == 12


def test_documents_that_share_a_long_sentence_stay_together() -> None:
    frame, y = example_sentences(10)
    long = "The two armies said on Thursday that they had exchanged eleven prisoners."
    frame.loc[[0, 7], "text"] = [long, long.upper()]
    twins = {frame["document_id"][0], frame["document_id"][7]}
    for _, test in DocumentFolds(5).split(frame, y):
        assert len(twins & set(frame["document_id"].to_numpy()[test])) in (0, 2)


def test_folds_are_the_same_each_time_and_no_more_than_documents() -> None:
    frame, y = example_sentences(3)
    one, two = (list(DocumentFolds(5).split(frame, y)) for _ in range(2))
    assert len(one) == 3
    for (a, b), (c, d) in zip(one, two, strict=True):
        assert a.tolist() == c.tolist()
        assert b.tolist() == d.tolist()


def test_one_document_cannot_be_split() -> None:
    frame = pd.DataFrame({"document_id": ["d"] * 3, "text": list("abc")})
    with pytest.raises(ModelError, match="need two documents at least, found 1 with 3 sentences"):
        list(DocumentFolds().split(frame, ["x", "y", "x"]))
    with pytest.raises(ModelError, match="two or more, found n_folds=1"):
        DocumentFolds(1)
