"""HumAID's files: read as they are, mapped onto the scheme, and what is wrong with them told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sitrepbench.data.duplicates import document_groups
from sitrepbench.data.humaid import CLASSES, load_humaid
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.labels import LABELS

# Read now: the tests' own environment has none of the program's variables.
NAMED = os.environ.get("SITREPBENCH_HUMAID")
REPOSITORY = Path(__file__).resolve().parents[2]
LONG = "the river rose over the old bridge in the night"

ROWS: dict[str, list[tuple[str, str, str]]] = {
    "train": [
        ("1", 'a "quote that is never closed', "not_humanitarian"),
        ("2", "six people died", "injured_or_dead_people"),
        ("3", "buses took families away", "displaced_people_and_evacuations"),
        ("4", LONG, "other_relevant_information"),
        ("5", LONG.upper() + "!", "other_relevant_information"),
    ],
    "dev": [("6", "please send water", "requests_or_urgent_needs"), ("7", "so sad",
            "sympathy_and_support")],
    "test": [("8", LONG, "other_relevant_information"), ("9", "two dead",
             "injured_or_dead_people")],
}  # fmt: skip

Rows = dict[str, list[tuple[str, str, str]]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the splits of one event, and gives the folder of events."""

    def call(rows: Rows, event: str = "made_up_flood_2020") -> Path:
        (tmp_path / event).mkdir()
        for split, lines in rows.items():
            text = "\n".join(["tweet_id\ttweet_text\tclass_label", *map("\t".join, lines)]) + "\n"
            (tmp_path / event / f"{event}_{split}.tsv").write_text(text, encoding="utf-8")
        return tmp_path

    return call


def test_every_tweet_is_a_document_and_quotes_are_text(write: Callable[..., Path]) -> None:
    dataset = load_humaid(write(ROWS), event="made_up_flood_2020")
    frame = dataset.frame.set_index("sentence_id")
    assert dataset.labels == CLASSES
    assert dataset.splits == ("dev", "test", "train")
    assert dataset.n_documents == 9
    assert frame.loc["1", "text"] == 'a "quote that is never closed'
    assert frame.loc["6", "split"] == "dev"
    assert set(frame["domain"]) == {"made_up_flood_2020"}
    assert set(frame["position"]) == {0}


def test_official_splits_stay_as_they_are_with_a_note(write: Callable[..., Path]) -> None:
    dataset = load_humaid(write(ROWS), event="made_up_flood_2020")
    groups = dict(zip(dataset.frame["sentence_id"], document_groups(dataset.frame), strict=True))
    assert groups["4"] == groups["5"]
    assert groups["8"] != groups["4"]
    (note,) = dataset.notes
    assert note.startswith("1 text(s) of 8 words or more stand in several official splits")


def test_the_scheme_takes_what_has_a_counterpart_and_counts_the_rest(
    write: Callable[..., Path],
) -> None:
    dataset = load_humaid(write(ROWS), event="made_up_flood_2020", labels="scheme")
    assert dataset.labels == LABELS
    frame = dataset.frame.set_index("sentence_id")
    assert frame["label"].to_dict() == {
        "1": "background", "2": "casualty_report", "3": "evacuation", "4": "background",
        "5": "background", "8": "background", "9": "casualty_report",
    }  # fmt: skip
    assert dataset.notes[0] == (
        "2 of 9 tweets are left out: their classes have no counterpart in the label scheme "
        "(requests_or_urgent_needs 1, sympathy_and_support 1)"
    )


def test_several_events_and_all(write: Callable[..., Path]) -> None:
    folder = write(ROWS)
    other = {split: [(f"1{n}", text, label) for n, text, label in rows]
             for split, rows in ROWS.items()}  # fmt: skip
    write(other, "other_fire_2021")
    whole = load_humaid(folder, event="all")
    assert set(whole.frame["domain"]) == {"made_up_flood_2020", "other_fire_2021"}
    listed = load_humaid(folder, event=["other_fire_2021", "made_up_flood_2020"])
    assert listed.digest == whole.digest
    assert load_humaid(folder, event="other_fire_2021").digest != whole.digest


@pytest.mark.parametrize("path", [None, "", "nowhere", "."])
def test_without_files_it_says_where_to_get_them(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as failure:
        load_humaid(path, event="kerala_floods_2018")
    told = str(failure.value)
    for piece in ("https://crisisnlp.qcri.org/humaid_dataset", "CC BY-NC-SA 4.0",
                  "<event>/<event>_train.tsv"):  # fmt: skip
        assert piece in told


def test_an_unknown_event_is_told_with_the_nearest(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'made_up_flood_2020'") as failure:
        load_humaid(write(ROWS), event="made_up_floods_2020")
    assert "There are: made_up_flood_2020" in str(failure.value)
    with pytest.raises(ConfigError, match="expected humaid or scheme. Did you mean 'scheme'"):
        load_humaid("x", event="x", labels="schema")


def test_all_problems_of_all_files_are_told_at_once(write: Callable[..., Path]) -> None:
    rows = {
        "train": [*ROWS["train"], ("1", "again", "not_humanitarian"), ("10", " ", CLASSES[0])],
        "dev": [("6", "a tab\there", CLASSES[0]), ("7", "so sad", "sympathy_and_suport")],
    }
    with pytest.raises(DataError) as failure:
        load_humaid(write(rows), event="made_up_flood_2020")
    told = str(failure.value)
    for piece in ("row 6 (line 7)", "duplicate_id", "row 7 (line 8)", "the text is empty",
                  "row 1 (line 2)", "4 fields, expected 3", "sympathy_and_suport",
                  "made_up_flood_2020_test.tsv", "there is no such file"):  # fmt: skip
        assert piece in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"tweet_id\ttweet_text\tclass_label\n6\tx\tnot_humanitaria\n", "Did you mean"),
        ("tweet_id\ttweet_text\tclass_label\n6\tZürich\tx\n".encode("latin-1"), "is not UTF-8"),
        ("\ufefftweet_id\ttweet_text\tclass_label\n6\tx\tx\n".encode(), "mark of UTF-8"),
        ("tweet_id\ttweet_text\tclass_label\n".encode("utf-16"), "mark of UTF-16"),
        (b"tweet_id,tweet_text,class_label\n6,x,x\n", "the header is one field"),
        (b"id\ttext\tclass\n6\tx\tx\n", "the header is: 'id', 'text', 'class'\n"),
    ],
)
def test_messages_name_no_option_and_no_column_that_the_user_does_not_have(
    write: Callable[..., Path], content: bytes, told: str
) -> None:
    folder = write(ROWS)
    (folder / "made_up_flood_2020" / "made_up_flood_2020_dev.tsv").write_bytes(content)
    with pytest.raises(DataError) as failure:
        load_humaid(folder, event="made_up_flood_2020")
    message = str(failure.value)
    assert told in message
    assert "dataset." not in message
    assert "document_id" not in message


def test_an_event_that_is_a_number_is_a_name(write: Callable[..., Path]) -> None:
    folder = write(ROWS)
    with pytest.raises(ConfigError, match="no event '2020'"):
        load_humaid(folder, event=2020)  # type: ignore[arg-type]


def test_a_scheme_that_leaves_no_tweet_is_refused(write: Callable[..., Path]) -> None:
    rows = {
        split: [(str(at), f"so sad {at}", "sympathy_and_support")]
        for at, split in enumerate(("train", "dev", "test"))
    }
    with pytest.raises(DataError, match="no tweet is left of made_up_flood_2020: 3 of 3"):
        load_humaid(write(rows), event="made_up_flood_2020", labels="scheme")


def test_a_tweet_in_two_splits_is_refused(write: Callable[..., Path]) -> None:
    rows = {**ROWS, "test": [*ROWS["test"], ("2", "once more", "not_humanitarian")]}
    with pytest.raises(DataError, match="tweet 2 stands in made_up_flood_2020 train and in"):
        load_humaid(write(rows), event="made_up_flood_2020")


def test_the_original_files_are_read_whole() -> None:
    places = [Path(NAMED)] if NAMED else []
    places.append(REPOSITORY.parent / "shared" / "external" / "humaid")
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        # They may not be handed on, so nothing can install them: this may be skipped anywhere.
        pytest.skip("HumAID's files are not there; SITREPBENCH_HUMAID names their folder")
    dataset = load_humaid(folder, event="canada_wildfires_2016")
    assert dataset.frame["split"].value_counts().to_dict() == {"train": 1569, "dev": 228,
                                                              "test": 445}  # fmt: skip
    assert set(dataset.frame["label"]) < set(CLASSES)
    assert dataset.notes == ()
