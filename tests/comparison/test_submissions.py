"""Cards of submissions: strict, and their predictions stay beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sitrepbench.comparison.submissions import read_submission, submissions_of
from sitrepbench.errors import DataError
from sitrepbench.reproduction.studies import StudyFiles

CARD = """\
name: their model
authors: [A. Author, B. Author]
description: counts of words
predictions: theirs.csv
dataset: sitrep
part: dev
date: 2026-11-20
"""


def write(folder: Path, text: str = CARD, name: str = "theirs.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "theirs.csv").write_text("sentence_id,label\n")
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_card_says_whose_and_what(tmp_path: Path) -> None:
    card = read_submission(write(tmp_path))
    assert (card.name, card.authors, card.part) == ("their model", "A. Author, B. Author", "dev")
    assert card.predictions == (tmp_path / "theirs.csv").resolve()
    assert card.date == "2026-11-20"
    assert (card.code, card.training_data) == ("", "")


def test_every_problem_of_a_card_at_once(tmp_path: Path) -> None:
    text = CARD.replace("authors", "autors").replace("part: dev", "part: 3")
    text = text.replace("2026-11-20", "soon").replace("their model", "x" * 41)
    with pytest.raises(DataError) as caught:
        read_submission(write(tmp_path, text))
    for told in (
        "5 problems",
        "unknown field 'autors'. Did you mean 'authors'?",
        "authors: is missing",
        "part: expected the name of a part, such as dev, found int 3",
        "date: expected a date such as 2026-11-20, found str 'soon'",
        "name: expected one line of at most 40 characters",
    ):
        assert told in str(caught.value)


@pytest.mark.parametrize("path", ["../theirs.csv", "/etc/passwd", "~/x.csv", "a\\\\b.csv", "C:/x"])
def test_predictions_stay_in_the_cards_folder(tmp_path: Path, path: str) -> None:
    write(tmp_path)
    with pytest.raises(DataError, match="path_escape"):
        read_submission(write(tmp_path / "in", CARD.replace("theirs.csv", f'"{path}"')))


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("")
    path = write(tmp_path / "in", CARD.replace("theirs.csv", "link.csv"))
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match="a link that leads out"):
        read_submission(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "expected fields"),
        ("", "found nothing"),
        ("name: a\nname: b\n", "the field 'name' stands twice"),
        ("name: [\n", "invalid_yaml"),
        (CARD.replace("theirs.csv", "absent.csv"), "there is no file absent.csv"),
    ],
)
def test_what_is_no_card(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_submission(write(tmp_path, text))


def test_the_submissions_of_a_study_lie_in_its_folder(tmp_path: Path) -> None:
    study = StudyFiles("mine", tmp_path / "experiments" / "mine.yaml", "", "")
    assert submissions_of(study) == []
    folder = study.folder / "submissions"
    write(folder, name="b.yaml")
    write(folder, CARD.replace("their model", "another"), name="a.yml")
    assert [card.name for card in submissions_of(study)] == ["another", "their model"]
    write(folder, name="c.yaml")
    with pytest.raises(DataError, match="c.yaml: is named 'their model' like b.yaml"):
        submissions_of(study)
