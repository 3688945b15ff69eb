"""Settling labels: majorities, ties, the adjudicator; nothing is dropped, nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sitrepbench.annotation.answers import Answer, answers_frame
from sitrepbench.annotation.resolving import Policy, Resolution, resolve
from sitrepbench.annotation.sentences import read_sentences
from sitrepbench.annotation.tables import write_table
from sitrepbench.data.table import load_table
from sitrepbench.labels import LABELS as SCHEME

LABELS = ("a", "b", "c", "background")


def resolved(policy: Policy, **said: list[tuple[str, str]]) -> Resolution:
    """Resolve one sentence per keyword; each answer is annotator and label, secondary behind /."""
    answers = []
    for sentence_id, given in said.items():
        for who, label in given:
            name, _, beside = label.partition("/")
            status = "labelled" if name else "skipped"
            answers.append(Answer(sentence_id, who, status, name, beside))
    frame = pd.DataFrame(
        {
            "sentence_id": list(said),
            "document_id": "d",
            "position": range(len(said)),
            "text": [f"Sentence {name}." for name in said],
            "kind": "paragraph",
        }
    )
    return resolve(frame, answers_frame(answers), policy=policy, labels=LABELS)


def labels_of(found: Resolution) -> dict[str, str]:
    return dict(zip(found.table["sentence_id"], found.table["label"], strict=True))


def test_majority_is_more_than_half() -> None:
    found = resolved(
        "majority",
        two_of_three=[("x", "a"), ("y", "a"), ("z", "b")],
        tie=[("x", "a"), ("y", "b")],
        plurality=[("w", "a"), ("x", "a"), ("y", "b"), ("z", "c")],
        one=[("x", "b")],
        skipped=[("x", ""), ("y", "c")],
        nobody=[("x", "")],
        untouched=[],
    )
    assert labels_of(found) == {"two_of_three": "a", "one": "b", "skipped": "c"}
    assert list(found.undecided["sentence_id"]) == ["tie", "plurality"]
    assert found.undecided["labels"][0] == "x: a, y: b"
    assert found.unlabelled == ("nobody", "untouched")
    assert (found.n_single, found.n_differing, found.n_adjudicated) == (2, 1, 0)
    counts = found.table.set_index("sentence_id")[["n_annotators", "n_agree"]]
    assert tuple(counts.loc["two_of_three"]) == (3, 2)


def test_unanimous_takes_what_all_gave() -> None:
    found = resolved(
        "unanimous", two=[("x", "a"), ("y", "a"), ("z", "b")], all=[("x", "a"), ("y", "a")]
    )
    assert labels_of(found) == {"all": "a"}
    assert list(found.undecided["sentence_id"]) == ["two"]


@pytest.mark.parametrize("policy", ["majority", "unanimous"])
def test_the_adjudicator_has_the_last_word_and_may_correct_it(policy: Policy) -> None:
    settled = [("x", "a"), ("y", "b"), ("adjudicator", "a"), ("adjudicator", "c/b")]
    found = resolved(policy, tie=settled)
    assert labels_of(found) == {"tie": "c"}
    assert list(found.table["secondary"]) == ["b"]
    assert found.n_adjudicated == 1


def test_secondary_labels_follow_the_policy() -> None:
    said = [("x", "a/b|c"), ("y", "a/b"), ("z", "b/a")]
    assert list(resolved("majority", s=said).table["secondary"]) == ["b"]
    assert list(resolved("unanimous", s=said[:2]).table["secondary"]) == ["b"]


def test_the_table_is_a_dataset(tmp_path: Path) -> None:
    found = resolved("majority", s=[("x", "a/b")], t=[("x", "background")])
    write_table(found.table, tmp_path / "labelled.csv")
    dataset = load_table(tmp_path / "labelled.csv", labels=LABELS)
    assert list(dataset.frame["label"]) == ["a", "background"]
    assert set(dataset.frame["kind"]) == {"paragraph"}


def test_the_shipped_corpus_is_what_its_annotations_settle(
    repository: Path, tmp_path: Path
) -> None:
    folder = repository / "data" / "sitrep"
    sentences = pd.read_csv(folder / "sentences.csv", dtype=str, keep_default_na=False)
    answers = pd.read_csv(folder / "annotations.csv", dtype=str, keep_default_na=False)
    bare = sentences.drop(columns=["label", "secondary"])
    answers.merge(bare, on="sentence_id").to_csv(tmp_path / "long.csv", index=False)
    read = read_sentences(tmp_path / "long.csv")
    found = resolve(read.frame, read.answers, policy="unanimous", labels=SCHEME)
    assert not len(found.undecided)
    assert not found.unlabelled
    settled = found.table.set_index("sentence_id")[["label", "secondary"]]
    expected = sentences.set_index("sentence_id")[["label", "secondary"]]
    assert settled.to_dict("index") == expected.to_dict("index")
