"""Confusion counts by document against a loop over the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.predictions import PredictionsTable

MakeTable = Callable[..., PredictionsTable]


def test_counts_are_those_of_a_loop(make_table: MakeTable) -> None:
    table = make_table(n=120, n_documents=9, n_repeats=2)
    result = document_confusions(table)
    strict, lenient = np.zeros_like(result.counts), np.zeros_like(result.counts)
    for row in table.frame.to_dict("records"):
        at = (row["repeat"], result.documents.index(row["document_id"]))
        gold = table.labels.index(row["label"])
        predicted = table.labels.index(row["predicted"])
        strict[(*at, gold, predicted)] += 1
        forgiven = row["predicted"] in row["secondary"].split("|")
        lenient[(*at, predicted if forgiven else gold, predicted)] += 1
    np.testing.assert_array_equal(result.counts, strict)
    np.testing.assert_array_equal(result.lenient, lenient)
    assert (strict != lenient).any()
    assert list(result.documents) == sorted(set(table.frame["document_id"]))
    assert result.pooled.sum() == 240


def test_row_order_does_not_matter(make_table: MakeTable) -> None:
    table = make_table(n_repeats=2)
    shuffled = table.frame.sample(frac=1, random_state=3).reset_index(drop=True)
    again = document_confusions(PredictionsTable(shuffled, table.labels))
    expected = document_confusions(table)
    assert again.documents == expected.documents
    np.testing.assert_array_equal(again.counts, expected.counts)


def test_supported_labels_are_those_with_gold_sentences(make_table: MakeTable) -> None:
    table = make_table(gold_use=("a", "c"))
    assert document_confusions(table).supported.tolist() == [True, False, True, False]


def test_a_document_in_several_domains_has_none(make_table: MakeTable) -> None:
    table = make_table(n=60, n_documents=2)
    frame = table.frame.copy()
    first = frame["document_id"] == "d000"
    frame["domain"] = np.where(first, "Syria", "Iraq")
    frame.loc[frame.index[~first][0], "domain"] = "Yemen"
    result = document_confusions(PredictionsTable(frame, table.labels))
    assert result.domains == ("Syria", "")


def test_secondary_labels_are_whole_words(make_table: MakeTable) -> None:
    table = make_table(n=1, labels=("a", "aa"), gold_use=("a",), predicted_use=("aa",))
    frame = table.frame.assign(predicted="a", label="aa", secondary="aaa|aa b")
    result = document_confusions(PredictionsTable(frame, table.labels))
    assert result.lenient[0, 0].tolist() == [[0, 0], [1, 0]]
