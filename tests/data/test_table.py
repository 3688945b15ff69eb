import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitrepbench.data.dataset import COLUMNS
from sitrepbench.data.table import load_frame, load_table
from sitrepbench.errors import ConfigError, DataError

ROWS = [
    {
        "sentence_id": "s1",
        "document_id": "d2",
        "position": 0,
        "text": 'Shells "fell"\r\non the port, nobody was hurt.',
        "label": "casualty_report",
        "secondary": "evacuation|denial",
        "domain": "north",
        "split": "train",
        "cluster": "c1",
    },
    {
        "sentence_id": "s2",
        "document_id": "d1",
        "position": 1,
        "text": "The council met again\u2028today.",
        "label": "negotiation",
        "secondary": "",
        "domain": "NA",
        "split": "test",
        "cluster": "c1",
    },
    {
        "sentence_id": "s3",
        "document_id": "d1",
        "position": 0,
        "text": "null",
        "label": "background",
        "secondary": "",
        "domain": "",
        "split": "dev",
        "cluster": "",
    },
]


def write_csv(path: Path, rows: list[dict], *, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write(folder: Path, kind: str, rows: list[dict]) -> Path:
    path = folder / f"table.{kind}"
    if kind == "csv":
        return write_csv(path, rows)
    if kind == "tsv":
        return write_csv(path, rows, delimiter="\t")
    if kind == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows_and_digest(tmp_path, kind):
    expected = load_frame(pd.DataFrame(ROWS))
    loaded = load_table(write(tmp_path, kind, ROWS))
    pd.testing.assert_frame_equal(loaded.frame, expected.frame)
    assert loaded.digest == expected.digest
    assert loaded.name == "table"
    assert loaded.source.endswith(f"table.{kind}")
    assert loaded.frame["sentence_id"].tolist() == ["s3", "s2", "s1"]


def test_texts_are_kept_but_for_the_space_around_them(tmp_path):
    rows = [dict(ROWS[0], text=f" \t{ROWS[0]['text']}\n"), ROWS[2]]
    frame = load_table(write(tmp_path, "csv", rows)).frame
    assert frame["text"].tolist() == ["null", ROWS[0]["text"]]
    assert load_frame(pd.DataFrame(ROWS)).frame["domain"].tolist() == ["", "NA", "north"]


def test_the_order_of_rows_and_columns_does_not_matter_but_any_cell_does():
    frame = pd.DataFrame(ROWS)
    digest = load_frame(frame).digest
    assert load_frame(frame.iloc[[2, 0, 1], ::-1]).digest == digest
    changes = {
        "sentence_id": "s9",
        "document_id": "d9",
        "position": 7,
        "text": "null.",
        "label": "denial",
        "secondary": "denial",
        "domain": "x",
        "split": "test",
        "cluster": "x",
    }
    assert set(changes) == set(COLUMNS)
    digests = {digest}
    for column, value in changes.items():
        changed = frame.copy()
        changed.loc[2, column] = value
        digests.add(load_frame(changed).digest)
    assert len(digests) == len(changes) + 1


def test_the_label_set_is_part_of_the_digest():
    frame = pd.DataFrame(ROWS)
    labels = ["background", "casualty_report", "denial", "negotiation", "evacuation"]
    reordered = load_frame(frame, labels=labels)
    assert reordered.labels == tuple(labels)
    assert reordered.digest != load_frame(frame).digest


def test_moving_a_character_between_cells_changes_the_digest():
    first = pd.DataFrame({"document_id": ["ab", "c"], "text": ["x", "y"], "label": "denial"})
    second = pd.DataFrame({"document_id": ["a", "bc"], "text": ["x", "y"], "label": "denial"})
    ids = {"sentence_id": ["1", "2"]}
    assert load_frame(first.assign(**ids)).digest != load_frame(second.assign(**ids)).digest


def test_extra_columns_are_kept_and_count_in_the_digest():
    frame = pd.DataFrame(ROWS).assign(outlet="radio", score=[1.5, 2.5, 3.5])
    dataset = load_frame(frame)
    assert dataset.digest != load_frame(pd.DataFrame(ROWS)).digest
    other = load_frame(frame.assign(outlet="paper"))
    assert other.digest != dataset.digest
    assert dataset.frame["score"].tolist() == [3.5, 2.5, 1.5]
    assert dataset.frame["outlet"].tolist() == ["radio"] * 3


def test_usual_column_names_are_found(tmp_path):
    text = "id,doc_id,sentence,label,conflict\nx,d,They met.,negotiation,south\n"
    path = tmp_path / "table.csv"
    path.write_text(text)
    row = load_table(path).frame.iloc[0]
    assert (row["sentence_id"], row["document_id"]) == ("x", "d")
    assert (row["text"], row["domain"]) == ("They met.", "south")


def test_columns_can_be_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,c,text\n They met. ,story 1,negotiation,3\n")
    columns = {"text": "a", "document_id": "b", "label": "c", "domain": None}
    dataset = load_table(path, columns=columns)
    row = dataset.frame.iloc[0]
    assert (row["text"], row["document_id"], row["label"]) == (
        "They met.",
        "story 1",
        "negotiation",
    )
    assert row["source_text"] == "3"
    assert dataset.notes == ("the file's own column 'text' is kept as 'source_text'",)


def test_ids_and_positions_are_made_where_there_are_none():
    frame = pd.DataFrame(
        {"document_id": [7, 8, 7], "text": ["a", "b", "c"], "label": ["denial"] * 3}
    )
    loaded = load_frame(frame).frame
    assert loaded["sentence_id"].tolist() == ["7:0", "7:1", "8:0"]
    assert loaded["text"].tolist() == ["a", "c", "b"]


def test_labels_are_mapped_and_a_map_that_meets_nothing_is_noted(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "doc,text,label,secondary\n"
        "d,a,Injured,Displaced\n"
        "d,b,Displaced,Missing;Injured\n"
        "d,c,Injured,Missing\n"
    )
    names = {
        "Injured": "casualty_report",
        "Missing": "casualty_report",
        "Displaced": "evacuation",
        "Other": "background",
    }
    dataset = load_table(path, label_map=names)
    assert dataset.frame["label"].tolist() == ["casualty_report", "evacuation", "casualty_report"]
    assert dataset.frame["secondary"].tolist() == ["evacuation", "casualty_report", ""]
    assert dataset.notes == ("label_map.Other matched no row",)


def test_secondary_labels_may_be_joined_or_listed_and_are_put_in_order():
    frame = pd.DataFrame(ROWS)
    joined = load_frame(frame).digest
    frame["secondary"] = [["denial", "evacuation"], [], ()]
    listed = load_frame(frame)
    assert listed.frame["secondary"].tolist() == ["", "", "denial|evacuation"]
    assert listed.digest == joined
    frame["secondary"] = ["denial; evacuation", "", ""]
    assert load_frame(frame).digest == joined


def test_lists_of_secondary_labels_survive_parquet(tmp_path):
    frame = pd.DataFrame(ROWS)
    frame["secondary"] = [["denial", "evacuation"], [], []]
    path = tmp_path / "table.parquet"
    frame.to_parquet(path)
    assert load_table(path).digest == load_frame(pd.DataFrame(ROWS)).digest


def test_another_label_set():
    frame = pd.DataFrame({"doc": ["a", "b"], "text": ["x", "y"], "label": ["spam", "ham"]})
    assert load_frame(frame, labels=["ham", "spam"]).labels == ("ham", "spam")


def test_without_quoting_a_quote_is_text(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text('doc\ttext\tlabel\nd\t"We met" they said\tnegotiation\n')
    with pytest.raises(DataError, match=r"dataset\.quoting=none"):
        load_table(path)
    assert load_table(path, quoting="none").frame["text"].tolist() == ['"We met" they said']


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_named_encoding_is_read(tmp_path, encoding):
    path = tmp_path / "table.csv"
    path.write_bytes("doc,text,label\nd,Café closed.,background\n".encode(encoding))
    assert load_table(path, encoding=encoding).frame["text"].tolist() == ["Café closed."]


def test_blank_lines_are_no_rows_and_the_format_can_be_named(tmp_path):
    path = tmp_path / "table.data"
    path.write_text("\ndoc,text,label\n\nd,a,denial\n\n\nd,b,denial\n\n")
    assert load_table(path, format="csv").frame["text"].tolist() == ["a", "b"]


def test_the_home_folder_is_expanded():
    path = Path("~").expanduser() / "sitrepbench-table.csv"
    path.write_text("doc,text,label\nd,a,denial\n")
    assert load_table("~/sitrepbench-table.csv", name="mine").name == "mine"


def test_old_line_ends(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'doc,text,label\rd,"a\rb",denial\rd,c,denial\r')
    assert load_table(path).frame["text"].tolist() == ["a\rb", "c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "cvs"}, "unknown format 'cvs'. Did you mean 'csv'"),
        ({"encoding": "utf8-sig"}, "unknown encoding 'utf8-sig'. Did you mean 'utf-8-sig'"),
        ({"encoding": "base64"}, "unknown encoding 'base64'"),
        ({"quoting": "non"}, "unknown rule 'non'. Did you mean 'none'"),
        ({"columns": {"txt": "a"}}, "unknown field 'txt'. Did you mean 'text'"),
        ({"label_map": {"x": "denail"}}, "label_map.x: unknown label 'denail'.*mean 'denial'"),
        ({"labels": ["one"]}, "expected at least 2 labels, found 1"),
        ({"labels": ["a b", "c", "c"]}, "label 'a b': expected letters"),
        ({"allow": ["long_txt"]}, "Did you mean 'long_text'"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, arguments, message):
    path = write(tmp_path, "csv", ROWS)
    with pytest.raises(ConfigError, match=message):
        load_table(path, **arguments)


def test_a_name_without_a_format(tmp_path):
    with pytest.raises(ConfigError, match=r"give dataset\.format="):
        load_table(tmp_path / "table.xlsx")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_values_of_a_frame_are_empty_where_they_may_be(missing):
    frame = pd.DataFrame(ROWS).astype(object)
    frame.loc[:, ["secondary", "domain", "cluster"]] = missing
    loaded = load_frame(frame).frame
    assert (loaded[["secondary", "domain", "cluster"]] == "").all(axis=None)


def test_a_frame_is_left_as_it_was():
    frame = pd.DataFrame(ROWS)
    before = frame.copy()
    load_frame(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_csv_reads_back_what_csv_wrote():
    stream = io.StringIO()
    load_frame(pd.DataFrame(ROWS)).frame.to_csv(stream, index=False)
    again = pd.read_csv(io.StringIO(stream.getvalue()), dtype=str, keep_default_na=False)
    again["position"] = again["position"].astype(int)
    assert load_frame(again).digest == load_frame(pd.DataFrame(ROWS)).digest
