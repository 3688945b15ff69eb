"""Leave one out: whole values held out, near-duplicates kept off, test splits never touched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.duplicates import document_groups
from sitrepbench.data.table import load_frame
from sitrepbench.errors import ProtocolError
from sitrepbench.labels import LABELS
from sitrepbench.protocols import LeaveOneOut, check_plan

DOMAINS = ("border", "coup", "truce")


def make(n_documents: int = 60, *, splits: bool = True, small: int = 0) -> Dataset:
    """Return documents of three domains in turn; the first ``small`` are of a fourth, tiny one."""
    rows = []
    for document in range(n_documents):
        split = ("train", "train", "dev", "test")[document // 3 % 4] if splits else ""
        for position in range(5):
            label = LABELS[(document + position) % 5]
            rows.append(
                {
                    "document_id": f"d{document:03}",
                    "position": position,
                    "text": f"sentence {position} of document {document} tells {label}",
                    "label": label,
                    "domain": "atoll" if document < small else DOMAINS[document % 3],
                    "split": split,
                    "cluster": "",
                    "register": "wire" if document % 2 else "blog",
                    "form": "heading" if position == 0 else "sentence",
                }
            )
    return load_frame(pd.DataFrame(rows), name="made")


def test_each_value_is_held_out_once_and_never_trained_on() -> None:
    dataset = make()
    protocol = LeaveOneOut(by="domain")
    plan = protocol.plan(dataset)
    assert protocol.held_out(dataset) == DOMAINS
    assert [(cell.part, cell.repeat, cell.fold) for cell in plan.cells] == [
        ("cv", 0, fold) for fold in range(3)
    ]
    domains, splits = dataset.frame["domain"], dataset.frame["split"]
    development = np.flatnonzero(splits != "test")
    for cell, value in zip(plan.cells, DOMAINS, strict=True):
        assert set(domains.iloc[cell.test]) == {value}
        assert value not in set(domains.iloc[cell.train])
        assert sorted([*cell.train, *cell.test]) == list(development)
    assert check_plan(plan, unlock_reason=None) == ()


def test_any_column_that_the_dataset_adds_will_do() -> None:
    dataset = make(splits=False)
    plan = LeaveOneOut(by="register").plan(dataset)
    assert [set(dataset.frame["register"].iloc[cell.test]) for cell in plan.cells] == [
        {"blog"},
        {"wire"},
    ]
    assert sum(len(cell.test) for cell in plan.cells) == len(dataset.frame)


def test_near_duplicates_of_what_is_held_out_are_not_trained_on() -> None:
    frame = make().frame.copy()
    linked = ["d000", "d001"]  # of border and of coup
    frame.loc[frame["document_id"].isin(linked) & (frame["position"] == 0), "cluster"] = "same"
    dataset = load_frame(frame, name="linked")
    plan = LeaveOneOut().plan(dataset)
    ids, groups = dataset.frame["document_id"], document_groups(dataset.frame)
    for cell, other in zip(plan.cells[:2], ("d001", "d000"), strict=True):
        assert other not in set(ids.iloc[cell.train])
        assert other not in set(ids.iloc[cell.test])
        assert not set(groups[cell.train]) & set(groups[cell.test])
    assert set(linked) <= set(ids.iloc[plan.cells[2].train])
    check_plan(plan, unlock_reason=None)


def test_a_small_value_is_trained_on_only() -> None:
    dataset = make(small=3)
    protocol = LeaveOneOut(minimum_sentences=30)
    assert protocol.held_out(dataset) == DOMAINS
    for cell in protocol.plan(dataset).cells:
        assert "atoll" in set(dataset.frame["domain"].iloc[cell.train])
        assert "atoll" not in set(dataset.frame["domain"].iloc[cell.test])
    assert LeaveOneOut(minimum_sentences=15).held_out(dataset) == ("atoll", *DOMAINS)


def test_the_control_scores_the_same_sentences_by_models_that_met_every_value() -> None:
    dataset = make(small=3)
    plan, control = (LeaveOneOut(control=given).plan(dataset) for given in (False, True))
    assert len(control.cells) == len(plan.cells) == 3
    scored = [sorted(np.concatenate([cell.test for cell in p.cells])) for p in (plan, control)]
    assert scored[0] == scored[1]
    for cell in control.cells:
        assert set(dataset.frame["domain"].iloc[cell.train]) == {"atoll", *DOMAINS}
        assert not set(dataset.frame["document_id"].iloc[cell.train]) & set(
            dataset.frame["document_id"].iloc[cell.test]
        )
    assert check_plan(control, unlock_reason=None) == ()


def changed(column: str, value: str, rows: int) -> Dataset:
    frame = make().frame.copy()
    frame.loc[frame.index[:rows], column] = value
    return load_frame(frame, name="made")


@pytest.mark.parametrize(
    ("protocol", "dataset", "message"),
    [
        ({"by": "registr"}, make(), r"'registr' is not there.*document_id, domain, register, form.*"
         "Did you mean 'register'"),
        ({"by": "label"}, make(), "'label' tells nothing about documents. Choose one of"),
        ({"by": "form"}, make(), r"differs within 45 document\(s\), for example 'd000' "
         r"\(heading, sentence\)"),
        ({"by": "register"}, changed("register", "", 10), r"2 document\(s\) have sentences without "
         "a value, for example 'd000'"),
        ({"by": "domain"}, changed("domain", "coup", 500), r"1 value\(s\) of 'domain' with "
         r"protocol.minimum_sentences=30 or more / at least 2 needed; found.*: coup 225"),
        ({"minimum_sentences": 76}, make(), r"0 value\(s\).*border 75, coup 75, truce 75"),
        ({}, changed("split", "test", 500), "has test splits only"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_out_is_told(protocol, dataset: Dataset, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        LeaveOneOut(**protocol).plan(dataset)


def test_a_minimum_below_one_is_told() -> None:
    with pytest.raises(ProtocolError, match="protocol.minimum_sentences=0: at least 1"):
        LeaveOneOut(minimum_sentences=0)


def test_nothing_left_to_train_on_is_told() -> None:
    frame = make().frame.copy()
    frame.loc[frame["domain"] != "border", "label"] = "denial"
    frame = frame[frame["domain"] != "truce"]
    with pytest.raises(ProtocolError, match=r"without domain 'border'.*1 label\(s\) are left"):
        LeaveOneOut().plan(load_frame(frame, name="narrow"))
