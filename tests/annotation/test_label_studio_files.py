"""Files that Label Studio itself wrote and took: nothing is lost on the way there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.exports import read_export
from sitrepbench.annotation.labelling_config import labelling_config
from sitrepbench.annotation.sentences import read_sentences
from sitrepbench.annotation.tables import long_table, write_table
from sitrepbench.annotation.tasks import tasks_of

FILES = Path(__file__).parent / "files"
ACCOUNTS = Accounts.of(["ana=1", "ben=2"])


def table_of(name: str, accounts: Accounts = ACCOUNTS) -> pd.DataFrame:
    read = read_export(FILES / name, accounts=accounts)
    return long_table(read.sentences, read.answers)


def tasks_in(name: str) -> Any:
    return json.loads((FILES / name).read_text(encoding="utf-8"))


def test_what_label_studio_took_is_what_is_exported_today() -> None:
    assert labelling_config() == (FILES / "labelling.xml").read_text(encoding="utf-8")
    assert tasks_of(read_sentences(FILES / "sentences.csv")) == tasks_in("blind.tasks.json")
    accounts = Accounts.of(["ana=ana@example.org", "ben=2"])
    annotated = tasks_of(read_sentences(FILES / "long.csv"), accounts=accounts)
    assert annotated == tasks_in("annotated.tasks.json")
    predicted = read_sentences(
        FILES / "predicted.csv", label_column="predicted", annotator="linear_svm"
    )
    assert tasks_of(predicted, existing="predictions") == tasks_in("predicted.tasks.json")


def test_round_trip_through_label_studio_loses_nothing(tmp_path: Path) -> None:
    # long.csv went out with two annotators' answers and came back as annotated.json.
    write_table(table_of("annotated.json"), tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == (FILES / "long.csv").read_bytes()


def test_round_trip_without_label_studio_loses_nothing(tmp_path: Path) -> None:
    accounts = Accounts.of(["ana=ana@example.org", "ben=2"])
    read = read_export(FILES / "annotated.tasks.json", accounts=accounts)
    write_table(long_table(read.sentences, read.answers), tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == (FILES / "long.csv").read_bytes()


def test_answers_of_the_full_export() -> None:
    table = table_of("blind.json").set_index(["sentence_id", "annotator"])
    assert len(table) == 19
    said = table.loc[("river-13:1", "ana")]
    assert (said["label"], said["secondary"]) == ("casualty_report", "denial")
    assert said["comment"] == 'each side blamed the other,\nbut nobody denies; "unsure"'
    assert table.loc[("river-14:0", "ben"), "needs_context"] == "yes"
    assert table.loc[("river-13:2", "ben"), "status"] == "skipped"
    assert table.loc[("river-13:2", "ben"), "label"] == ""
    # Secondary labels in the order of the scheme, whatever order they were chosen in.
    assert table.loc[("river-13:4", "ana"), "secondary"] == "negotiation|evacuation"
    assert set(table["kind"]) == {"headline", "paragraph"}


def test_json_min_is_the_same_but_for_skipped_tasks() -> None:
    full, minimal = table_of("blind.json"), table_of("blind.min.json")
    labelled = full[full["status"] == "labelled"].reset_index(drop=True)
    pd.testing.assert_frame_equal(labelled, minimal)
    notes = read_export(FILES / "blind.min.json").notes
    assert notes == ("JSON-MIN does not tell which tasks were skipped; JSON does",)


def test_a_snapshot_that_writes_annotators_out() -> None:
    pd.testing.assert_frame_equal(table_of("snapshot.json"), table_of("blind.json"))
    by_address = Accounts.of(["ana=ana@example.org", "ben=ben@example.org"])
    pd.testing.assert_frame_equal(table_of("snapshot.json", by_address), table_of("blind.json"))
    assert set(table_of("snapshot.json", Accounts({}))["annotator"]) == {
        "ana@example.org",
        "ben@example.org",
    }


@pytest.mark.parametrize("name", ["predicted.json", "predicted.min.json"])
def test_tasks_that_nobody_labelled_stay_open(name: str) -> None:
    table = table_of(name)
    assert list(table["status"]) == ["labelled", "open", "open"]
    assert list(table["annotator"]) == ["ana", "", ""]


def test_suggestions_drafts_and_idle_secondary_labels_are_told() -> None:
    notes = " / ".join(read_export(FILES / "predicted.json").notes)
    assert "3 suggestion(s)" in notes
    assert "1 unsent draft(s)" in notes
    assert "1 answer(s) whose secondary labels hold background or the label itself" in notes
