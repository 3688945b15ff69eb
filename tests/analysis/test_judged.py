"""Predictions laid beside their sentences."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_up_errors import made_dataset, made_predictions

from sitrepbench.analysis.judged import PLACE, PLACES, judge
from sitrepbench.data import load_frame
from sitrepbench.errors import DataError


def test_every_prediction_finds_its_sentence_whatever_the_order() -> None:
    dataset = made_dataset(n_documents=6)
    table = made_predictions(dataset, np.zeros(len(dataset.frame), dtype=bool), n_repeats=2)
    shuffled = table.frame.sample(frac=1, random_state=1).reset_index(drop=True)
    judged = judge(replace(table, frame=shuffled), dataset, part="dev")
    found = judged.sentences["sentence_id"].to_numpy()[judged.at]
    assert list(found) == list(shuffled["sentence_id"])
    assert len(judged.sentences) == len(dataset.frame)
    assert judged.n_repeats == 2
    probabilities = judged.probabilities
    assert probabilities is not None
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == judged.gold).all()


def test_places_are_counted_in_the_whole_document() -> None:
    frame = pd.DataFrame({"doc_id": ["a"] * 7 + ["b"], "text": list("abcdefgh"), "label": "x"})
    dataset = load_frame(frame, labels=["x", "y"])
    table = made_predictions(dataset, np.zeros(8, dtype=bool))
    # Only the last sentences are scored: they are still the last ones.
    judged = judge(replace(table, frame=table.frame.iloc[5:]), dataset, part="dev")
    assert list(judged.sentences[PLACE]) == [PLACES[3], PLACES[3], PLACES[0]]
    whole = judge(table, dataset, part="dev").sentences[PLACE]
    assert list(whole[:7]) == [PLACES[number] for number in (0, 1, 1, 2, 2, 3, 3)]


def test_another_part_is_told_with_a_suggestion() -> None:
    dataset = made_dataset(n_documents=4)
    table = made_predictions(dataset, np.zeros(len(dataset.frame), dtype=bool))
    with pytest.raises(DataError, match="no part 'dve'. Did you mean 'dev'"):
        judge(table, dataset, part="dve")


def test_a_dataset_that_does_not_fit_is_refused() -> None:
    dataset, other = made_dataset(n_documents=4), made_dataset(n_documents=3)
    table = made_predictions(dataset, np.zeros(len(dataset.frame), dtype=bool))
    with pytest.raises(DataError, match="lacks 12 sentence"):
        judge(table, other, part="dev")
    frame = dataset.frame.copy()
    frame.loc[0, "label"] = {"x": "y", "y": "z", "z": "x"}[frame.loc[0, "label"]]
    with pytest.raises(DataError, match="other gold labels"):
        judge(table, replace(dataset, frame=frame), part="dev")
