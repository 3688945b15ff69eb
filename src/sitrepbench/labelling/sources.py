"""Where an input comes from: a file, perhaps gzipped, or standard input; read piece by piece."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, get_args

from sitrepbench.errors import ConfigError, DataError, did_you_mean

Format = Literal["text", "csv", "tsv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: Standard input, and standard output.
STANDARD = "-"
#: Characters of one field at most; the csv module's own limit. A sentence has some hundred.
MAX_FIELD = 131_072
#: Bytes of one line at most. What is longer is no table of sentences, and would fill the memory.
MAX_LINE = 4 * 2**20

_PIECE = 2**20
_SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
#: Longest first: the mark of UTF-32 LE starts with that of UTF-16 LE.
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def format_of(name: str, given: str | None = None, *, option: str = "--format") -> Format:
    """Return the format of a file: as given, else by its suffix; CSV for standard input.

    Raises
    ------
    ConfigError
        When the name tells none.

    >>> format_of("sentences.jsonl.gz")
    'jsonl'
    """
    if given is not None:
        for known in FORMATS:
            if given == known:
                return known
        raise ConfigError(
            f"{option}: unknown format {given!r}.{did_you_mean(given, FORMATS)} "
            f"Known: {', '.join(FORMATS)}"
        )
    if name == STANDARD:
        return "csv"
    path = Path(name)
    packed = path.suffix.casefold() == ".gz"
    if packed:
        path = path.with_suffix("")
    try:
        found = _SUFFIXES[path.suffix.casefold()]
        if packed and found == "parquet":
            raise ConfigError(f"{name}: Parquet is compressed by itself; unpack it first")
        return found
    except KeyError:
        raise ConfigError(
            f"{name}: the name tells no format, expected one of {', '.join(_SUFFIXES)} (text "
            f"formats also with .gz); give {option} {{{'|'.join(FORMATS)}}}"
        ) from None


@dataclass(frozen=True)
class Source:
    """An open input.

    Parameters
    ----------
    name : str
        As messages call it.
    stream : binary file
        What is read, decompressed.
    under : binary file or None
        The file itself, whose position tells how far reading has come; None for standard input.
    size : int
        The bytes of the file itself; 0 where it is not known.
    """

    name: str
    stream: IO[bytes]
    under: IO[bytes] | None
    size: int

    @property
    def share(self) -> float | None:
        """How much was read, from 0 to 1; None where the size is not known."""
        if self.under is None or not self.size:
            return None
        return min(1.0, self.under.tell() / self.size)


@contextmanager
def opened(name: str) -> Iterator[Source]:
    """Open an input for the time of a ``with`` block.

    Raises
    ------
    DataError
        When there is no such file, or it cannot be read.
    """
    if name == STANDARD:
        yield Source("standard input", sys.stdin.buffer, None, 0)
        return
    path = Path(name)
    try:
        if path.is_dir():
            raise DataError(f"{name}: is a folder, expected a file")
        under = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{name}: cannot be read: {error}") from error
    with under:
        size = path.stat().st_size if path.is_file() else 0
        if path.suffix.casefold() == ".gz":
            with gzip.GzipFile(fileobj=under) as unpacked:
                yield Source(name, unpacked, under, size)  # type: ignore[arg-type]
        else:
            yield Source(name, under, under, size)


def pieces(source: Source) -> Iterator[str]:
    """Yield the text of an input in pieces of about a megabyte that end where a line ends.

    Bytes that are not UTF-8 stand in it as lone surrogates. A byte-order mark of UTF-8 is left
    out.

    Raises
    ------
    DataError
        When a line is longer than `MAX_LINE`, when the file is damaged, or in UTF-16.
    """
    lines, rest, first = 0, b"", True
    while piece := _read(source):
        data = rest + piece
        if first:
            for mark, encoding in _WIDE_MARKS:
                if data.startswith(mark):
                    raise DataError(
                        f"{source.name}: starts with the byte-order mark of {encoding}, expected "
                        f"UTF-8. Convert it first: iconv -f {encoding} -t UTF-8 FILE"
                    )
            data, first = data.removeprefix(codecs.BOM_UTF8), False
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            lines += data.count(b"\n")
            yield data[:end].decode("utf-8", "surrogateescape")
        if len(rest) > MAX_LINE:
            raise DataError(
                f"{source.name}: line {lines + 1} is longer than {MAX_LINE:,} bytes; expected a "
                "file of lines that end in a line feed, with at most "
                f"{MAX_FIELD:,} characters in a field"
            )
    if rest:
        yield rest.decode("utf-8", "surrogateescape")


def is_empty(source: Source) -> bool:
    """Return whether there is nothing at all to read."""
    stream = source.stream
    if not isinstance(stream, io.BufferedReader | gzip.GzipFile):
        return False
    try:
        return not stream.peek(1)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(source, error) from error


def _read(source: Source) -> bytes:
    stream = source.stream
    try:
        # What a pipe has, as soon as it has it.
        read = getattr(stream, "read1", stream.read)
        return bytes(read(_PIECE))
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(source, error) from error


def _damaged(source: Source, error: Exception) -> DataError:
    return DataError(f"{source.name}: cannot be read on: {error or type(error).__name__}")
