"""Context: neighbours of the same document, from the table that is given, and from nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.naive_bayes import MultinomialNB

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.table import load_frame
from sitrepbench.errors import ModelError
from sitrepbench.execution import execute
from sitrepbench.features import Context, HandMadeCues, lsa, word_tfidf
from sitrepbench.features.context import NOBODY, neighbour_rows
from sitrepbench.models.example import example_sentences
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.protocols import GroupedCV

FRAME = pd.DataFrame(
    {
        "document_id": ["b", "a", "a", "a", "b", "c"],
        "position": [1, 2, 1, 4, 2, 3],
        "text": ["b one", "a two", "a one", "a four", "b two", "c three"],
    }
)


def words(**settings: float) -> Context:
    return Context(word_tfidf((1, 1), min_df=1), **settings)


def test_neighbours_are_found_by_position_in_any_order_of_rows() -> None:
    assert neighbour_rows(FRAME, -1).tolist() == [NOBODY, 2, NOBODY, NOBODY, 0, NOBODY]
    assert neighbour_rows(FRAME, 1).tolist() == [4, NOBODY, 1, NOBODY, NOBODY, NOBODY]


def test_a_position_that_is_there_twice_means_its_last_row() -> None:
    frame = pd.DataFrame({"document_id": ["a"] * 4, "position": [1, 1, 2, 2]})
    assert neighbour_rows(frame, -1).tolist() == [NOBODY, NOBODY, 1, 1]
    assert neighbour_rows(frame, 1).tolist() == [3, 3, NOBODY, NOBODY]


def test_each_place_is_the_features_of_what_stands_there_times_its_weight() -> None:
    context = words(previous=0.5, next=0.25)
    found = context.fit_transform(FRAME)
    assert sparse.issparse(found)
    alone = word_tfidf((1, 1), min_df=1)
    own = alone.fit_transform(FRAME).toarray()
    np.testing.assert_allclose(found.toarray()[:, : own.shape[1]], own)
    before = FRAME.assign(text=["", "a one", "", "", "b one", ""])
    after = FRAME.assign(text=["b two", "", "a two", "", "", ""])
    expected = [
        weight * clone(alone).fit_transform(frame).toarray()
        for weight, frame in ((1, FRAME), (0.5, before), (0.25, after))
    ]
    np.testing.assert_allclose(found.toarray(), np.hstack(expected))
    np.testing.assert_allclose(context.transform(FRAME).toarray(), found.toarray())


def test_a_weight_of_zero_leaves_a_neighbour_out() -> None:
    own = word_tfidf((1, 1), min_df=1).fit_transform(FRAME)
    assert words(previous=0, next=0).fit_transform(FRAME).shape == own.shape
    assert set(words(previous=0).fit(FRAME).fitted_) == {0, 1}


def test_neighbours_in_training_data_are_not_seen_at_test_time() -> None:
    """The sentences before and after are there, but not in the table that is transformed."""
    frame, _ = example_sentences(10)
    context = words().fit(frame)
    one = frame[frame["document_id"] == "example-1"]
    alone = context.transform(one.iloc[[2]].reset_index(drop=True)).toarray()[0]
    width = context.fitted_[0].transform(one).shape[1]
    assert alone[:width].any()
    assert not alone[width:].any()


def test_what_is_said_of_a_document_does_not_depend_on_others() -> None:
    frame, _ = example_sentences(10)
    context = words().fit(frame[:30])
    whole = context.transform(frame)
    for document, rows in frame.groupby("document_id").indices.items():
        alone = context.transform(frame[frame["document_id"] == document])
        np.testing.assert_array_equal(alone.toarray(), whole[rows].toarray())


def test_documents_of_one_sentence_have_no_neighbours() -> None:
    frame = FRAME.assign(document_id=list("abcdef"))
    found = words().fit(frame)
    own = word_tfidf((1, 1), min_df=1).fit(frame)
    # Test rows with neighbours are seen as training rows are: by themselves.
    np.testing.assert_array_equal(found.transform(FRAME).toarray(), own.transform(FRAME).toarray())


def test_dense_features_stay_dense() -> None:
    frame, _ = example_sentences(10)
    found = Context(lsa(4, random_state=0)).fit_transform(frame)
    assert isinstance(found, np.ndarray)
    assert found.shape == (60, 12)


def test_a_protocol_keeps_documents_whole_so_that_neighbours_are_there() -> None:
    """Each sentence says what the next one is about; without the context nothing can be told."""
    rng = np.random.default_rng(0)
    rows = []
    for document in range(30):
        labels = rng.choice(["denial", "background"], 7)
        for position in range(7):
            ahead = labels[position + 1] if position < 6 else "nothing"
            rows.append(
                {
                    "document_id": f"d{document}",
                    "position": position,
                    "text": f"n{document}x{position} points to {ahead}",
                    "label": labels[position],
                }
            )
    dataset: Dataset = load_frame(pd.DataFrame(rows), name="made")
    plan = GroupedCV(n_folds=3).plan(dataset)
    for cell in plan.cells:
        sides = [set(dataset.frame["document_id"].iloc[side]) for side in (cell.train, cell.test)]
        assert not sides[0] & sides[1]
    result = execute(plan, build_pipeline(Context(word_tfidf(), previous=2.0), MultinomialNB()))
    table = result.predictions.frame.set_index("sentence_id")
    later = [not name.endswith(":0") for name in table.index]
    right = (table["label"] == table["predicted"])[later]
    assert right.mean() > 0.95


def test_it_counts_the_files_that_its_features_read() -> None:
    assert hasattr(Context(HandMadeCues()), "content_digest")
    assert not hasattr(words(), "content_digest")


def test_features_that_are_none_are_told() -> None:
    with pytest.raises(ModelError, match="context needs features.*found None"):
        Context(None).fit(FRAME)
