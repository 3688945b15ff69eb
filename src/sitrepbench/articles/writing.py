"""Segments of articles as CSV or JSON Lines: all of them, or no file."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sitrepbench.articles.layout import FURNITURE
from sitrepbench.articles.reading import (
    ARTICLE_REMEDIES,
    article_files,
    check_encoding,
    read_article,
)
from sitrepbench.articles.segments import Segment
from sitrepbench.data.problems import ProblemReport
from sitrepbench.errors import ConfigError, DataError

FIELDS = ("document_id", "position", "text", "kind")
FORMATS = ("csv", "jsonl")


@dataclass(frozen=True)
class Segmented:
    """What was written.

    Parameters
    ----------
    n_articles : int
        How many files were read.
    n_sentences : int
        How many rows were written.
    furniture : tuple of str
        The lines of the sites around the articles that were left out.
    """

    n_articles: int
    n_sentences: int
    furniture: tuple[str, ...]


def write_segments(
    paths: Iterable[str | Path],
    *,
    output: str | Path | None = None,
    format: str = "csv",
    encoding: str | None = None,
    everything: bool = False,
    on_article: Callable[[float, int], None] = lambda done, total: None,
) -> Segmented:
    """Segment article files and write one row per sentence, documents in the order given.

    Rows go to a file beside the output, or a temporary one, and are handed over once every
    article has been read, so memory does not grow with the number of articles and a problem
    leaves nothing behind.

    Parameters
    ----------
    paths : iterable of str or Path
        ``.txt``, ``.html`` and ``.htm`` files, and folders of them.
    output : str or Path, optional
        The file, replaced where it exists; by default standard output.
    format : {"csv", "jsonl"}
        Columns or keys are `FIELDS`; UTF-8.
    encoding : str, optional
        As `read_article` takes it.
    everything : bool
        Whether to write the furniture of the sites as well.
    on_article : callable
        Is told how many articles are done, of how many.

    Raises
    ------
    DataError
        With the problems of all articles, or where the output cannot be written.
    ConfigError
        As `read_article`, or where the output is one of the articles.
    """
    check_encoding(encoding)
    report = ProblemReport("articles", remedies=ARTICLE_REMEDIES)
    files = article_files(paths, report)
    target = None if output is None else _target(output)
    if target is not None and any(_is_one_file(target, file.path) for file in files):
        raise ConfigError(f"--output {output}: is one of the articles; give it another name")
    furniture: list[str] = []
    n_sentences = 0
    with _spool(target) as spool:
        write = _writer(spool, format)
        for done, file in enumerate(files, start=1):
            segments = read_article(file, report, encoding=encoding)
            if not everything:
                furniture += [item.text for item in segments if item.kind == FURNITURE]
                segments = [item for item in segments if item.kind != FURNITURE]
            write(file.document_id, segments)
            n_sentences += len(segments)
            on_article(done, len(files))
        report.raise_if_any()
        _hand_over(spool, target)
    return Segmented(len(files), n_sentences, tuple(furniture))


def _target(output: str | Path) -> Path:
    """Return the file to write: a link leads to the one that it names."""
    try:
        return Path(os.path.realpath(Path(output).expanduser()))
    except RuntimeError as error:
        raise _unwritable(output, error) from error


def _writer(spool: IO[bytes], format: str) -> Callable[[str, Sequence[Segment]], None]:
    """Return what writes the segments of one document, numbered anew from 0."""

    def encoded(rows: Iterable[tuple[str, int, str, str]]) -> str:
        if format == "jsonl":
            lines = (
                json.dumps(dict(zip(FIELDS, row, strict=True)), ensure_ascii=False) for row in rows
            )
            return "".join(f"{line}\n" for line in lines)
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(rows)
        return stream.getvalue()

    def write(document_id: str, segments: Sequence[Segment]) -> None:
        rows = [(document_id, at, item.text, item.kind) for at, item in enumerate(segments)]
        spool.write(encoded(rows).encode("utf-8"))

    if format == "csv":
        spool.write((",".join(FIELDS) + "\n").encode())
    return write


@contextmanager
def _spool(target: Path | None) -> Iterator[IO[bytes]]:
    """Yield a file for the rows, beside the target so that it can be renamed to it."""
    if target is None or _is_device(target):
        with tempfile.TemporaryFile() as temporary:
            yield temporary
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if target.is_dir():
            raise IsADirectoryError("is a folder, expected a file")
        stream = beside.open("xb")
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    try:
        with stream:
            yield stream
    finally:
        beside.unlink(missing_ok=True)


def _hand_over(spool: IO[bytes], target: Path | None) -> None:
    spool.flush()
    if target is None:
        spool.seek(0)
        # Bytes, so that the rows are UTF-8 whatever the terminal's encoding is.
        sys.stdout.flush()
        try:
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _unwritable("standard output", error) from error
        return
    try:
        if _is_device(target):
            spool.seek(0)
            with target.open("wb") as stream:
                shutil.copyfileobj(spool, stream)
        else:
            Path(spool.name).replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def _is_device(target: Path) -> bool:
    """Return whether the output is a pipe or a device, which a file must not take the place of."""
    try:
        return target.exists() and not target.is_file() and not target.is_dir()
    except (OSError, ValueError):
        return False


def _is_one_file(target: Path, article: Path) -> bool:
    try:
        return target.samefile(article)
    except (OSError, ValueError):
        return False


def _unwritable(target: str | Path, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DataError(f"{target}: cannot be written: {reason}")
