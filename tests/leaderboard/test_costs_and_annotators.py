"""Costs of searched and refitted runs; annotators against `data stats`' own measure."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from ranked_entries import record

from sitrepbench.comparison.annotators import score_annotators
from sitrepbench.comparison.costs import UNKNOWN, costs_of
from sitrepbench.data.agreement import measure_agreement
from sitrepbench.labels import LABELS


def test_a_search_is_timed_where_it_took_place() -> None:
    searched = record("a", tuning={"search": {"_target_": "x.RandomSearch"}, "seconds": 30.0})
    refitted = record("b", tuning={"search": {"_target_": "x.Given"}, "seconds": 0.0})
    assert costs_of([searched]).search == 30.0
    assert math.isnan(costs_of([refitted]).search)
    assert costs_of([record("c")]).search == 0.0
    assert costs_of([record("c", fit=2.0), record("d", fit=4.0)]).total == 3.5
    assert costs_of([]) is UNKNOWN
    assert not UNKNOWN.known


@pytest.fixture
def annotations() -> pd.DataFrame:
    """Three annotators of 60 sentences in 12 documents, and an adjudicator who agrees with one."""
    draws = np.random.default_rng(3)
    truth = draws.choice(LABELS, 60)
    rows = []
    for who in ("ann", "ben", "cem"):
        said = np.where(draws.random(60) < 0.2, draws.choice(LABELS, 60), truth)
        rows += [(f"s{at}", who, label) for at, label in enumerate(said)]
    rows += [(f"s{at}", "adjudicator", label) for at, label in enumerate(truth)]
    return pd.DataFrame(rows, columns=["sentence_id", "annotator", "label"])


def test_annotators_score_as_in_the_statistics_of_the_data(annotations: pd.DataFrame) -> None:
    documents = {f"s{at}": f"d{at // 5}" for at in range(60)}
    found = score_annotators(annotations, documents, LABELS, by_machine=False)
    agreement = measure_agreement(annotations, LABELS)
    assert found is not None
    assert found.annotators == agreement.annotators == ("ann", "ben", "cem")
    assert found.macro_f1 == pytest.approx(agreement.pairs["macro_f1"].mean())
    expected = dict(zip(agreement.per_label["label"], agreement.per_label["f1"], strict=True))
    assert found.per_label == pytest.approx(expected)
    assert found.low < found.macro_f1 < found.high
    assert (found.n_sentences, found.n_documents) == (60, 12)


def test_only_the_sentences_of_the_part_count(annotations: pd.DataFrame) -> None:
    documents = {f"s{at}": f"d{at // 5}" for at in range(30)}
    found = score_annotators(annotations, documents, LABELS, by_machine=True)
    here = annotations[annotations["sentence_id"].isin(list(documents))]
    assert found is not None
    assert found.macro_f1 == pytest.approx(measure_agreement(here, LABELS).pairs.macro_f1.mean())
    assert score_annotators(annotations, {"elsewhere": "d"}, LABELS, by_machine=True) is None
