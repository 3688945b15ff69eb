"""What a served model refuses before MLflow reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sitrepbench.tracking.request_check import plain_error, problem_of

JSON = "application/json"


def told(asked: Any, content_type: str = JSON) -> str:
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    problem = problem_of(content_type, body)
    return "" if problem is None else f"{problem[0]}: {problem[1]}"


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": ["a", "b"]},
        {"inputs": "a"},
        {"inputs": [["a"], ["b"]]},
        {"inputs": {"text": ["a"], "position": [0]}},
        {"inputs": {"text": []}},
        {"instances": [{"text": "a"}]},
        {"dataframe_records": [{"text": "a", "document_id": None}]},
        {"dataframe_split": {"columns": ["position", "text"], "data": [[0, "a"]]}},
        {"dataframe_split": {"data": [["a"]]}},
    ],
)
def test_what_can_be_answered_is_let_through(asked: Any) -> None:
    assert told(asked) == ""
    assert told(asked, "Application/JSON; charset=utf-8") == ""


@pytest.mark.parametrize("value", [None, 5, float("nan"), ["a"], {"x": 1}])
def test_what_is_no_text_is_never_taken_for_one(value: Any) -> None:
    rows = [{"text": "a"}, {"text": value}]
    for asked in (
        {"inputs": {"text": ["a", value]}},
        {"instances": rows},
        {"dataframe_records": rows},
        {"dataframe_split": {"columns": ["text"], "data": [["a"], [value]]}},
    ):
        assert told(asked) == "400: text is not a string in row 2", asked


@pytest.mark.parametrize(
    ("asked", "content_type", "expected"),
    [
        (b"{}", "", "415: Content-Type: application/json or text/csv is expected, found none"),
        (b"PAR1", "application/vnd.apache.parquet", "415"),
        (b"", JSON, "400: the body is not JSON"),
        (b"\xff", JSON, "400: the body is not JSON"),
        (b'{"inputs": ' + b"[" * 100_000, JSON, "400: the JSON is nested too deeply"),
        (b'{"inputs": ' + b"1" * 5_000 + b"}", JSON, "400: the body is not JSON"),
        (["a"], JSON, "400: an object with one of inputs"),
        ({"inputs": ["a"], "instances": ["a"]}, JSON, "400: an object with one of inputs"),
        ({"messages": []}, JSON, "400: an object with one of inputs"),
    ],
)
def test_what_mlflow_fails_on_is_refused(asked: Any, content_type: str, expected: str) -> None:
    assert told(asked, content_type).startswith(expected)


def test_a_table_that_is_larger_than_its_bytes_is_refused() -> None:
    """Each row with a column of its own: a table of rows x rows cells."""
    wide = [{f"column{row}": "a"} for row in range(101)]
    for asked in (
        {"inputs": wide},
        {"dataframe_records": wide},
        {"dataframe_split": {"data": [["a"] * 101, ["a"]]}},
        {"dataframe_split": {"columns": ["a"] * 101, "data": []}},
        {"inputs": {f"column{row}": ["a"] for row in range(101)}},
    ):
        assert told(asked) == "400: 101 columns; at most 100 are read"
    assert told(b"a," * 100 + b"a\n", "text/csv") == "400: 101 columns; at most 100 are read"
    assert "cells" in told(b"a," * 99 + b"a\n" + b"\n" * 200_000, "text/csv")
    assert told(b"text\n" + b"a\n" * 10, "text/csv") == ""


def test_rows_are_counted_before_a_table_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ["a"] * 10_001
    for asked in ({"inputs": many}, {"inputs": {"text": many}}):
        assert "at most 10,000" in told(asked)
    monkeypatch.setenv("SITREPBENCH_SERVE_MAX_ROWS", "20000")
    assert told({"inputs": many}) == ""


def test_errors_quote_neither_input_nor_source_code() -> None:
    quoted = "Failed to enforce schema of data '[5]' with schema '['text': string]'. Error: not so"
    body = {"message": f"Failed to predict data '[5]'. \nError: {quoted}", "stack_trace": "File x"}
    assert json.loads(plain_error(json.dumps(body).encode())) == {"message": "not so"}
    long = json.loads(plain_error(json.dumps({"message": "x" * 5_000_000}).encode()))
    assert len(long["message"]) < 2_000
    for other in (b"", b"text", b"[]", b"[" * 100_000, b'{"detail": "Not Found"}'):
        assert plain_error(other) == other
