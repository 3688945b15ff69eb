"""Pairs of entries: the numbers are those of the statistics, and what cannot be paired is told."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from sitrepbench.comparison.compare import compare
from sitrepbench.comparison.disagreements import disagreements
from sitrepbench.comparison.entries import Entry, common_part
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.predictions import PredictionsTable
from sitrepbench.stats.multiple import holm
from sitrepbench.stats.paired import paired_difference
from sitrepbench.stats.randomisation import randomisation_test

LABELS = ("a", "b", "c")


def table(
    accuracy: float, *, seed: int, documents: int = 30, repeats: int = 1, part: str = "dev"
) -> PredictionsTable:
    n = documents * 10
    gold = np.random.default_rng(0).choice(LABELS, n)
    frames = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        said = np.where(rng.random(n) < accuracy, gold, rng.choice(LABELS, n))
        frames.append(
            pd.DataFrame(
                {
                    "sentence_id": [f"s{at:04}" for at in range(n)],
                    "document_id": [f"d{at // 10:03}" for at in range(n)],
                    "domain": "",
                    "part": part,
                    "repeat": repeat,
                    "fold": 0,
                    "label": gold,
                    "secondary": "",
                    "predicted": said,
                    **{f"p_{label}": math.nan for label in LABELS},
                }
            )
        )
    return PredictionsTable(pd.concat(frames, ignore_index=True), LABELS)


def entry(name: str, predictions: PredictionsTable) -> Entry:
    return Entry(name, predictions, "file", None, None)


def test_a_pair_has_the_numbers_of_the_statistics() -> None:
    tables = [table(0.8, seed=1), table(0.6, seed=2), table(0.78, seed=3)]
    entries = [entry(name, one) for name, one in zip("xyz", tables, strict=True)]
    found = compare(entries, n_permutations=999)
    assert [(pair.one, pair.other) for pair in found.pairs] == [("x", "y"), ("x", "z"), ("y", "z")]
    one, other = document_confusions(tables[0]), document_confusions(tables[1])
    statistic = partial(macro_f1, labels=one.supported)
    assert found.pairs[0].macro_f1 == paired_difference(one, other, statistic)
    assert found.pairs[0].p_value == randomisation_test(one, other, statistic, n_permutations=999)
    adjusted = holm([pair.p_value for pair in found.pairs])
    assert [pair.p_adjusted for pair in found.pairs] == adjusted.tolist()
    assert [pair.told_apart for pair in found.pairs] == [True, False, True]
    assert found.pairs[1].minimum_detectable > abs(found.pairs[1].macro_f1.estimate)
    assert found.n_documents == 30
    assert found.n_sentences == 300
    assert found.pairs[0].resampled is None  # no folds


def test_swapping_the_two_swaps_the_sign() -> None:
    one, other = entry("x", table(0.8, seed=1)), entry("y", table(0.6, seed=2))
    (forth,), (back,) = (compare(pair).pairs for pair in ([one, other], [other, one]))
    assert forth.macro_f1.estimate == pytest.approx(-back.macro_f1.estimate)
    assert forth.p_value == back.p_value
    assert forth.mcnemar.only_one == back.mcnemar.only_other


def test_counts_of_disagreement_add_up() -> None:
    one, other = table(0.8, seed=1), table(0.5, seed=2)
    found = disagreements(one, other, n_examples=6, texts={"s0000": "First."})
    rows = found.by_label
    ways = ["both_right", "only_one", "only_other", "both_wrong_differently", "both_wrong_alike"]
    assert rows[ways].to_numpy().sum() == rows["n"].sum() == 300
    gold, left, right = one.frame["label"], one.frame["predicted"], other.frame["predicted"]
    expected = ((left == gold) & (right != gold) & (gold == "b")).sum()
    assert rows.set_index("label").loc["b", "only_one"] == expected
    assert found.total == (left != right).sum()
    assert found.one_right.sum() == (left == gold).sum()
    said = [(example.one == example.label, example.other == example.label)
            for example in found.examples]  # fmt: skip
    assert said == 2 * [(True, False), (False, True), (False, False)]
    assert len({example.document_id for example in found.examples}) == 6
    assert disagreements(one, other, n_examples=6).examples == tuple(
        example.__class__(**{**vars(example), "text": ""}) for example in found.examples
    )


def test_equal_predictions_differ_in_nothing() -> None:
    one = table(0.7, seed=1)
    (pair,) = compare([entry("x", one), entry("y", one)]).pairs
    assert pair.macro_f1.estimate == 0
    assert pair.p_value == 1
    assert not pair.told_apart
    assert pair.disagreements.total == 0
    assert pair.disagreements.examples == ()


def test_repeats_may_differ_in_number() -> None:
    found = compare([entry("x", table(0.8, seed=1, repeats=3)), entry("y", table(0.6, seed=2))])
    assert [one.n_repeats for one in found.entries] == [3, 1]
    assert any("number of repeats" in note for note in found.notes)
    assert any("first repeat" in note for note in found.notes)


def test_one_document_has_no_interval() -> None:
    tables = [table(0.8, seed=seed, documents=1) for seed in (1, 2)]
    found = compare([entry(str(at), one) for at, one in enumerate(tables)])
    assert math.isnan(found.pairs[0].macro_f1.low)
    assert math.isnan(found.pairs[0].minimum_detectable)
    assert any("few" in note for note in found.notes)


def test_too_few_permutations_for_so_many_pairs_are_told() -> None:
    entries = [entry(str(at), table(0.7, seed=at)) for at in range(4)]
    assert any("give --permutations 120" in note
               for note in compare(entries, n_permutations=99).notes)  # fmt: skip
    assert not compare(entries[:2], n_permutations=99).notes


def test_what_cannot_be_paired_is_told_for_all_at_once() -> None:
    first = table(0.8, seed=1)
    fewer = PredictionsTable(first.frame.iloc[10:].reset_index(drop=True), LABELS)
    other_gold = first.frame.assign(label=["a", *first.frame["label"].tolist()[1:]])
    other_gold.loc[0, "label"] = "b" if first.frame["label"].iloc[0] == "a" else "a"
    entries = [entry("first", first), entry("fewer", fewer)]
    entries.append(entry("gold", PredictionsTable(other_gold, LABELS)))
    with pytest.raises(DataError) as caught:
        compare(entries)
    assert "fewer: 290 sentences, not the same 300; 10 are in one of the two only" in str(
        caught.value
    )
    assert "gold: 1 sentences bear another gold label, the first is 's0000'" in str(caught.value)


def test_one_entry_is_no_comparison() -> None:
    with pytest.raises(ConfigError, match="two entries or more, found 1"):
        compare([entry("x", table(0.8, seed=1))])


def test_the_part_is_a_development_part_that_all_have() -> None:
    dev, test = table(0.8, seed=1), table(0.8, seed=1, part="test")
    both = PredictionsTable(pd.concat([test.frame, dev.frame], ignore_index=True), LABELS)
    assert common_part([both, both]) == "dev"
    assert common_part([both, test]) == "test"
    assert common_part([both, both], "test") == "test"
    with pytest.raises(DataError, match="no part in common; they have: dev; test"):
        common_part([dev, test])
    with pytest.raises(DataError, match="part 'dve'. Did you mean 'dev'?"):
        common_part([dev, both], "dve")
