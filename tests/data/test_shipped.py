import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from sitrepbench.data import shipped
from sitrepbench.data.card import load_card
from sitrepbench.data.shipped import load_card_dataset, load_shipped, shipped_names
from sitrepbench.errors import ConfigError, DataError

TABLE = (
    "doc_id,text,label,split\n"
    "d1,They met.,negotiation,train\n"
    "d1,He denied it.,denial,train\n"
    "d2,Six were killed.,casualty_report,test\n"
)


def write_dataset(folder: Path, table: str = TABLE, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sentences.csv").write_text(table, encoding="utf-8")
    card = {
        "name": "demo",
        "version": "1.0",
        "title": "A demonstration",
        "description": "Three sentences.",
        "language": "en",
        "licence": "CC-BY-4.0",
        "source": "written for a test",
        "scheme_version": "1.0",
        "files": [{"path": "sentences.csv", "sha256": hashlib.sha256(table.encode()).hexdigest()}],
        "splits": {"train": "train", "test": "test"},
        "documents": 2,
        "sentences": 3,
    }
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(card | fields, sort_keys=False), encoding="utf-8")
    return path


def refusal(card: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        load_card_dataset(card)
    return [line.strip() for line in str(caught.value).splitlines()]


@pytest.fixture
def resources(tmp_path, monkeypatch) -> Path:
    """An empty folder in the place of the program's own folders."""
    monkeypatch.setattr(shipped, "resource_folder", lambda folder: tmp_path / folder)
    return tmp_path


def test_a_dataset_is_loaded_by_its_card(tmp_path):
    dataset = load_card_dataset(write_dataset(tmp_path))
    assert (dataset.name, dataset.version, dataset.source) == ("demo", "1.0", "written for a test")
    assert dataset.splits == ("test", "train")
    assert dataset.n_documents == 2
    assert dataset.notes == ()


def test_shipped_datasets_are_found_by_name(resources):
    write_dataset(resources / "data" / "demo")
    write_dataset(resources / "seeds", name="seeds")
    assert shipped_names() == ("demo", "seeds")
    assert load_shipped("demo").name == "demo"
    assert load_shipped("seeds").name == "seeds"


@pytest.mark.parametrize("name", ["dmeo", "../data/demo", "demo/", ""])
def test_an_unknown_name(resources, name):
    write_dataset(resources / "data" / "demo")
    with pytest.raises(ConfigError, match=r"unknown dataset .*The program comes with: demo"):
        load_shipped(name)
    with pytest.raises(ConfigError, match=r"Did you mean 'demo'\?"):
        load_shipped("dmeo")


def test_a_changed_file_is_refused_before_it_is_read(tmp_path):
    card = write_dataset(tmp_path)
    table = tmp_path / "sentences.csv"
    expected = load_card(card).table.sha256
    table.write_text('"broken', encoding="utf-8")
    found = hashlib.sha256(table.read_bytes()).hexdigest()
    assert refusal(card)[:2] == [
        f"{card}: 1 problem",
        f"files: sentences.csv has sha256 {found}, expected {expected}",
    ]


def test_every_file_of_the_card_is_verified(tmp_path):
    sha = hashlib.sha256(TABLE.encode()).hexdigest()
    (tmp_path / "source.txt").write_text("changed")
    files = [
        {"path": "sentences.csv", "sha256": sha},
        {"path": "source.txt", "sha256": "0" * 64, "role": "source"},
        {"path": "sorce.txt", "sha256": "0" * 64, "role": "other"},
    ]
    lines = refusal(write_dataset(tmp_path, files=files))
    assert lines[0].endswith("card.yaml: 2 problems")
    assert lines[1].startswith("files: source.txt has sha256 ")
    assert lines[2] == "files: sorce.txt: there is no such file. Did you mean 'source.txt'?"


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, target):
    card = write_dataset(tmp_path / "card")
    table = tmp_path / "card" / "sentences.csv"
    outside = tmp_path / "outside"
    outside.mkdir()
    table.rename(outside / "sentences.csv")
    if target == "file":
        table.symlink_to(outside / "sentences.csv")
    else:
        (tmp_path / "card" / "inner").symlink_to(outside)
        card.write_text(
            card.read_text().replace("path: sentences.csv", "path: inner/sentences.csv")
        )
    lines = refusal(card)
    assert lines[0].endswith("1 problem")
    assert lines[1].endswith(f"is a link to {outside / 'sentences.csv'}, outside the card's folder")


def test_a_link_within_the_folder_is_followed(tmp_path):
    card = write_dataset(tmp_path)
    (tmp_path / "sentences.csv").rename(tmp_path / "table.csv")
    (tmp_path / "sentences.csv").symlink_to("table.csv")
    assert len(load_card_dataset(card).frame) == 3


def test_the_table_is_checked_like_any_other(tmp_path):
    card = write_dataset(tmp_path, TABLE.replace("casualty_report", "casualty"))
    lines = refusal(card)
    assert lines[0] == f"{tmp_path / 'sentences.csv'}: 1 problem"
    assert lines[1].startswith("row 3 (line 4), label: unknown label 'casualty'")


def test_the_labels_of_the_card_are_the_ones_that_count(tmp_path):
    card = write_dataset(tmp_path, labels=["negotiation", "denial"], scheme_version="2")
    assert (
        "unknown label 'casualty_report', expected one of negotiation, denial" in refusal(card)[1]
    )


def test_splits_that_the_card_and_the_file_do_not_share(tmp_path):
    card = write_dataset(tmp_path, splits={"train": "train", "tests": "test"})
    assert refusal(card)[1:3] == [
        "split: no row belongs to the declared split tests",
        "row 3 (line 4), split: split 'test' is not in the card. Did you mean 'tests'? "
        "Declared: train, tests",
    ]


def test_a_final_dataset_has_test_rows_only(tmp_path):
    card = write_dataset(tmp_path, final_only=True, splits={"test": "test"})
    assert "row 1 (line 2), split: split 'train' is not in the card. Declared: test" in refusal(
        card
    )


def test_wrong_counts(tmp_path):
    lines = refusal(write_dataset(tmp_path, documents=3, sentences=4))
    assert lines[1:3] == ["documents: expected 3, found 2", "sentences: expected 4, found 3"]


def test_columns_can_be_named_by_the_card(tmp_path):
    table = TABLE.replace("doc_id,text", "story,words")
    columns = {"document_id": "story", "text": "words"}
    assert len(load_card_dataset(write_dataset(tmp_path, table, columns=columns)).frame) == 3


def test_a_superseded_dataset_says_so(tmp_path):
    dataset = load_card_dataset(write_dataset(tmp_path, superseded_by="demo2"))
    assert dataset.notes == ("demo 1.0 is superseded by demo2",)


def test_a_table_whose_name_tells_no_format(tmp_path):
    files = [{"path": "sentences", "sha256": hashlib.sha256(TABLE.encode()).hexdigest()}]
    card = write_dataset(tmp_path, files=files)
    (tmp_path / "sentences").write_text(TABLE)
    assert refusal(card)[1] == "format: no format in the name; give one in card.yaml"
    files[0]["format"] = "csv"
    assert len(load_card_dataset(write_dataset(tmp_path, files=files)).frame) == 3
