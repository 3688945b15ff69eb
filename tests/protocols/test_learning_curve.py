"""Learning curves: exact sizes, nested draws, domains in proportion, and no scored document."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.table import load_frame
from sitrepbench.errors import LockedSplitError, ProtocolError
from sitrepbench.labels import LABELS
from sitrepbench.protocols import LearningCurve, Plan, check_plan

DOMAINS = ("north", "south", "south", "south")


def make(n_train: int = 40, *, single_label: bool = False) -> Dataset:
    """Return training documents, ten dev and ten test ones; a quarter is of the north."""
    rows = []
    for document in range(n_train + 20):
        after = document - n_train
        split = "train" if after < 0 else ("dev" if after < 10 else "test")
        for position in range(3):
            label = LABELS[0] if single_label else LABELS[(document + position) % 5]
            rows.append(
                {
                    "document_id": f"d{document:03}",
                    "position": position,
                    "text": f"sentence {position} of document {document} tells {label}",
                    "label": label,
                    "domain": DOMAINS[document % 4],
                    "split": split,
                    "cluster": "",
                }
            )
    return load_frame(pd.DataFrame(rows), name="made", labels=LABELS)


def drawn(dataset: Dataset, plan: Plan) -> dict[int, set[str]]:
    """Return the training documents of each repeat."""
    ids = dataset.frame["document_id"]
    return {cell.repeat: set(ids.iloc[cell.train]) for cell in plan.cells}


@pytest.mark.parametrize("documents", [5, 11, 39])
def test_a_draw_has_exactly_the_documents_asked_for_whole(documents: int) -> None:
    dataset = make()
    plan = LearningCurve(documents=documents, n_repeats=4).plan(dataset)
    assert [cell.repeat for cell in plan.cells] == [0, 1, 2, 3]
    for cell in plan.cells:
        taken = Counter(dataset.frame["document_id"].iloc[cell.train])
        assert len(taken) == documents
        assert set(taken.values()) == {3}
        assert set(dataset.frame["split"].iloc[cell.train]) == {"train"}
        assert cell.part == "dev"
        assert set(dataset.frame["split"].iloc[cell.test]) == {"dev"}
        assert len(cell.test) == 30
    assert check_plan(plan, unlock_reason=None) == ()


def test_smaller_draws_lie_within_larger_ones_and_repeats_differ() -> None:
    dataset = make()
    draws = [
        drawn(dataset, LearningCurve(documents=documents).plan(dataset))
        for documents in (4, 5, 12, 25, 39)
    ]
    for repeat in range(5):
        for smaller, larger in pairwise(draws):
            assert smaller[repeat] < larger[repeat]
    assert len({frozenset(documents) for documents in draws[2].values()}) == 5


def test_a_draw_depends_on_the_repeat_alone() -> None:
    dataset = make()
    few = LearningCurve(documents=8, n_repeats=2).plan(dataset)
    shuffled = load_frame(dataset.frame.sample(frac=1, random_state=3), name="made", labels=LABELS)
    many = LearningCurve(documents=8, n_repeats=5).plan(shuffled)
    for cell, same in zip(few.cells, many.cells, strict=False):
        assert np.array_equal(cell.train, same.train)


def test_domains_are_drawn_in_proportion() -> None:
    dataset = make()
    by_document = dataset.frame.drop_duplicates("document_id").set_index("document_id")["domain"]
    for documents in (4, 7, 10, 22, 33):
        plan = LearningCurve(documents=documents).plan(dataset)
        for taken in drawn(dataset, plan).values():
            north = sum(by_document[name] == "north" for name in taken)
            assert abs(north - documents / 4) <= 1


@pytest.mark.slow
def test_every_document_has_the_same_chance() -> None:
    dataset = make()
    plan = LearningCurve(documents=10, n_repeats=160).plan(dataset)
    times = Counter(name for taken in drawn(dataset, plan).values() for name in taken)
    assert len(times) == 40
    # 160 draws of one in four: 40 each, with a standard deviation under 6.
    assert all(16 < count < 64 for count in times.values())


def test_near_duplicates_come_together_but_for_the_last_of_a_draw() -> None:
    frame = make().frame.copy()
    for number in range(0, 40, 4):
        pair = [f"d{number:03}", f"d{number + 1:03}"]
        frame.loc[frame["document_id"].isin(pair) & (frame["position"] == 0), "cluster"] = pair[0]
    dataset = load_frame(frame, name="linked", labels=LABELS)
    cut = 0
    for documents in range(2, 14):
        for taken in drawn(dataset, LearningCurve(documents=documents).plan(dataset)).values():
            assert len(taken) == documents
            torn = [
                number
                for number in range(0, 40, 4)
                if (f"d{number:03}" in taken) != (f"d{number + 1:03}" in taken)
            ]
            assert len(torn) <= 1
            cut += len(torn)
    assert cut < 12 * 5 * 2 / 3


@pytest.mark.parametrize("documents", [None, 40])
def test_all_documents_need_one_repeat(documents: int | None) -> None:
    plan = LearningCurve(documents=documents).plan(make())
    (cell,) = plan.cells
    assert len(cell.train) == 120


def test_every_scored_split_is_a_part_and_test_splits_stay_locked() -> None:
    plan = LearningCurve(documents=6, n_repeats=2, score=["dev", "test"]).plan(make())
    assert [(cell.part, cell.repeat) for cell in plan.cells] == [
        ("dev", 0),
        ("test", 0),
        ("dev", 1),
        ("test", 1),
    ]
    with pytest.raises(LockedSplitError):
        check_plan(plan, unlock_reason=None)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (lambda: LearningCurve(documents=0), "protocol.documents=0: at least 1 is needed"),
        (lambda: LearningCurve(n_repeats=0), "protocol.n_repeats=0: at least 1 is needed"),
        (
            lambda: LearningCurve(documents=41),
            r"40 training document\(s\) available in train / 41 requested",
        ),
        (lambda: LearningCurve(train=["trian"]), "no split 'trian'.*Did you mean 'train'"),
        (lambda: LearningCurve(score=["train"]), "cannot be both trained on and scored"),
    ],
)
def test_what_cannot_be_drawn_is_told_with_the_numbers(protocol, message) -> None:
    with pytest.raises(ProtocolError, match=message):
        protocol().plan(make())


def test_a_draw_of_one_label_is_told() -> None:
    with pytest.raises(ProtocolError, match=r"the 3 training document\(s\) of repeat 0 hold 9"):
        LearningCurve(documents=3).plan(make(single_label=True))
