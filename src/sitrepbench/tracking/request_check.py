"""What a request to a served model is refused for before MLflow reads it, and what it is told."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from sitrepbench.data.dataset import TEXT

BAD, UNSUPPORTED = 400, 415
_FORMS = ("inputs", "instances", "dataframe_records", "dataframe_split")
_JSON, _CSV = "application/json", "text/csv"
#: The most rows of one request; the variable sets another number.
MOST_ROWS, ROWS_VARIABLE = 10_000, "SITREPBENCH_SERVE_MAX_ROWS"
#: The most columns, and the most cells of a table that is not counted by rows yet: a table of few
#: bytes, each row with another column, would fill the memory.
MOST_COLUMNS, MOST_CELLS = 100, 10_000_000
#: How many bad rows a message names, and the most characters of a message.
_NAMED, _MOST_MESSAGE = 5, 1_000
#: What MLflow puts before and after what is wrong: the whole input.
_QUOTED = re.compile(
    r"\A(Failed to predict data .*\nError: )?(Failed to enforce schema of data .*\]'\. Error: )?"
    r"|\nInput: \n.*\Z",
    re.DOTALL,
)


def problem_of(content_type: str, body: bytes) -> tuple[int, str] | None:
    """Return the status and the message for a request that cannot be answered, None for others.

    MLflow fails on a missing type, on deep nesting and on long numbers, takes ``null`` for the text
    "None", and unpacks Parquet of any size.

    Examples
    --------
    >>> problem_of("application/json", b'{"inputs": ["fire"]}')
    >>> problem_of("application/json", b'{"inputs": [null]}')
    (400, 'text is not a string in row 1')
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _CSV:
        columns = body.partition(b"\n")[0].count(b",") + 1
        return _size_problem(0, columns, body.count(b"\n") * columns)
    if kind != _JSON:
        found = f"found {kind[:60]!r}" if kind else "found none"
        return UNSUPPORTED, f"Content-Type: {_JSON} or {_CSV} is expected, {found}"
    try:
        asked = json.loads(body)
    except RecursionError:
        return BAD, "the JSON is nested too deeply"
    except ValueError as error:
        return BAD, f"the body is not JSON in UTF-8: {error}"
    forms = [form for form in _FORMS if form in asked] if isinstance(asked, dict) else []
    if len(forms) != 1:
        return BAD, f"an object with one of {', '.join(_FORMS)} is expected"
    given = asked[forms[0]]
    told = _size_problem(*_shape(given))
    if told is not None:
        return told
    rows = [row for row, text in enumerate(_texts(given), 1) if not isinstance(text, str)]
    if not rows:
        return None
    more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
    return BAD, f"text is not a string in row {', '.join(map(str, rows[:_NAMED]))}{more}"


def limit(variable: str, default: int) -> int:
    """Return the number that an environment variable sets, or the default."""
    given = os.environ.get(variable, "")
    return int(given) if given.isdecimal() and int(given) > 0 else default


def too_many_rows(rows: int) -> str:
    """Return what is told of more rows than one request may have; empty where they are not."""
    most = limit(ROWS_VARIABLE, MOST_ROWS)
    if rows <= most:
        return ""
    return (
        f"{rows:,} rows; at most {most:,} are answered at a time. Send them in parts, use "
        f"'sitrepbench predict', or set {ROWS_VARIABLE} where the model is loaded."
    )


def _size_problem(rows: int, columns: int, cells: int = 0) -> tuple[int, str] | None:
    if columns > MOST_COLUMNS:
        return BAD, f"{columns:,} columns; at most {MOST_COLUMNS} are read"
    if cells > MOST_CELLS:
        return BAD, f"about {cells:,} cells; at most {MOST_CELLS:,} are read"
    told = too_many_rows(rows)
    return (BAD, told) if told else None


def _shape(asked: Any) -> tuple[int, int]:
    """Return how many rows and columns the table of a request would have."""
    if isinstance(asked, list):
        names = {name for row in asked if isinstance(row, dict) for name in row}
        return len(asked), max((len(names), *(len(row) for row in asked if isinstance(row, list))))
    if not isinstance(asked, dict):
        return 1, 1
    lists = [value for value in asked.values() if isinstance(value, list)]
    rows, columns = max(map(len, lists), default=1), len(asked)
    for name in ("columns", "data"):
        if isinstance(asked.get(name), list):
            columns = max(
                columns, len(asked[name]) if name == "columns" else _shape(asked[name])[1]
            )
    return rows, columns


def _texts(asked: Any) -> Sequence[Any]:
    """Return the texts of a request, as they stand; none where there is no column of them."""
    if isinstance(asked, list):
        # Records, lists of one text, or texts.
        rows = [row[0] if isinstance(row, list) and row else row for row in asked]
        return [row.get(TEXT, "") if isinstance(row, dict) else row for row in rows]
    if not isinstance(asked, dict):
        return [asked]
    if TEXT in asked:
        return asked[TEXT] if isinstance(asked[TEXT], list) else [asked[TEXT]]
    columns, data = asked.get("columns"), asked.get("data")
    if not isinstance(columns, list) or not isinstance(data, list) or TEXT not in columns:
        return []
    place = columns.index(TEXT)
    return [row[place] for row in data if isinstance(row, list) and len(row) > place]


def plain_error(body: bytes) -> bytes:
    r"""Return the body of an error without the input and the stack trace that MLflow puts in some.

    >>> plain_error(b'{"message": "Failed to predict data [5]. \\nError: no text"}')
    b'{"message": "no text"}'
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(told, dict) or not isinstance(told.get("message"), str):
        return body
    plain = {name: value for name, value in told.items() if name != "stack_trace"}
    message = _QUOTED.sub("", told["message"])
    plain["message"] = message if len(message) <= _MOST_MESSAGE else f"{message[:_MOST_MESSAGE]}..."
    return json.dumps(plain).encode()
