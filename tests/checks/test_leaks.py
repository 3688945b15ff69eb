"""SB011 to SB014: each must fire, and must not."""

from __future__ import annotations

from typing import Any

import numpy as np

from sitrepbench.checks.material import Material
from sitrepbench.data.dataset import Dataset
from sitrepbench.protocols.cells import Cell, Plan

LONG = "The governor of the northern province said on Monday that {} villages had been emptied"
TOLD = [
    ("t1", LONG.format("nine"), "a", "train"),
    ("t2", "Rescuers pulled six bodies from a collapsed warehouse by the railway", "b", "train"),
    (
        "t3",
        "Both delegations will meet again on the island before the end of the month",
        "c",
        "train",
    ),
    ("s1", "Power was cut in most of the harbour district for the third night running", "a", "dev"),
    ("s2", "A spokesman called the accusation an invention of the opposition press", "b", "dev"),
    ("s3", "Buses took the last patients of the clinic to a school across the river", "c", "dev"),
]


def plan(dataset: Dataset, *, part: str = "dev", train: str = "train", scored: str = "dev") -> Plan:
    split = dataset.frame["split"]
    cell = Cell(part, 0, 0, np.flatnonzero(split == train), np.flatnonzero(split == scored))
    return Plan(dataset, dataset, (cell,))


def with_row(row: tuple[str, str, str, str]) -> list[tuple[str, str, str, str]]:
    return [*TOLD, row]


def test_a_scored_sentence_that_is_trained_on_but_for_a_word_is_found(
    made: Any, found: Any
) -> None:
    data = made.dataset(with_row(("s4", LONG.format("ten"), "a", "dev")))
    (told,) = found("SB011", [made.run(plan=plan(data))])
    assert told.startswith("1 of 4 scored sentences (25.0%)")
    assert "s4.6 (dev, fold 0) and t1.0" in told


def test_texts_of_their_own_pass_and_so_do_short_ones(made: Any, found: Any) -> None:
    short = [("s5", "He declined to comment.", "a", "dev"),
             ("t5", "He declined to comment.", "a", "train")]  # fmt: skip
    assert not found("SB011", [made.run(plan=plan(made.dataset([*TOLD, *short])))])


def test_how_alike_is_given(made: Any, found: Any) -> None:
    data = made.dataset(with_row(("s4", LONG.format("ten"), "a", "dev")))
    runs = (made.run(plan=plan(data)),)
    assert not found("SB011", Material(runs, similarity=1.0))


def test_near_duplicates_on_one_side_pass(made: Any, found: Any) -> None:
    data = made.dataset(with_row(("t4", LONG.format("ten"), "a", "train")))
    assert not found("SB011", [made.run(plan=plan(data))])


def test_near_duplicates_between_two_datasets_are_found(made: Any, found: Any) -> None:
    training = made.dataset(TOLD)
    for text, leaks in ((LONG.format("ten"), 1), (TOLD[3][1], 0)):
        target = made.dataset([("x1", text, "a", "test")])
        cell = Cell("test", 0, 0, np.arange(3) + 3, np.arange(1))  # rows are sorted: s..., t...
        assert len(found("SB011", [made.run(plan=Plan(training, target, (cell,)))])) == leaks


def test_without_data_or_without_fitting_it_does_not_apply(made: Any, unasked: Any) -> None:
    assert "the file is gone" in unasked("SB011", [made.run(no_plan="the file is gone")])
    data = made.dataset(TOLD)
    rules = Plan(data, data, plan(data).cells, fits=False)
    assert "trained" in unasked("SB011", [made.run(plan=rules)])


def test_a_document_on_both_sides_is_found(made: Any, found: Any) -> None:
    data = made.dataset(with_row(("t1", "Rain fell.", "a", "dev")))
    (told,) = found("SB012", [made.run(plan=plan(data))])
    assert "for example t1 (dev, fold 0)" in told


def test_a_cluster_on_both_sides_is_found_and_documents_apart_pass(made: Any, found: Any) -> None:
    assert found("SB012", [made.run(plan=plan(made.dataset(TOLD, cluster="one")))])
    assert not found("SB012", [made.run(plan=plan(made.dataset(TOLD)))])


def test_a_document_of_the_training_data_in_another_dataset_is_found(made: Any, found: Any) -> None:
    training = made.dataset(TOLD)
    for name, shared in (("t1", 1), ("x1", 0)):
        target = made.dataset([(name, "Something else", "a", "test")])
        cell = Cell("test", 0, 0, np.arange(6), np.arange(1))
        assert len(found("SB012", [made.run(plan=Plan(training, target, (cell,)))])) == shared


def test_test_sentences_that_are_trained_on_or_scored_as_dev_are_found(
    made: Any, found: Any
) -> None:
    data = made.dataset(with_row(("x1", "Rain fell.", "a", "test")))
    (told,) = found("SB013", [made.run(plan=plan(data, train="test"))])
    assert "trained on" in told
    (told,) = found("SB013", [made.run(plan=plan(data, part="cv", scored="test"))])
    assert "the part(s) cv hold" in told


def test_test_sentences_in_test_parts_pass(made: Any, found: Any, unasked: Any) -> None:
    data = made.dataset(with_row(("x1", "Rain fell.", "a", "test")))
    assert not found("SB013", [made.run(plan=plan(data, part="test", scored="test"))])
    assert "no test split" in unasked("SB013", [made.run(plan=plan(made.dataset(TOLD)))])


def test_a_label_that_a_cell_never_trains_on_is_found(made: Any, found: Any) -> None:
    data = made.dataset([row for row in TOLD if row[0] != "t2"])
    (told,) = found("SB014", [made.run(plan=plan(data))])
    assert "train on no sentence of them: b (dev, repeat 0, fold 0)" in told


def test_a_label_that_a_part_or_a_fold_lacks_is_found(made: Any, found: Any) -> None:
    table = made.predictions(folds=2)
    frame = table.frame
    without = frame[frame["label"] != "c"].reset_index(drop=True)
    (told,) = found("SB014", [made.run(table=type(table)(without, table.labels))])
    assert "part dev has no sentence of c" in told
    fold = frame[(frame["label"] != "c") | (frame["fold"] == 0)].reset_index(drop=True)
    (told,) = found("SB014", [made.run(table=type(table)(fold, table.labels))])
    assert "fold 1 of repeat 0 (c)" in told


def test_folds_with_all_labels_pass(made: Any, found: Any) -> None:
    run = made.run(table=made.predictions(folds=4), plan=plan(made.dataset(TOLD)))
    assert not found("SB014", [run])
