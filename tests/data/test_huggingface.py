"""Hugging Face datasets: one digest with CSV and Parquet, splits, class names, clear refusals."""

import importlib.util
import json
import os
import sys

import pandas as pd
import pytest

from sitrepbench.data import huggingface, load_frame, load_huggingface, load_table
from sitrepbench.data.classes import class_names, named_classes, stored_classes
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.labels import LABELS

# Nothing is asked of a network, and nobody waits for one.
os.environ["HF_HUB_OFFLINE"] = "1"

FRAME = pd.DataFrame(
    [
        ("s1", "001", 0, "NA", "denial", "train"),
        ("s2", "001", 1, 'They met "again".', "negotiation", "train"),
        ("s3", "002", 0, "null", "background", "dev"),
        ("s4", "003", 0, "The road\tis closed.", "evacuation", "test"),
    ],
    columns=["sentence_id", "document_id", "position", "text", "label", "split"],
)
NAMES = {"train": "train", "dev": "validation", "test": "test"}


@pytest.fixture(scope="module")
def datasets(require):
    require(importlib.util.find_spec("datasets") is not None, "the extra datasets is absent")
    # It holds what is wrong with other packages' versions against nobody but stderr.
    module = __import__("datasets")
    module.disable_progress_bars()
    yield module
    module.enable_progress_bars()


@pytest.fixture
def saved(datasets):
    features = datasets.Features(
        {
            **{name: datasets.Value("string") for name in ("sentence_id", "document_id", "text")},
            "position": datasets.Value("int64"),
            "label": datasets.ClassLabel(names=list(LABELS)),
        }
    )
    parts = {}
    for own, name in NAMES.items():
        rows = FRAME[FRAME["split"] == own].drop(columns="split").to_dict("list")
        parts[name] = datasets.Dataset.from_dict(rows, features=features)
    return datasets.DatasetDict(parts)


def write(folder, kind, saved):
    if kind == "save_to_disk":
        saved.save_to_disk(str(folder))
        return folder
    (folder / "data").mkdir(parents=True)
    for own, name in NAMES.items():
        rows = FRAME[FRAME["split"] == own].drop(columns="split")
        if kind == "parquet":
            saved[name].to_parquet(str(folder / "data" / f"{name}-00000-of-00001.parquet"))
        elif kind == "csv":
            rows.to_csv(folder / "data" / f"{name}.csv", index=False)
        else:
            rows.to_json(folder / "data" / f"{name}.{kind}", orient="records", lines=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["save_to_disk", "parquet", "csv", "jsonl", "json"])
def test_one_digest_however_it_came(tmp_path, saved, kind):
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    loaded = load_huggingface(write(tmp_path / "mine", kind, saved))
    table = load_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(loaded.frame, table.frame)
    assert loaded.digest == table.digest == load_frame(FRAME).digest
    assert loaded.name == "mine"
    assert loaded.splits == ("dev", "test", "train")


def test_one_file_needs_no_extra(tmp_path, saved, monkeypatch):
    path = tmp_path / "train.parquet"
    saved["train"].to_parquet(str(path))
    monkeypatch.setattr(huggingface.importlib.util, "find_spec", lambda name: None)
    loaded = load_huggingface(path)
    assert loaded.frame["label"].tolist() == ["denial", "negotiation"]
    assert loaded.digest == load_table(path).digest
    assert loaded.splits == ()
    with pytest.raises(ConfigError, match=r"pip install 'sitrepbench\[datasets\]'"):
        load_huggingface(tmp_path)


@pytest.mark.parametrize("split", ["validation", "dev", ["dev"]])
def test_splits_are_chosen_by_either_name(tmp_path, saved, split):
    folder = write(tmp_path / "mine", "save_to_disk", saved)
    assert load_huggingface(folder, split=split).frame["split"].tolist() == ["dev"]


def test_a_test_split_stays_one_and_train_alone_is_no_split(tmp_path, saved):
    folder = write(tmp_path / "mine", "csv", saved)
    assert load_huggingface(folder, split="test").splits == ("test",)
    assert load_huggingface(folder, split="train").splits == ()


def test_rows_without_splits_keep_their_column(tmp_path, datasets):
    datasets.Dataset.from_pandas(FRAME).save_to_disk(str(tmp_path / "mine"))
    assert load_huggingface(tmp_path / "mine").digest == load_frame(FRAME).digest


def test_the_index_of_a_frame_does_not_count(tmp_path, datasets):
    shuffled = FRAME.iloc[[2, 0, 3, 1]]
    shuffled.to_parquet(tmp_path / "table.parquet")
    datasets.Dataset.from_pandas(shuffled).save_to_disk(str(tmp_path / "mine"))
    digest = load_frame(FRAME).digest
    assert load_table(tmp_path / "table.parquet").digest == digest
    assert load_huggingface(tmp_path / "mine").digest == digest


def test_rules_and_messages_are_those_of_files(tmp_path, saved):
    folder = write(tmp_path / "mine", "save_to_disk", saved)
    with pytest.raises(DataError) as caught:
        load_huggingface(folder, labels=["denial", "background", "other"])
    message = str(caught.value)
    assert "(rows of train from 1, validation from 3, test from 4): 2 problems" in message
    assert "row 2, label: unknown label 'negotiation'" in message
    mapped = load_huggingface(
        folder,
        labels=["denial", "other"],
        label_map=dict.fromkeys(set(LABELS) - {"denial"}, "other"),
        columns={"text": "sentence_id"},
        name="own",
    )
    assert set(mapped.frame["label"]) == {"denial", "other"}
    assert mapped.frame["text"].tolist()[0] == "s1"
    assert mapped.name == "own"


def test_labels_that_nobody_gave_are_missing(tmp_path, saved):
    saved["test"] = saved["test"].map(lambda row: {"label": -1})
    with pytest.raises(DataError, match="row 4, label: label is empty"):
        load_huggingface(write(tmp_path / "mine", "save_to_disk", saved))


def test_problems_of_all_files_are_told_at_once(tmp_path, saved):
    folder = write(tmp_path / "mine", "csv", saved)
    (folder / "data" / "train.csv").write_text("a,b\n1\n")
    (folder / "data" / "test.csv").write_bytes(b"a\ncaf\xe9,x\n")
    with pytest.raises(DataError) as caught:
        load_huggingface(folder)
    assert "train.csv: 1 problem" in str(caught.value)
    assert "test.csv: 2 problems" in str(caught.value)


def test_no_option_is_named_that_there_is_not(tmp_path, saved):
    folder = write(tmp_path / "mine", "csv", saved)
    (folder / "data" / "train.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    (folder / "data" / "test.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    with pytest.raises(DataError, match="save the file as UTF-8 without the mark") as caught:
        load_huggingface(folder)
    assert "dataset." not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split": "tets"}, ConfigError, "no split 'tets'. Did you mean 'test'"),
        ({"config": "other"}, ConfigError, "holds one configuration"),
        ({"revision": "main"}, ConfigError, "has no revisions"),
        ({"allow": ["typo"]}, ConfigError, "unknown problem code 'typo'"),
        ({"columns": {"txt": "a"}}, ConfigError, "Did you mean 'text'"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, saved, arguments, error, message):
    folder = write(tmp_path / "mine", "save_to_disk", saved)
    with pytest.raises(error, match=message):
        load_huggingface(folder, **arguments)


@pytest.mark.parametrize("file", ["dataset_dict.json", "train/dataset_info.json", "train/*.arrow"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]"])
def test_damaged_folders_are_refused(tmp_path, saved, file, content):
    folder = write(tmp_path / "mine", "save_to_disk", saved)
    next(folder.glob(file)).write_bytes(content)
    with pytest.raises(DataError, match="is not a readable folder of save_to_disk"):
        load_huggingface(folder)


def test_a_folder_without_data(tmp_path, datasets):
    with pytest.raises(DataError, match="no dataset was found in this folder"):
        load_huggingface(tmp_path)


def test_what_is_no_path_and_no_name(tmp_path, datasets):
    with pytest.raises(DataError, match="it is no name on the hub"):
        load_huggingface(tmp_path / "none")


def test_a_hub_that_does_not_answer_is_one_message(datasets, monkeypatch, capfd):
    def refuse(*arguments, **options):
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"owner/name: there is no such file.*Couldn't reach") as e:
        load_huggingface("owner/name")
    assert "without a network" in str(e.value)
    assert capfd.readouterr().err == ""


def test_a_dataset_of_the_hub(datasets, saved, monkeypatch):
    asked = []

    def answer(path, **options):
        asked.append((path, options))
        return saved

    monkeypatch.setattr(datasets, "load_dataset", answer)
    loaded = load_huggingface("owner/name", config="english", revision="v2", split=["train", "dev"])
    assert asked == [("owner/name", {"name": "english", "revision": "v2"})]
    assert loaded.name == "name"
    assert loaded.splits == ("dev", "train")


def test_class_names_of_lists_and_of_damaged_metadata():
    feature = {"feature": {"names": ["a", "b"], "_type": "ClassLabel"}, "_type": "List"}
    assert class_names({"x": feature, "y": [1], "z": {"_type": "Value"}}) == {"x": ("a", "b")}
    assert named_classes([[1, 0], None, True, "a"], ("a", "b")) == [["b", "a"], None, True, "a"]
    for damaged in (b"{", b"[]", b'{"info": 1}', b'{"info": {"features": 3}}', b"\xff"):
        assert stored_classes({b"huggingface": damaged}) == {}
    good = {"info": {"features": {"x": feature}}}
    assert stored_classes({b"huggingface": json.dumps(good).encode()}) == {"x": ("a", "b")}


@pytest.mark.slow
def test_the_library_is_imported_when_it_is_used(tmp_path):
    import subprocess

    script = "import sys, sitrepbench.data; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
