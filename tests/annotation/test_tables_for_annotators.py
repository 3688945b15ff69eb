"""Tables that go out to annotators or are compared: every form, and what is wrong with one."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pandas as pd
import pytest

from sitrepbench.annotation.comparing import read_compared
from sitrepbench.annotation.sentences import read_sentences
from sitrepbench.annotation.tables import check_distinct, write_table, write_tasks
from sitrepbench.annotation.tasks import tasks_of
from sitrepbench.errors import ConfigError, DataError

FILES = Path(__file__).parent / "files"


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_neighbours_stop_at_documents_and_gaps() -> None:
    tasks = {
        task["data"]["sentence_id"]: task["data"]
        for task in tasks_of(read_sentences(FILES / "sentences.csv"))
    }
    assert tasks["river-12:0"]["before"] == ""
    assert tasks["river-12:1"]["after"] == tasks["river-12:2"]["text"]
    assert tasks["river-13:2"]["after"] == tasks["river-13:4"]["before"] == ""
    assert tasks["river-14:0"]["before"] == ""


def test_labels_without_an_annotator_need_a_name_and_an_account(tmp_path: Path) -> None:
    path = written(tmp_path, "document_id,text,label,comment\nd,x,denial,mine\nd,y,,\n")
    read = read_sentences(path)
    assert list(read.answers["annotator"]) == ["reference"]
    assert list(read.answers["comment"]) == [""]  # the file's comment is not an answer
    with pytest.raises(ConfigError, match="no account of Label Studio is known for: 'reference'"):
        tasks_of(read)
    labelled, unlabelled = tasks_of(read_sentences(path, annotator="7"))
    (answer,) = labelled["annotations"]
    assert (answer["completed_by"], answer["ground_truth"]) == (7, False)
    assert "annotations" not in unlabelled
    assert not any("annotations" in task for task in tasks_of(read, existing="none"))


def test_skipped_answers_are_no_suggestions() -> None:
    tasks = tasks_of(read_sentences(FILES / "long.csv"), existing="predictions")
    by_id = {task["data"]["sentence_id"]: task for task in tasks}
    assert [p["model_version"] for p in by_id["river-13:2"]["predictions"]] == ["ana"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_every_format_comes_back(tmp_path: Path, name: str) -> None:
    table = pd.read_csv(FILES / "long.csv", keep_default_na=False)
    table.loc[0, "comment"] = "a\rb"
    write_table(table, tmp_path / name)
    read = read_sentences(tmp_path / name)
    assert len(read.answers) == 19
    assert read.answers["comment"][0] == "a\rb"
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_everything_wrong_with_a_long_table_is_told_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "sentence_id,document_id,text,annotator,status,label\n"
        "s1,d,x,ana,labelled,denail\ns1,d,y,ana,labelled,denial\ns2,d,z,,labelled,denial\n"
        "s3,d,z,ben,labelled,\ns4,d,z,ben,skippd,\n",
    )
    with pytest.raises(DataError) as caught:
        read_sentences(path)
    for part in (
        "unknown label 'denail'",
        "'ana' labelled 's1' before, in row 1 (line 2)",
        "row 2 (line 3), text: 'y', but row 1 (line 2) of the same sentence has 'x'",
        "'s2' has a label, and nobody gave it",
        "'ben' gave 's3' no label",
        "Did you mean 'skipped'?",
    ):
        assert part in str(caught.value)


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "docid,sentence\nd,x\n")
    with pytest.raises(DataError, match="no column for document_id, .*Is it 'docid'"):
        read_sentences(path)
    with pytest.raises(ConfigError, match="no column 'predicted' to take labels from"):
        read_sentences(path, label_column="predicted")


def test_a_wide_table_is_compared_by_its_columns_of_labels(tmp_path: Path) -> None:
    text = "document_id,text,note,ana,ben\nd,x,seen,denial,denial\nd,y,denial,background,denial\n"
    path = written(tmp_path, text)
    read = read_compared(path)
    assert sorted(set(read.answers["annotator"])) == ["ana", "ben"]
    assert len(read.answers) == 4
    assert set(read.documents.values()) == {"d"}
    named = read_compared(path, annotators=["ana", "ben"])
    pd.testing.assert_frame_equal(named.answers, read.answers)
    path.write_text(text.replace("background", "backgruond"), encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 \(line 3\), ana: unknown label 'backgruond'"):
        read_compared(path, annotators=["ana", "ben"])
    with pytest.raises(DataError, match="there is no column 'eva'"):
        read_compared(path, annotators=["ana", "eva"])


def test_the_same_answers_from_every_form(tmp_path: Path) -> None:
    from sitrepbench.annotation.accounts import Accounts

    long = read_compared(FILES / "long.csv")
    export = read_compared(FILES / "blind.json", accounts=Accounts.of(["ana=1", "ben=2"]))
    pd.testing.assert_frame_equal(long.answers, export.answers)
    assert (long.documents, long.texts) == (export.documents, export.texts)
    assert long.n_skipped == export.n_skipped == 1
    bare = pd.read_csv(FILES / "long.csv", keep_default_na=False)
    bare = bare.drop(columns=["document_id", "text", "position"])
    bare.to_csv(tmp_path / "bare.csv", index=False)
    assert not read_compared(tmp_path / "bare.csv").documents
    joined = read_compared(tmp_path / "bare.csv", sentences=FILES / "sentences.csv")
    assert joined.documents == long.documents


def test_an_output_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1]})
    with pytest.raises(DataError, match="cannot be written"):
        write_table(table, tmp_path / "none" / "t.csv")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_table(table, tmp_path / "t.csv")
    with pytest.raises(DataError, match="the name tells no format"):
        write_table(table, tmp_path / "t.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_links_and_devices_are_written_through(tmp_path: Path) -> None:
    file, link, loop = (tmp_path / name for name in ("file.json", "link.json", "loop.json"))
    file.write_text("older")
    link.symlink_to(file)
    write_tasks([], link)
    assert link.is_symlink()
    assert file.read_text() == "[]\n"
    with pytest.raises(DataError, match="is read as well"):
        check_distinct(link, inputs=[file])
    loop.symlink_to(loop)
    check_distinct(loop, inputs=[file])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write_tasks([], pipe)
        assert os.read(held, 10) == b"[]\n"
    finally:
        os.close(held)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(DataError, match="cannot be written"):
        write_tasks([], Path())


def test_tasks_hold_plain_json_whatever_the_table_held(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "document_id": ["d", "d"],
            "text": ["x", "y"],
            "score": [0.5, float("nan")],
            "when": pd.to_datetime(["2026-01-01", None]),
            "n": [1, 2],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    tasks = tasks_of(read_sentences(tmp_path / "t.parquet"))
    assert json.loads(json.dumps(tasks, allow_nan=False)) == tasks
    assert tasks[1]["data"]["columns"] == {"score": None, "when": None, "n": 2}
