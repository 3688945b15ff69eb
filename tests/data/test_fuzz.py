"""Whatever the bytes of an input are, there is a dataset or a readable refusal."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitrepbench.data.card import DatasetCard, load_card
from sitrepbench.data.dataset import COLUMNS, Dataset, frame_digest
from sitrepbench.data.table import load_frame, load_table
from sitrepbench.errors import DataError
from sitrepbench.labels import LABELS

EXAMPLES = settings(max_examples=100)

#: Pieces that make a reader work, strung together in any order.
CSV_PIECES = st.sampled_from(
    [
        b"doc_id,text,label\n",
        b"sentence_id,doc_id,text,label,secondary,position,split\n",
        b"d1,They met.,negotiation\n",
        b"s1,d1,He denied it.,denial,evacuation|negotiation,3,train\n",
        b'"a ""b""\r\nc"',
        b'"',
        b",",
        b"\t",
        b"\n",
        b"\r",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xe9",
        b"\xed\xa0\x80",
        "\u2028\u200b".encode(),
    ]
)
JSONL_PIECES = st.sampled_from(
    [
        b'{"doc_id": "d1", "text": "They met.", "label": "denial"}\n',
        b'{"doc_id": 1, "text": "a", "label": "denial", "extra": [1, {"a": null}]}\n',
        b'{"doc_id": "d1", "text": "\\ud83d", "label": "denial", "caf\xe9": 1e999}\n',
        b'{"doc_id": "d1", "text": "b", "label": "denial", "secondary": ["evacuation"]}\n',
        b'{"a": ' + b"7" * 4500 + b"}\n",
        b'{"a": 1, "a": 2}',
        b"[[[[",
        b"NaN",
        b"{",
        b"}",
        b'"',
        b"\n",
        b"\0",
    ]
)
YAML_PIECES = st.sampled_from(
    [
        b"name: seeds\n",
        b'version: "1.0"\n',
        b"version: 2024-99-99\n",
        b"files:\n  - path: ../a\n    sha256: x\n",
        b"labels: [a, a, 1, null]\n",
        b"columns: {txt: 0xfff, text: [a]}\n",
        b"splits: {test: dev, train: train}\n",
        b"documents: 0x" + b"f" * 9000 + b"\n",
        b'x: !!int ""\n',
        b'x: !!timestamp "y"\n',
        b"x: !!binary ?\n",
        b"x: !!python/object:os.system {}\n",
        b"a: &a [*a]\n",
        b"<<: *b\n",
        b"? [a]\n: b\n",
        b"? {a: b}\n: b\n",
        b"- a\n",
        b"\xe9",
        b"\0",
        b"\xef\xbb\xbf",
        b": ",
        b"'",
    ]
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def load_or_refuse(load: Callable[[], Dataset], source: str) -> None:
    try:
        dataset = load()
    except DataError as error:
        message = str(error)
        message.encode("utf-8")
        assert message.startswith(source)
        assert "What to do:" in message
        return
    frame = dataset.frame
    assert len(frame) > 0
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert frame["sentence_id"].is_unique
    assert set(frame["label"]) <= set(LABELS)
    assert frame["text"].str.strip().ne("").all()
    assert dataset.digest == frame_digest(frame, dataset.labels)


def load_bytes(path: Path, data: bytes, **arguments) -> None:
    path.write_bytes(data)
    load_or_refuse(lambda: load_table(path, **arguments), f"{path}: ")


@EXAMPLES
@given(
    pieces=st.lists(CSV_PIECES | st.binary(max_size=8), max_size=12),
    format=st.sampled_from(["csv", "tsv"]),
    quoting=st.sampled_from(["standard", "none"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_any_bytes_as_csv(scratch, pieces, format, quoting, encoding):
    path = scratch / "table.csv"
    load_bytes(path, b"".join(pieces), format=format, quoting=quoting, encoding=encoding)


@EXAMPLES
@given(pieces=st.lists(JSONL_PIECES | st.binary(max_size=8), max_size=8))
def test_any_bytes_as_jsonl(scratch, pieces):
    load_bytes(scratch / "table.jsonl", b"".join(pieces))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@EXAMPLES
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "doc_id": st.integers() | st.text(max_size=3),
                "text": st.text(min_size=1, max_size=9) | VALUES,
                "label": st.sampled_from(LABELS),
            },
            optional={
                "secondary": st.lists(st.sampled_from(LABELS), max_size=2) | VALUES,
                "position": st.integers() | VALUES,
                "extra": VALUES,
            },
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_values_in_jsonl(scratch, rows):
    text = "\n".join(json.dumps(row) for row in rows)
    load_bytes(scratch / "values.jsonl", text.encode())


@settings(max_examples=50)
@given(data=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_bytes_as_parquet(scratch, data, cut):
    good = pd.DataFrame({"doc_id": ["d"], "text": ["a"], "label": ["denial"]}).to_parquet()
    load_bytes(scratch / "table.parquet", good[:cut] + data + good[cut + len(data) :])


@EXAMPLES
@given(rows=st.lists(st.tuples(VALUES, VALUES, st.sampled_from(LABELS)), min_size=1, max_size=4))
def test_any_values_in_a_frame(rows):
    frame = pd.DataFrame(rows, columns=["doc_id", "text", "label"], dtype=object)
    load_or_refuse(lambda: load_frame(frame), "DataFrame 'frame': ")


@EXAMPLES
@given(pieces=st.lists(YAML_PIECES | st.binary(max_size=8), max_size=12))
def test_any_bytes_as_card(scratch, pieces):
    path = scratch / "card.yaml"
    path.write_bytes(b"".join(pieces))
    found: DatasetCard | DataError
    try:
        found = load_card(path)
    except DataError as error:
        found = error
    message = str(found)
    message.encode("utf-8")
    assert isinstance(found, DatasetCard) or message.startswith(f"{path}: ")
