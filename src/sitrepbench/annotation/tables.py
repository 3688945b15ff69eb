"""Tables of annotations as files: the long form, and whatever the agreement is asked of."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sitrepbench.annotation.names import (
    ANSWER_COLUMNS,
    LONG_COLUMNS,
    OPEN,
    SENTENCE_COLUMNS,
    STATUS,
)
from sitrepbench.errors import DataError

#: What lies here is added to, whatever it is.
_STREAMS = (("/", "dev"), ("/", "proc"))


def long_table(sentences: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Return one row per sentence and annotator: `names.LONG_COLUMNS`, then further columns.

    A sentence that nobody labelled or skipped has one row without an annotator, of status
    ``open``, so that no sentence is lost.
    """
    further = [str(name) for name in sentences.columns if name not in SENTENCE_COLUMNS]
    kept = answers[answers["sentence_id"].isin(sentences["sentence_id"])]
    table = sentences.merge(kept, on="sentence_id", how="left", sort=False)
    table[STATUS] = table[STATUS].fillna(OPEN)
    answered = list(ANSWER_COLUMNS)
    table[answered] = table[answered].fillna("")
    return table[[*LONG_COLUMNS, *(name for name in further if name not in ANSWER_COLUMNS)]]


def _as_csv(table: pd.DataFrame) -> bytes:
    text = io.StringIO()
    # A carriage return inside a field is only safe in quotes, and csv does not see to that.
    returns = any("\r" in str(value) for column in table for value in table[column])
    quoting: Literal[0, 1] = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    table.to_csv(text, index=False, lineterminator="\n", quoting=quoting)
    return text.getvalue().encode()


def _as_jsonl(table: pd.DataFrame) -> bytes:
    plain = table.astype(object).where(table.notna(), None)
    lines = [json.dumps(row, ensure_ascii=False) for row in plain.to_dict("records")]
    return "".join(f"{line}\n" for line in lines).encode()


def _as_parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, index=False)
    except Exception as error:  # pyarrow's many
        raise DataError(f"the table cannot be written as Parquet: {error}; use CSV") from error
    return buffer.getvalue()


_WRITERS: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    ".csv": _as_csv,
    ".jsonl": _as_jsonl,
    ".parquet": _as_parquet,
}


def named_path(name: str | Path) -> Path:
    """Return the path of a name, with the home folder in the place of ``~``.

    Raises
    ------
    DataError
        When there is no such user.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"{name}: {error}") from error


def check_writable(path: Path, *, inputs: Sequence[str | Path] = ()) -> None:
    """Refuse a table's name that tells no format, or that is one of the inputs.

    Raises
    ------
    DataError
        With what to do.
    """
    if path.suffix.casefold() not in _WRITERS:
        raise DataError(f"{path}: the name tells no format, expected one of {', '.join(_WRITERS)}")
    check_distinct(path, inputs=inputs)


def check_distinct(path: Path, *, inputs: Sequence[str | Path]) -> None:
    """Refuse to write over an input.

    Raises
    ------
    DataError
        When they are one file.
    """
    for given in inputs:
        if os.path.realpath(named_path(given)) == os.path.realpath(path):
            raise DataError(f"{path}: is read as well; give the output another name")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as its file's suffix says, beside and renamed into place.

    Raises
    ------
    DataError
        When it cannot be written.
    """
    check_writable(path)
    write_beside(_WRITERS[path.suffix.casefold()](table), path)


def write_tasks(tasks: list[dict[str, Any]], path: Path) -> None:
    """Write tasks as JSON, beside and renamed into place.

    Raises
    ------
    DataError
        When they cannot be written.
    """
    write_beside((json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode(), path)


def write_beside(content: bytes, path: Path) -> None:
    """Write a file beside its place and rename it into place: it is whole, or as it was.

    Through a link to the file that it names; a pipe or a device is written to, not replaced.

    Raises
    ------
    DataError
        When it cannot be written.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if path.parts[:2] in _STREAMS or (target.exists() and not target.is_file()):
            # Added to: behind /dev/stdout may lie a file that the shell adds to.
            with path.open("ab") as stream:
                stream.write(content)
            return
        beside.write_bytes(content)
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
