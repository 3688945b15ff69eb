"""Every kind of damage to a table has its message; nothing is lost without a word."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sitrepbench.data.table import load_frame, load_table
from sitrepbench.errors import DataError

HEADER = "sentence_id,doc_id,text,label,secondary\n"
GOOD = "s0,d0,They met.,negotiation,\n"


def refusal(path: Path, **arguments) -> list[str]:
    """Return the lines of the message with which a file is refused, without its path."""
    with pytest.raises(DataError) as caught:
        load_table(path, **arguments)
    text = str(caught.value)
    text.encode("utf-8")
    assert text.startswith(f"{path}: ")
    return [line.strip() for line in text.removeprefix(f"{path}: ").splitlines()]


def csv_refusal(folder: Path, content: str | bytes, **arguments) -> list[str]:
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return refusal(path, **arguments)


def jsonl_refusal(folder: Path, *lines: str) -> list[str]:
    path = folder / "table.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return refusal(path)


CASES = {
    "missing_column": (
        "sentence_id,text,label\ns1,They met.,negotiation\n",
        "no column for document_id: looked for document_id, doc_id, document, doc, article_id, "
        "article; the file has: 'sentence_id', 'text', 'label'. "
        "Give dataset.columns.document_id=NAME",
    ),
    "renamed column": (
        "sentence_id,docid,text,label\ns1,d1,They met.,negotiation\n",
        "no column for document_id: looked for document_id, doc_id, document, doc, article_id, "
        "article; the file has: 'sentence_id', 'docid', 'text', 'label'. Did you mean 'docid'? "
        "Give dataset.columns.document_id=docid",
    ),
    "duplicate column": (
        "doc_id,text,label,text\nd1,They met.,negotiation,x\n",
        "line 1: column 4 is named 'text' like column 2",
    ),
    "wrong separator": (
        "doc_id;text;label\nd1;They met.;negotiation\n",
        "line 1: the header is one field, 'doc_id;text;label', with ';' in it: expected fields "
        "separated by ',' (format csv has ',', tsv has tabs)",
    ),
    "unknown label": (
        HEADER + GOOD + "s1,d1,He denied it.,denail,\n",
        "row 2 (line 3), label: unknown label 'denail', expected one of casualty_report, denial, "
        "negotiation, evacuation, background. Did you mean 'denial'? "
        "(+dataset.label_map.denail=denial)",
    ),
    "unknown label like none": (
        HEADER + "s1,d1,He denied it.,XY,\n",
        "row 1 (line 2), label: unknown label 'XY', expected one of casualty_report, denial, "
        "negotiation, evacuation, background.",
    ),
    "unknown secondary label": (
        HEADER + "s1,d1,He denied it.,denial,negotiation|casualty\n",
        "row 1 (line 2), secondary: unknown label 'casualty', expected one of casualty_report, "
        "denial, negotiation, evacuation, background. Did you mean 'casualty_report'? "
        "(+dataset.label_map.casualty=casualty_report)",
    ),
    "primary as secondary": (
        HEADER + "s1,d1,He denied it.,denial,denial\n",
        "row 1 (line 2), secondary: 'denial' is the row's own label",
    ),
    "background as secondary": (
        HEADER + "s1,d1,He denied it.,denial,background\n",
        "row 1 (line 2), secondary: 'background' is never a secondary label",
    ),
    "no label": (HEADER + "s1,d1,He denied it., ,\n", "row 1 (line 2), label: label is empty"),
    "no document": (
        HEADER + "s1,,He denied it.,denial,\n",
        "row 1 (line 2), doc_id: document_id is empty",
    ),
    "no sentence id": (
        HEADER + " ,d1,He denied it.,denial,\n",
        "row 1 (line 2), sentence_id: sentence_id is empty",
    ),
    "empty text": (
        HEADER + GOOD + "s1,d1,,denial,\n",
        "row 2 (line 3), text: the text is empty or blank",
    ),
    "whitespace text": (
        HEADER + 's1,d1," \t\u00a0\n ",denial,\n',
        "row 1 (line 2), text: the text is empty or blank",
    ),
    "invisible text": (
        HEADER + "s1,d1,\u200b\ufeff,denial,\n",
        "row 1 (line 2), text: the text is empty or blank",
    ),
    "duplicate id": (
        HEADER + "s1,d1,One.,denial,\ns2,d1,Two.,denial,\ns1,d2,Three.,denial,\n",
        "row 3 (line 4), sentence_id: 's1' is already the id of row 1 (line 2)",
    ),
    "same text, two labels": (
        HEADER + "s1,d1,Same.,denial,\ns2,d2, Same. ,background,\n",
        "row 2 (line 3), label: labelled 'background', but row 1 (line 2) with the same text is "
        "'denial': 'Same.'",
    ),
    "invalid UTF-8": (
        (HEADER + GOOD + "s1,d1,Caf").encode() + b"\xe9 closed.,background,\n",
        "row 2 (line 3), text: byte 0xE9 at character 4 is not UTF-8: 'Caf\\udce9 closed.'",
    ),
    "invalid UTF-8 in the header": (
        b"doc_id,text,label,caf\xe9\nd1,They met.,negotiation,\n",
        "in the name of a column: byte 0xE9 at character 4 is not UTF-8: 'caf\\udce9'",
    ),
    "byte-order mark": (
        b"\xef\xbb\xbf" + (HEADER + GOOD).encode(),
        "starts with the byte-order mark of UTF-8: its encoding is utf-8-sig",
    ),
    "byte-order mark of UTF-16": (
        (HEADER + GOOD).encode("utf-16-le").join([b"\xff\xfe", b""]),
        "starts with the byte-order mark of UTF-16 (little-endian), expected utf-8: its "
        "encoding is utf-16",
    ),
    "byte-order mark of UTF-32": (
        b"\x00\x00\xfe\xff" + (HEADER + GOOD).encode("utf-32-be"),
        "starts with the byte-order mark of UTF-32 (big-endian), expected utf-8: its "
        "encoding is utf-32",
    ),
    "short row": (
        HEADER + GOOD + "s1,d1,He denied it.\n",
        "row 2 (line 3): 3 fields, expected 5 as in the header: 's1' ...",
    ),
    "long row": (
        HEADER + "s1,d1,He denied it, again.,denial,\n",
        "row 1 (line 2): 6 fields, expected 5 as in the header: 's1' ...",
    ),
    "NUL": (
        HEADER + "s1,d1,He\0 denied it.,denial,\n",
        "row 1 (line 2), text: NUL at character 3 of 'He\\x00 denied it.'",
    ),
    "text after a quote": (
        HEADER + GOOD + 's1,d1,"No," he said.,denial,\n',
        "row 2 (line 3): a quoted field goes on after its closing quote (',' expected after '\"')",
    ),
    "quote never closed": (
        HEADER + GOOD + 's1,d1,"No,denial,\ns2,d2,Yes,background,\n',
        "row 2 (line 3): a quote is never closed; the row runs on to the file's end, line 4",
    ),
    "quote never closed in the header": (
        'doc_id,text,"label\nd1,They met.,negotiation\n',
        "line 1: a quote is never closed; the row runs on to the file's end, line 2",
    ),
    "field too long for csv": (
        HEADER + GOOD + 's1,d1,"' + "x" * 140_000 + '",denial,\n',
        "row 2 (line 3): a field is longer than 131,072 characters, as if a quote were never "
        "closed; the rows after line 3 were not checked",
    ),
    "long text": (
        HEADER + "s1,d1," + "x" * 2001 + ",denial,\n",
        "row 1 (line 2), text: 2,001 characters, expected a sentence of at most 2,000: "
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
    ),
    "position that is none": (
        "doc_id,text,label,position\nd1,They met.,negotiation,first\n",
        "row 1 (line 2), position: expected a whole number from 0, found 'first'",
    ),
    "split left out": (
        "doc_id,text,label,split\nd1,One.,denial,train\nd2,Two.,denial,\n",
        "row 2 (line 3), split: split is empty",
    ),
    "no bytes": ("", "the file has no bytes at all"),
    "blank lines only": ("\n\n", "the file has no header and no rows"),
    "header only": (HEADER, "there is a header but no row"),
}


@pytest.mark.parametrize(("content", "message"), CASES.values(), ids=CASES)
def test_damage_to_a_csv_file(tmp_path, content, message):
    lines = csv_refusal(tmp_path, content)
    assert message in lines
    assert "What to do:" in lines


def test_a_wrong_row_is_the_only_problem_of_its_file(tmp_path):
    alone = ("duplicate id", "long text", "NUL", "short row", "header only", "empty text")
    for name in alone:
        assert csv_refusal(tmp_path, CASES[name][0])[0] == "1 problem", name


def test_all_problems_of_a_file_at_once_by_row(tmp_path):
    content = (
        b"\xef\xbb\xbfsentence_id,doc_id,text,label,secondary\n"
        b's1,d1,"line one\r\nline two",denail,\n'
        b"s1,d1, ,denial,denial\n"
        b"s2,d2\n"
        b"s3,d2,caf\xe9,Denial,\n"
        b"s4,d3,nul\0,negotiation,\n"
        b's5,d3,"a"b,denial,\n'
        b"s6,d3,same,denial,\n"
        b"s7,d3,same,background,\n" + b"s8,d3," + b"x" * 2001 + b",denial,\n"
    )
    lines = csv_refusal(tmp_path, content)
    assert lines[0] == "12 problems"
    places = [line.split(":")[0] for line in lines[1:13]]
    assert places == [
        "starts with the byte-order mark of UTF-8",
        "row 1 (line 2), label",
        "row 2 (line 4), sentence_id",
        "row 2 (line 4), text",
        "row 2 (line 4), secondary",
        "row 3 (line 5)",
        "row 4 (line 6), text",
        "row 4 (line 6), label",
        "row 5 (line 7), text",
        "row 6 (line 8)",
        "row 8 (line 10), label",
        "row 9 (line 11), text",
    ]
    assert "ragged_row (1): give every row as many fields as the header" in lines[15]


def test_the_first_twenty_rows_are_shown_and_the_rest_counted(tmp_path):
    rows = "".join(f"s{number},d1,,denial,\n" for number in range(1000))
    lines = csv_refusal(tmp_path, HEADER + rows)
    assert lines[0] == "1,000 problems"
    assert lines[20] == "row 20 (line 21), text: the text is empty or blank"
    assert lines[21] == "and 980 more: 980 empty_text"


@pytest.mark.parametrize(
    ("code", "case"),
    [("conflicting_labels", "same text, two labels"), ("long_text", "long text")],
)
def test_what_can_be_tolerated_loads_with_a_note(tmp_path, code, case):
    content, message = CASES[case]
    path = tmp_path / "table.csv"
    path.write_text(content)
    dataset = load_table(path, allow=[code])
    assert len(dataset.frame) == content.count("\n") - 1
    assert len(dataset.notes) == 1
    assert f"tolerated as {code}; first: {message})" in dataset.notes[0]


def test_a_file_that_is_missing(tmp_path):
    (tmp_path / "sentences.csv").touch()
    assert refusal(tmp_path / "sentense.csv")[1] == (
        "there is no such file. Did you mean 'sentences.csv'?"
    )
    folder = tmp_path / "nowhere"
    assert refusal(folder / "a.csv")[1] == f"there is no such file, nor a folder {folder}"


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "a.csv").mkdir()
    assert refusal(tmp_path / "a.csv")[1] == "is a folder, expected a file"


def test_an_explicit_column_that_is_missing(tmp_path):
    lines = csv_refusal(tmp_path, HEADER + GOOD, columns={"domain": "secondry"})
    assert lines[1] == (
        "there is no column 'secondry' for domain. Did you mean 'secondary'? "
        "The file has: 'sentence_id', 'doc_id', 'text', 'label', 'secondary'"
    )


def test_a_file_of_another_encoding_than_named(tmp_path):
    lines = csv_refusal(tmp_path, b"doc_id,text,label", encoding="utf-16")
    assert lines[1].startswith("is not utf-16: ")


def row(**values: object) -> str:
    return json.dumps({"doc_id": "d1", "text": "They met.", "label": "negotiation"} | values)


JSONL_CASES = {
    "no JSON": ("{'text': 1}", "row 2 (line 3): Expecting property name enclosed"),
    "no object": ("[1, 2]", "row 2 (line 3): expected an object in braces, found [1, 2]"),
    "NaN": (row(score=float("nan")), "row 2 (line 3): NaN is not JSON"),
    "doubled key": ('{"text": "a", "text": "b"}', "row 2 (line 3): the key 'text' stands twice"),
    "deep": ("[" * 100_000, "row 2 (line 3): is nested too deeply"),
    "long number": ('{"a": ' + "1" * 5000 + "}", "row 2 (line 3): Exceeds the limit"),
    "text of another type": (
        row(text=7),
        "row 2 (line 3), text: expected text, found int 7",
    ),
    "text null": (row(text=None), "row 2 (line 3), text: the text is empty or blank"),
    "label of another type": (
        row(label=True),
        "row 2 (line 3), label: expected text or a whole number, found bool True",
    ),
    "document of another type": (
        row(doc_id=1.5),
        "row 2 (line 3), doc_id: expected text or a whole number, found float 1.5",
    ),
    "key left out": (
        '{"doc_id": "d1", "label": "denial"}',
        "row 2 (line 3), text: the text is empty or blank",
    ),
    "half a surrogate pair": (
        row(text="x\ud83d"),
        "row 2 (line 3), text: half a surrogate pair (U+D83D) at character 2 is not UTF-8",
    ),
    "NUL": (row(text="x\0"), "row 2 (line 3), text: NUL at character 2"),
}


@pytest.mark.parametrize(("content", "message"), JSONL_CASES.values(), ids=JSONL_CASES)
def test_damage_to_a_jsonl_file(tmp_path, content, message):
    lines = jsonl_refusal(tmp_path, row(), "", content)
    assert lines[0] == "1 problem"
    assert lines[1].startswith(message)


def test_a_jsonl_file_without_rows(tmp_path):
    assert jsonl_refusal(tmp_path, "", " ")[1] == "the file has no rows"


def test_invalid_utf8_in_a_jsonl_line_that_is_no_json(tmp_path):
    path = tmp_path / "table.jsonl"
    path.write_bytes(b'{"text": "caf\xe9\n')
    assert refusal(path)[2] == (
        'row 1 (line 1): byte 0xE9 at character 14 is not UTF-8: \'{"text": "caf\\udce9\''
    )


def parquet_refusal(folder: Path, columns: dict[str, object]) -> list[str]:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path)
    return refusal(path)


def test_a_parquet_file_that_is_none(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_text("doc_id,text,label\n")
    assert refusal(path)[1].startswith("not a readable Parquet file: ")
    path.write_bytes(b"")
    assert refusal(path)[1] == "the file has no bytes at all"


def test_a_parquet_file_cut_short(tmp_path):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"doc_id": ["d"], "text": ["a"], "label": ["denial"]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(path)[1].startswith("not a readable Parquet file: ")


def test_parquet_columns_of_a_wrong_type(tmp_path):
    columns = {"doc_id": [1, 2], "text": [b"a", None], "label": ["denial", "denial"]}
    assert parquet_refusal(tmp_path, columns)[:3] == [
        "2 problems",
        "row 1, text: expected text, found bytes b'a'",
        "row 2, text: the text is empty or blank",
    ]


def test_a_parquet_text_that_is_not_utf8(tmp_path):
    table = pa.table({"doc_id": ["d"], "text": ["cafe closed"], "label": ["denial"]})
    path = tmp_path / "table.parquet"
    pq.write_table(table, path, use_dictionary=False, write_statistics=False, compression="none")
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
    assert refusal(path)[:2] == [
        "1 problem",
        "row 1, text: byte 0xE9 at character 4 is not UTF-8: 'caf\\udce9 closed'",
    ]


def test_a_parquet_file_without_rows(tmp_path):
    columns = {name: pa.array([], pa.string()) for name in ("doc_id", "text", "label")}
    assert parquet_refusal(tmp_path, columns)[1] == "there is a header but no row"


def test_damage_to_a_frame():
    frame = pd.DataFrame(
        {
            "doc_id": ["d1", None, "d3", "d4"],
            "text": ["They met.", "Two.", np.nan, 4],
            "label": ["negotation", "denial", "denial", "denial"],
        },
        dtype=object,
    )
    with pytest.raises(DataError) as caught:
        load_frame(frame, name="mine")
    lines = str(caught.value).splitlines()
    assert lines[0] == "DataFrame 'mine': 4 problems"
    assert "row 1, label: unknown label 'negotation'" in lines[1]
    assert lines[2:5] == [
        "  row 2, doc_id: document_id is empty",
        "  row 3, text: the text is empty or blank",
        "  row 4, text: expected text, found int 4",
    ]


def test_a_frame_with_two_columns_of_one_name():
    frame = pd.DataFrame([["d", "a", "b", "denial"]], columns=["doc_id", "text", "text", "label"])
    with pytest.raises(DataError, match="column 3 is named 'text' once more"):
        load_frame(frame)


def test_positions_of_a_wrong_type_are_no_duplicate_ids():
    frame = pd.DataFrame(
        {"doc": ["d", "d"], "text": ["a", "b"], "label": "denial", "position": [0.0, 1.5]}
    )
    with pytest.raises(DataError, match=r"2 problems\n  row 1, position: expected text or a whole"):
        load_frame(frame)
