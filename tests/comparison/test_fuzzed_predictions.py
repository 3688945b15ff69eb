"""Whatever the bytes of a predictions file or card are: a table, or a readable refusal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitrepbench.comparison.files import read_predictions
from sitrepbench.comparison.gold import Gold
from sitrepbench.comparison.submissions import read_submission
from sitrepbench.errors import ConfigError, DataError

EXAMPLES = settings(max_examples=150)
GOLD = Gold(
    pd.DataFrame(
        {"sentence_id": ["s1", "s2"], "document_id": "d", "domain": "", "label": ["a", "b"],
         "secondary": ""}
    ),
    ("a", "b"),
    "dev",
)  # fmt: skip

CSV_PIECES = st.sampled_from(
    [
        b"sentence_id,predicted\n", b"sentence_id,label,p_a,p_b,repeat,part\n", b"s1,a\n",
        b"s2,b\n", b"s1,a,0.5,0.5,0,dev\n", b"s2,b,1,0,0,dev\n", b"s1,b,nan,-1,99999999999,cv\n",
        b"s1,b,1e999,0x1,\xc2\xb2,\n", b'"a ""b""\r\nc"', b'"', b",", b"\t", b"\n", b"\r", b"\0",
        b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", "\u2028\u200b".encode(),
    ]
)  # fmt: skip
JSONL_PIECES = st.sampled_from(
    [
        b'{"sentence_id": "s1", "predicted": "a"}\n', b'{"id": "s2", "label": "b", "p_a": 1}\n',
        b'{"sentence_id": ["s1"], "label": {"a": 1}, "repeat": 1e400, "p_a": true}\n',
        b'{"sentence_id": "s2", "label": "b", "repeat": null, "part": 7, "p_a": "", "p_b": []}\n',
        b'{"sentence_id": "\\ud83d", "label": null, "repeat": -0.0}\n', b'{"a": 1, "a": 2}',
        b'{"sentence_id": ' + b"7" * 4500 + b"}\n", b"[[[[", b"NaN", b"{", b'"', b"\n", b"\0",
    ]
)  # fmt: skip
YAML_PIECES = st.sampled_from(
    [
        b"name: x\n", b"authors: [a, b]\n", b"authors: {a: 1}\n", b"description: d\n",
        b"predictions: p.csv\n", b'predictions: "\\0"\n', b"predictions: ../p.csv\n",
        b"predictions: [p]\n", b"dataset: sitrep\n", b"part: dev\n", b"date: 2026-13-45\n",
        b"date: 2026-11-20 10:00:00\n", b"code: !!int ''\n", b"? [a, b]\n: c\n", b"1: 2\n",
        b"<<: {name: y}\n", b"&a a: *a\n", b"- x\n", b"\t", b"---\n", b"\xe9", b"\0", b": : :",
        b"!!python/object/apply:os.system [echo]\n", b"{" * 300,
    ]
)  # fmt: skip


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    (made / "p.csv").write_text("sentence_id,label\n")
    return made


def check(path: Path) -> None:
    try:
        table = read_predictions(path, GOLD)
    except (DataError, ConfigError) as error:
        str(error).encode("utf-8")
        return
    assert sorted(set(table.frame["sentence_id"])) == ["s1", "s2"]


@EXAMPLES
@given(data=st.binary(max_size=200) | st.lists(CSV_PIECES, max_size=8).map(b"".join))
def test_any_bytes_as_csv_or_tsv(folder: Path, data: bytes) -> None:
    check(put(folder, "x.csv", data))
    check(put(folder, "x.tsv", data.replace(b",", b"\t")))


@EXAMPLES
@given(data=st.binary(max_size=200) | st.lists(JSONL_PIECES, max_size=6).map(b"".join))
def test_any_bytes_as_jsonl(folder: Path, data: bytes) -> None:
    check(put(folder, "x.jsonl", data))


@pytest.mark.slow
@EXAMPLES
@given(data=st.data())
def test_any_bytes_as_parquet(folder: Path, data: st.DataObject) -> None:
    pd.DataFrame({"id": ["s1", "s2"], "label": ["a", "b"], "p_a": [1.0, 0.0],
                  "p_b": [0.0, 1.0]}).to_parquet(folder / "whole.parquet")  # fmt: skip
    whole = (folder / "whole.parquet").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    piece = data.draw(st.binary(max_size=20))
    spoilt = whole[:at] + piece + whole[at + data.draw(st.integers(0, 20)) :]
    check(put(folder, "x.parquet", data.draw(st.sampled_from([spoilt, piece, whole[:at]]))))


@EXAMPLES
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "sentence_id": st.sampled_from(["s1", "s2", None, 3, 2.5, b"s1", ["s1"]]),
                "label": st.sampled_from(["a", "b", None, 1, True]),
                "repeat": st.sampled_from([0, 1, -1, 0.5, float("nan"), None, "0", 10**30]),
                "p_a": st.floats() | st.none(),
                "p_b": st.floats() | st.none(),
            }
        ),
        max_size=5,
    )
)
def test_any_values_in_parquet(folder: Path, rows: list[dict[str, object]]) -> None:
    columns = ["sentence_id", "label", "repeat", "p_a", "p_b"]
    try:
        pd.DataFrame(rows, columns=columns).to_parquet(folder / "y.parquet")
    except Exception:
        return  # values that Parquet does not hold
    check(folder / "y.parquet")


@pytest.mark.slow
@EXAMPLES
@given(data=st.binary(max_size=200) | st.lists(YAML_PIECES, max_size=10).map(b"".join))
def test_any_bytes_as_a_card(folder: Path, data: bytes) -> None:
    try:
        card = read_submission(put(folder, "card.yaml", data))
    except (DataError, ConfigError) as error:
        str(error).encode("utf-8")
        return
    assert card.predictions.parent == folder.resolve()
