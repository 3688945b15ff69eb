"""Protocols: what every plan must hold, and the errors with their numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.duplicates import document_groups
from sitrepbench.data.table import load_frame
from sitrepbench.errors import LockedSplitError, ProtocolError
from sitrepbench.labels import LABELS
from sitrepbench.protocols import CrossDataset, GroupedCV, Official, Score, check_plan


def make(n_documents: int = 40, *, splits: bool = False, name: str = "made") -> Dataset:
    rng = np.random.default_rng(1)
    rows = []
    for document in range(n_documents):
        split = ("train", "train", "dev", "test")[document % 4]
        for position in range(5):
            label = LABELS[(document + position) % 5]
            rows.append(
                {
                    "document_id": f"d{document:03}",
                    "position": position,
                    "text": f"{name} sentence number {position} of document {document} with "
                    f"{rng.integers(1_000_000)} {label}",
                    "label": label,
                    "split": split if splits else "",
                }
            )
    return load_frame(pd.DataFrame(rows), name=name)


def test_every_sentence_is_held_out_once_per_repeat() -> None:
    dataset = make()
    plan = GroupedCV(n_folds=4, n_repeats=3).plan(dataset)
    assert len(plan.cells) == 12
    for repeat in range(3):
        held = np.concatenate([cell.test for cell in plan.cells if cell.repeat == repeat])
        assert sorted(held) == list(range(len(dataset.frame)))
    for cell in plan.cells:
        assert not set(cell.train) & set(cell.test)


def test_no_document_stands_on_both_sides_and_every_fold_holds_every_class() -> None:
    dataset = make()
    groups = document_groups(dataset.frame)
    for cell in GroupedCV(n_repeats=2).plan(dataset).cells:
        assert not set(groups[cell.train]) & set(groups[cell.test])
        assert set(dataset.frame["label"].iloc[cell.test]) == set(LABELS)


def test_near_duplicates_keep_their_documents_together() -> None:
    frame = make().frame.copy()
    frame["cluster"] = ""
    for cluster, position, names in (("a", 0, ["d003", "d017"]), ("b", 1, ["d017", "d030"])):
        rows = frame["document_id"].isin(names) & (frame["position"] == position)
        frame.loc[rows, "cluster"] = cluster
    dataset = load_frame(frame, name="linked")
    for cell in GroupedCV(n_repeats=5).plan(dataset).cells:
        held = set(dataset.frame["document_id"].iloc[cell.test])
        assert len(held & {"d003", "d017", "d030"}) in (0, 3)


def test_splits_depend_on_the_repeat_alone() -> None:
    dataset = make()
    first, again = GroupedCV(n_repeats=2).plan(dataset), GroupedCV(n_repeats=2).plan(dataset)
    for cell, same in zip(first.cells, again.cells, strict=True):
        assert np.array_equal(cell.test, same.test)
    one, two = (
        [tuple(cell.test) for cell in first.cells if cell.repeat == repeat] for repeat in (0, 1)
    )
    assert one != two
    shuffled = load_frame(dataset.frame.sample(frac=1, random_state=3), name="made")
    for cell, same in zip(first.cells, GroupedCV(n_repeats=2).plan(shuffled).cells, strict=True):
        assert np.array_equal(cell.test, same.test)


def test_cross_validation_leaves_test_splits_alone() -> None:
    dataset = make(splits=True)
    plan = GroupedCV().plan(dataset)
    used = np.concatenate([cell.test for cell in plan.cells])
    assert set(dataset.frame["split"].iloc[used]) == {"train", "dev"}
    assert check_plan(plan, unlock_reason=None) == ()


@pytest.mark.parametrize(
    ("protocol", "n_documents", "message"),
    [
        (lambda: GroupedCV(n_folds=1), 9, "protocol.n_folds=1: at least 2 are needed"),
        (lambda: GroupedCV(n_repeats=0), 9, "protocol.n_repeats=0: at least 1 is needed"),
        (lambda: GroupedCV(), 3, r"3 document group\(s\) available / 5 folds requested"),
    ],
)
def test_impossible_folds_are_told_with_the_numbers(protocol, n_documents, message) -> None:
    with pytest.raises(ProtocolError, match=message):
        protocol().plan(make(n_documents))


def test_a_rare_label_is_told_with_its_numbers() -> None:
    frame = make().frame.copy()
    rare = (frame["label"] == "evacuation") & ~frame["document_id"].isin(["d000", "d001", "d002"])
    frame.loc[rare, "label"] = "background"
    with pytest.raises(ProtocolError) as caught:
        GroupedCV().plan(load_frame(frame, name="rare"))
    message = str(caught.value)
    assert "evacuation in 3 document group(s) / 5 folds requested" in message
    assert "protocol.n_folds=3 at most" in message
    assert len(GroupedCV(n_folds=3).plan(load_frame(frame, name="rare")).cells) == 3


def test_official_scores_dev_and_unlocked_the_test_split() -> None:
    dataset = make(splits=True)
    plan = Official().plan(dataset)
    assert [cell.part for cell in plan.cells] == ["dev"]
    assert check_plan(plan, unlock_reason=None) == ()
    final = Official(train=["train", "dev"], score=["test"]).plan(dataset)
    for reason in (None, "", "  "):
        with pytest.raises(LockedSplitError, match=r"test are locked.*unlock\.reason"):
            check_plan(final, unlock_reason=reason)
    assert check_plan(final, unlock_reason="paper") == ("test",)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (Official(train=["train", "dev"]), "dev: a split cannot be both trained on and scored"),
        (Official(score=["tets"]), r"no split 'tets'.*Did you mean 'test'"),
        (Official(score=[]), "no split is named"),
        (Official(score=["dev", "dev"]), "named twice"),
    ],
)
def test_wrong_splits_are_told(protocol: Official, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        protocol.plan(make(splits=True))


def test_nothing_is_trained_on_a_test_split() -> None:
    plan = Official(train=["test"], score=["dev"]).plan(make(splits=True))
    with pytest.raises(ProtocolError, match="nothing is ever trained on a test split"):
        check_plan(plan, unlock_reason="any reason")


def test_official_needs_splits() -> None:
    with pytest.raises(ProtocolError, match="it has no column 'split'"):
        Official().plan(make())


def test_cross_dataset_trains_on_development_rows_and_locks_the_target() -> None:
    dataset, target = make(splits=True), make(8, splits=True, name="other")
    plan = CrossDataset(target=target).plan(dataset)
    (cell,) = plan.cells
    assert set(dataset.frame["split"].iloc[cell.train]) == {"train", "dev"}
    assert len(cell.test) == len(target.frame)
    with pytest.raises(LockedSplitError):
        check_plan(plan, unlock_reason=None)
    only_dev = CrossDataset(target=target, score=["dev"]).plan(dataset)
    assert check_plan(only_dev, unlock_reason=None) == ()


def test_cross_dataset_refuses_the_same_sentences_on_both_sides() -> None:
    with pytest.raises(ProtocolError, match="stand in the training data of"):
        CrossDataset(target=make(8)).plan(make(8))


def test_cross_dataset_looks_through_case_and_punctuation() -> None:
    frame = make(8).frame.copy()
    frame["text"] = frame["text"].str.upper() + "!"
    frame["document_id"] = "other" + frame["document_id"]
    with pytest.raises(ProtocolError, match="stand in the training data of"):
        CrossDataset(target=load_frame(frame, name="shouted")).plan(make(8))


@pytest.mark.parametrize("column", ["document_id", "cluster"])
def test_no_document_and_no_cluster_may_stand_in_two_splits(column: str) -> None:
    frame = make(splits=True).frame.copy()
    row = frame.index[frame["split"] == "dev"][0]
    other = frame.index[frame["split"] == "train"][0]
    if column == "cluster":
        frame.loc[[row, other], "cluster"] = "same"
    else:
        frame.loc[row, "document_id"] = frame.loc[other, "document_id"]
        frame.loc[row, "position"] = 99
        frame.loc[row, "sentence_id"] = "moved"
    plan = Official().plan(load_frame(frame, name="torn"))
    with pytest.raises(ProtocolError, match="stand both in what is trained on and in"):
        check_plan(plan, unlock_reason=None)


def test_what_shares_a_document_with_a_test_split_is_not_trained_on() -> None:
    frame = make(splits=True).frame.copy()
    row = frame.index[frame["split"] == "test"][0]
    frame.loc[row, "cluster"] = frame.loc[frame.index[frame["split"] == "train"][0], "cluster"] = (
        "c"
    )
    with pytest.raises(ProtocolError, match="scored or locked"):
        check_plan(GroupedCV().plan(load_frame(frame, name="torn")), unlock_reason=None)


def test_a_test_split_is_locked_in_any_case() -> None:
    frame = make(splits=True).frame.copy()
    frame["split"] = frame["split"].replace("test", "Test")
    plan = Official(score=["Test"]).plan(load_frame(frame, name="shouted"))
    with pytest.raises(LockedSplitError):
        check_plan(plan, unlock_reason=None)


def test_labels_that_the_training_data_lack_are_told() -> None:
    frame = make(8, name="other").frame.copy()
    frame["label"] = frame["label"].replace("denial", "refusal")
    target = load_frame(frame, name="foreign", labels=[*LABELS, "refusal"])
    plan = CrossDataset(target=target).plan(make())
    with pytest.raises(ProtocolError, match="does not know: refusal"):
        check_plan(plan, unlock_reason=None)


def test_score_fits_nothing() -> None:
    plan = Score().plan(make())
    assert not plan.fits
    assert [len(cell.train) for cell in plan.cells] == [0]


def test_repeats_differ_from_each_other() -> None:
    plan = GroupedCV(n_repeats=4).plan(make())
    firsts = [tuple(cell.test) for cell in plan.cells if cell.fold == 0]
    assert all(a != b for a, b in pairwise(firsts))
