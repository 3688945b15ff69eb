import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from sitrepbench.data.card import load_card
from sitrepbench.errors import DataError
from sitrepbench.labels import LABELS

SHA = "0" * 64
CARD: dict[str, Any] = {
    "name": "demo",
    "version": "1.0",
    "title": "A demonstration",
    "description": "Two sentences.",
    "language": "en",
    "licence": "CC-BY-4.0",
    "source": "written for a test",
    "scheme_version": "1.0",
    "files": [{"path": "sentences.csv", "sha256": SHA}],
    "splits": {"train": "train", "test": "test", "test_ood": "test"},
}


def write_card(folder: Path, content: Any) -> Path:
    path = folder / "card.yaml"
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, content: Any) -> list[str]:
    path = write_card(folder, content)
    with pytest.raises(DataError) as caught:
        load_card(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    return [line.strip() for line in text.removeprefix(f"{path}: ").splitlines()]


def changed(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(CARD) | fields


def test_a_card_is_read(tmp_path):
    card = load_card(write_card(tmp_path, CARD))
    assert card.name == "demo"
    assert card.labels == LABELS
    assert card.table.path == "sentences.csv"
    assert card.splits == {"train": "train", "test": "test", "test_ood": "test"}
    assert not card.final_only


def test_a_card_is_frozen(tmp_path):
    card = load_card(write_card(tmp_path, CARD))
    with pytest.raises(ValidationError):
        card.name = "other"


def test_a_card_owns_its_labels(tmp_path):
    content = changed(labels=["ham", "spam"], scheme_version="2024-mail")
    assert load_card(write_card(tmp_path, content)).labels == ("ham", "spam")


FIELD_CASES = {
    "unknown field": ({"licens": "MIT"}, "licens: unknown field. Did you mean 'licence'?"),
    "unknown field of a file": (
        {"files": [{"path": "a.csv", "sha256": SHA, "sha265": SHA}]},
        "files.0.sha265: unknown field. Did you mean 'sha256'?",
    ),
    "no checksum": ({"files": [{"path": "a.csv"}]}, "files.0.sha256: is missing"),
    "checksum that is none": (
        {"files": [{"path": "a.csv", "sha256": "abc"}]},
        "files.0.sha256: String should match pattern '^[0-9a-f]{64}$'; found str 'abc'",
    ),
    "no files": (
        {"files": []},
        "files: expected exactly one file of role sentences, found 0; found list []",
    ),
    "version as a number": (
        {"version": 1.0},
        "version: Input should be a valid string; found float 1.0; put it in quotes",
    ),
    "labels twice": ({"labels": ["a", "b", "a"]}, "labels: label 'a' stands 2 times"),
    "label with a bar": (
        {"labels": ["a|b", "c"]},
        "labels: label 'a|b': expected letters, digits, '_' and '-' only",
    ),
    "labels of another scheme": (
        {"scheme_version": "0.9"},
        "scheme_version: the default labels are those of 1.0, found '0.9'",
    ),
    "unknown column": (
        {"columns": {"txt": "a"}},
        "columns: unknown field 'txt'. Did you mean 'text'?",
    ),
    "unknown role": (
        {"splits": {"train": "training"}},
        "splits.train: Input should be 'train', 'dev' or 'test'; found str 'training'",
    ),
    "test split in disguise": (
        {"splits": {"gold": "test"}},
        "splits: gold is declared test, but test splits, and only they, are named test...",
    ),
    "training split named test": (
        {"splits": {"test_train": "train"}},
        "splits: test_train is declared train, but test splits, and only they, are named test...",
    ),
    "final but not for testing": (
        {"final_only": True},
        "final_only: expected a test split in splits, and no other",
    ),
    "two tables": (
        {"files": [{"path": "a.csv", "sha256": SHA}, {"path": "b.csv", "sha256": SHA}]},
        "files: expected exactly one file of role sentences, found 2",
    ),
    "one file twice": (
        {
            "files": [
                {"path": "a.csv", "sha256": SHA},
                {"path": "./a.csv", "sha256": SHA, "role": "other"},
            ]
        },
        "files: listed more than once: a.csv",
    ),
    "name": ({"name": "My data"}, "name: String should match pattern"),
    "blank title": ({"title": " "}, "title: String should have at least 1 character"),
    "no documents": ({"documents": 0}, "documents: Input should be greater than or equal to 1"),
}


@pytest.mark.parametrize(("fields", "message"), FIELD_CASES.values(), ids=FIELD_CASES)
def test_a_wrong_field(tmp_path, fields, message):
    lines = refusal(tmp_path, changed(**fields))
    assert lines[0] == "1 problem"
    assert lines[1].startswith(message)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a.csv", "a/../../b.csv", "~/a.csv", "C:\\a.csv", "C:/a", "", "a\0b"]
)
def test_a_path_that_leaves_the_folder(tmp_path, path):
    lines = refusal(tmp_path, changed(files=[{"path": path, "sha256": SHA}]))
    assert lines[0] == "1 problem"
    assert lines[1].startswith("files.0.path: ")


def test_all_problems_of_a_card_at_once(tmp_path):
    content = changed(lable=["x"], language="English")
    del content["title"]
    lines = refusal(tmp_path, content)
    assert lines[0] == "3 problems"
    assert "lable: unknown field. Did you mean 'labels'?" in lines
    assert "title: is missing" in lines
    assert lines[lines.index("What to do:") + 1 :] == [
        "missing_field (1): add the field",
        "invalid_value (1): correct the value",
        "unknown_field (1): take the field out, or correct its spelling",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "line 2: the key 'name' stands on line 1 already"),
        ("splits: {test: test, test: dev}\n", "line 1: the key 'test' stands on line 1 already"),
        ("name: [a\n", "line 2: expected ',' or ']', but got '<stream end>'"),
        ("title: a: b\n", "line 1: mapping values are not allowed here"),
        ("- a\n", "expected fields such as 'name: ...', found list ['a']"),
        ("", "expected fields such as 'name: ...', found nothing"),
        ("1: a\n", "expected fields such as 'name: ...', found dict {1: 'a'}"),
        ("a: !!python/object:os.system {}\n", "line 1: could not determine a constructor"),
        ('a: !!int ""\n', "not YAML: "),
    ],
)
def test_what_is_no_yaml_mapping(tmp_path, text, message):
    lines = refusal(tmp_path, text)
    assert lines[0] == "1 problem"
    assert lines[1].startswith(message)


def test_a_card_that_is_not_utf8(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_bytes(b"name: a\ntitle: caf\xe9\n")
    with pytest.raises(DataError, match=r"line 2: byte 0xE9 is not UTF-8"):
        load_card(path)


def test_a_card_that_is_missing(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        load_card(tmp_path / "card.yaml")
