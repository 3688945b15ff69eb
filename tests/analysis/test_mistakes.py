"""Mistakes, pairs of labels and their examples."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_up_errors import made_dataset, made_predictions

from sitrepbench.analysis.judged import judge
from sitrepbench.analysis.mistakes import confused_pairs, examples_of, list_mistakes


def test_pairs_count_what_a_crosstable_counts() -> None:
    dataset = made_dataset()
    wrong = np.random.default_rng(3).random(len(dataset.frame)) < 0.2
    table = made_predictions(dataset, wrong)
    judged = judge(table, dataset, part="dev")
    mistakes = list_mistakes(judged)
    pairs = confused_pairs(judged, mistakes)
    assert len(mistakes) == wrong.sum()
    for pair in pairs.to_dict("records"):
        both = (table.frame["label"] == pair["gold"]) & (
            table.frame["predicted"] == pair["predicted"]
        )
        rows = table.frame[both]
        assert pair["count"] == len(rows)
        assert pair["share"] == pytest.approx(
            len(rows) / (table.frame["label"] == pair["gold"]).sum()
        )
        assert pair["secondary"] == (rows["secondary"] == pair["predicted"]).sum()
        assert pair["documents"] == rows["document_id"].nunique()
    assert list(pairs["count"]) == sorted(pairs["count"], reverse=True)


def test_repeats_are_averaged_and_a_sentence_stands_once() -> None:
    dataset = made_dataset(n_documents=6)
    wrong = np.zeros(len(dataset.frame), dtype=bool)
    wrong[:5] = True
    table = made_predictions(dataset, wrong, n_repeats=3)
    # The first sentence is got right in the last repeat.
    frame = table.frame.copy()
    at = frame.index[(frame["repeat"] == 2) & (frame["sentence_id"] == frame["sentence_id"][0])]
    frame.loc[at, "predicted"] = frame.loc[at, "label"]
    judged = judge(replace(table, frame=frame), dataset, part="dev")
    mistakes = list_mistakes(judged)
    assert len(mistakes) == 5
    assert dict(zip(mistakes["sentence_id"], mistakes["times"], strict=True)) == {
        name: 2 if number == 0 else 3 for number, name in enumerate(frame["sentence_id"][:5])
    }
    assert confused_pairs(judged, mistakes)["count"].sum() == pytest.approx(14 / 3)


def test_the_surest_comes_first_and_without_probabilities_the_order_stays() -> None:
    dataset = made_dataset(n_documents=6)
    table = made_predictions(dataset, np.ones(len(dataset.frame), dtype=bool))
    frame = table.frame.copy()
    columns = list(table.probability_columns)
    sure = int(np.argmax(frame["predicted"] == "y"))
    frame.loc[sure, columns] = [0.005, 0.99, 0.005]
    mistakes = list_mistakes(judge(replace(table, frame=frame), dataset, part="dev"))
    assert mistakes["sentence_id"][0] == frame["sentence_id"][sure]
    assert mistakes["probability"][0] == pytest.approx(0.99)
    assert mistakes["gold_probability"][0] == pytest.approx(0.005)
    blind = made_predictions(dataset, np.ones(len(dataset.frame), dtype=bool), probabilities=False)
    plain = list_mistakes(judge(blind, dataset, part="dev"))
    assert list(plain["sentence_id"]) == list(dataset.frame["sentence_id"])
    assert plain["probability"].isna().all()


def test_examples_come_from_different_documents_first() -> None:
    dataset = made_dataset(n_documents=5)
    table = made_predictions(dataset, np.ones(len(dataset.frame), dtype=bool))
    mistakes = list_mistakes(judge(table, dataset, part="dev"))
    found = examples_of(mistakes, "x", "y", n_examples=4)
    assert len(found) == 4
    assert found["document_id"].nunique() == 4
    assert set(found["gold"]) == {"x"}


def test_no_mistakes_make_empty_tables() -> None:
    dataset = made_dataset(n_documents=4)
    judged = judge(
        made_predictions(dataset, np.zeros(len(dataset.frame), dtype=bool)), dataset, part="dev"
    )
    mistakes = list_mistakes(judged)
    assert mistakes.empty
    assert confused_pairs(judged, mistakes).empty
