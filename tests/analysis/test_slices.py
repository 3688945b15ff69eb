"""Groups of sentences: which are scored, and which verdicts the data carry."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

sys.path.insert(0, str(Path(__file__).parent))

from made_up_errors import made_dataset, made_predictions

from sitrepbench.analysis.errors import annotators_agree
from sitrepbench.analysis.judged import judge
from sitrepbench.analysis.slices import BETTER, LEAST_DOCUMENTS, WORSE, slice_errors
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import accuracy
from sitrepbench.stats.intervals import effective_number, jackknife, proportion_interval


def test_scores_are_those_of_scikit_learn_on_the_rows() -> None:
    dataset = made_dataset()
    wrong = np.random.default_rng(1).random(len(dataset.frame)) < 0.3
    table = made_predictions(dataset, wrong, n_repeats=2)
    found = slice_errors(judge(table, dataset, part="dev")).table
    rows = found[found["by"] == "source"]
    assert list(rows["group"]) == ["blog", "radio", "wire"]
    for row in rows.to_dict("records"):
        chosen = (dataset.frame["source"] == row["group"]).to_numpy()
        once = table.frame.iloc[: len(dataset.frame)]
        inside, rest = once[chosen], once[~chosen]
        assert row["sentences"] == chosen.sum()
        assert row["documents"] == inside["document_id"].nunique()
        assert row["error_rate"] == pytest.approx((inside["label"] != inside["predicted"]).mean())
        macro = [f1_score(s["label"], s["predicted"], average="macro") for s in (inside, rest)]
        assert row["macro_f1"] == pytest.approx(macro[0])
        assert row["macro_f1_difference"] == pytest.approx(macro[0] - macro[1])
        assert row["macro_f1_difference_low"] < row["macro_f1_difference"]


def test_a_groups_interval_is_that_of_its_documents_alone() -> None:
    dataset = made_dataset()
    wrong = np.random.default_rng(1).random(len(dataset.frame)) < 0.3
    table = made_predictions(dataset, wrong)
    found = slice_errors(judge(table, dataset, part="dev")).table.set_index(["by", "group"])
    inside = dataset.frame["domain"] == "city"
    alone = made_predictions(dataset, wrong).frame[inside.to_numpy()].reset_index(drop=True)
    counts = document_confusions(type(table)(alone, table.labels)).counts
    effective = effective_number(counts.sum(axis=(0, 2, 3)))
    low, high = proportion_interval(
        jackknife(counts, lambda c: 1 - accuracy(c), effective_documents=effective)
    )
    row = found.loc[("domain", "city")]
    assert (row["error_rate_low"], row["error_rate_high"]) == pytest.approx((low, high))


def test_a_group_that_is_worse_is_called_so_and_no_other() -> None:
    dataset = made_dataset(n_documents=60)
    odds = np.where(dataset.frame["source"] == "blog", 0.6, 0.15)
    wrong = np.random.default_rng(2).random(len(odds)) < odds
    found = slice_errors(judge(made_predictions(dataset, wrong), dataset, part="dev")).table
    verdicts = found.set_index(["by", "group"])["verdict"]
    assert verdicts[("source", "blog")] == WORSE
    assert {verdicts[("source", name)] for name in ("wire", "radio")} <= {BETTER, ""}
    assert set(verdicts.drop(index="source", level="by")) == {""}


@pytest.mark.slow
def test_where_nothing_differs_hardly_any_corpus_gets_a_verdict() -> None:
    # Errors by document, as in news: some documents are hard as a whole.
    dataset = made_dataset(n_documents=40, length=10)
    code, documents = pd.factorize(dataset.frame["document_id"])
    told, corpora = 0, 120
    for seed in range(corpora):
        generator = np.random.default_rng(seed)
        hard = generator.beta(2, 5, size=len(documents))
        wrong = generator.random(len(code)) < hard[code]
        found = slice_errors(judge(made_predictions(dataset, wrong), dataset, part="dev")).table
        told += bool((found["verdict"] != "").any())
    # Five in a hundred at most; of 120 corpora more than 12 would come up once in 300 times.
    assert told <= 12


def test_small_groups_and_columns_of_names_are_left_out_and_told() -> None:
    dataset = made_dataset(n_documents=18, length=8)
    frame = dataset.frame.drop(columns="outlet").assign(
        place=np.where(dataset.frame["document_id"] < "d002", "far", "here")
    )
    frame["length"] = np.where(frame["position"] % 2 == 0, "odd", "even")
    frame["twin"] = frame["source"].str.upper()
    given = type(dataset)(dataset.name, frame, dataset.labels, dataset.digest, dataset.source)
    wrong = np.random.default_rng(0).random(len(frame)) < 0.4
    found = slice_errors(judge(made_predictions(given, wrong), given, part="dev"))
    assert "place: far (16)" in found.too_small
    assert "place: here (128)" in found.too_small, "the rest has two documents"
    by = set(found.table["by"])
    assert "place" not in by
    assert {"length", "column length"} <= by, "a column of the dataset is not lost"
    assert found.notes == ("column twin groups as source does",)
    assert found.table["documents"].min() >= LEAST_DOCUMENTS
    many = slice_errors(
        judge(
            made_predictions(made_dataset(), np.zeros(480, dtype=bool)), made_dataset(), part="dev"
        )
    )
    assert many.notes == ("column outlet has 40 values, too many to group by",)


def test_all_right_is_no_trouble() -> None:
    dataset = made_dataset()
    found = slice_errors(
        judge(made_predictions(dataset, np.zeros(480, dtype=bool)), dataset, part="dev")
    ).table
    assert (found["error_rate"] == 0).all()
    assert (found["verdict"] == "").all()


def test_annotators_who_disagree_make_a_group() -> None:
    dataset = made_dataset(n_documents=40)
    names = dataset.frame["sentence_id"]
    differ = np.arange(len(names)) % 4 == 0
    rows = [
        {"sentence_id": name, "annotator": who, "label": "y" if odd and who == "b" else "x"}
        for name, odd in zip(names, differ, strict=True)
        for who in ("a", "b")
    ]
    rows += [{"sentence_id": name, "annotator": "adjudicator", "label": "z"} for name in names]
    said = annotators_agree(pd.DataFrame(rows))
    assert (said[names] == np.where(differ, "disagree", "agree")).all()
    wrong = np.random.default_rng(0).random(len(names)) < np.where(differ, 0.7, 0.1)
    found = slice_errors(
        judge(made_predictions(dataset, wrong), dataset, part="dev", annotators=said)
    ).table.set_index(["by", "group"])
    assert found.loc[("annotators", "disagree"), "verdict"] == WORSE
    assert found.loc[("annotators", "disagree"), "sentences"] == differ.sum()
