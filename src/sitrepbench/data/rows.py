"""What every reader returns, and the checks of bytes and characters that they share."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.errors import ConfigError, did_you_mean

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1", "cp1251", "cp1256")

#: Longest first: the mark of UTF-32 LE starts with that of UTF-16 LE.
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32 (little-endian)", "utf-32"),
    (codecs.BOM_UTF32_BE, "UTF-32 (big-endian)", "utf-32"),
    (codecs.BOM_UTF16_LE, "UTF-16 (little-endian)", "utf-16"),
    (codecs.BOM_UTF16_BE, "UTF-16 (big-endian)", "utf-16"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Rows:
    """The rows of a file, before anything is known about their meaning.

    Parameters
    ----------
    columns : dict of str to list
        The values by column, all of one length.
    numbers : sequence of int
        The number of each row in the file, from 1, without the header.
    lines : sequence of int or None
        The line on which each row starts, from 1; None where the file has no lines.
    """

    columns: dict[str, list[object]]
    numbers: Sequence[int]
    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def line(self, index: int) -> int | None:
        """Return the line of the row at ``index``."""
        return None if self.lines is None else self.lines[index]

    def place(self, index: int) -> str:
        """Return ``row 3 (line 4)`` for the row at ``index``."""
        line = self.line(index)
        return f"row {self.numbers[index]}" + ("" if line is None else f" (line {line})")


def check_encoding(encoding: str, *, option: str = "dataset.encoding") -> str:
    """Return the name under which Python knows an encoding of text.

    Raises
    ------
    ConfigError
        When it knows none; the message names the option that gives it.
    """
    try:
        name = codecs.lookup(encoding).name
        # Codecs such as base64 are known but do not give text; they say so on use.
        with contextlib.suppress(UnicodeError):
            b"0000".decode(name)
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"{option}: unknown encoding {shown(encoding)}."
            f"{did_you_mean(encoding, ENCODINGS)} Usual ones: {', '.join(ENCODINGS)}"
        ) from error
    return name


def decode(data: bytes, encoding: str, report: ProblemReport) -> str | None:
    """Return the text of a file; bytes that are not UTF-8 stand in it as lone surrogates.

    So the readers can go on and `character_flaws` can tell row and column of each.

    Returns
    -------
    str or None
        None where the rest cannot be read; the report then says why.

    Raises
    ------
    ConfigError
        When the encoding is not known.
    """
    canonical = check_encoding(encoding)
    if not data:
        report.add("empty_file", "the file has no bytes at all")
        return None
    if canonical in ("utf-8", "utf-8-sig"):
        for mark, name, remedy in _WIDE_MARKS:
            if data.startswith(mark):
                report.add(
                    "byte_order_mark",
                    f"starts with the byte-order mark of {name}, expected {encoding}: its "
                    f"encoding is {remedy}",
                )
                return None
    if canonical != "utf-8-sig" and data.startswith(codecs.BOM_UTF8):
        report.add(
            "byte_order_mark",
            "starts with the byte-order mark of UTF-8: its encoding is utf-8-sig",
        )
        data = data[len(codecs.BOM_UTF8) :]
    try:
        handler = "surrogateescape" if canonical.startswith("utf-8") else "strict"
        text = data.decode(canonical, handler)
    except UnicodeError as error:
        report.add("invalid_encoding", f"is not {encoding}: {error}")
        return None
    if text.startswith("\ufeff"):
        report.add("byte_order_mark", f"has a byte-order mark that {encoding} does not take off")
        text = text[1:]
    return text


def character_flaws(value: str) -> Iterator[tuple[str, str]]:
    """Yield code and message of what no text may hold: NULs and bytes that are not UTF-8."""
    nul = value.find("\0")
    if nul >= 0:
        yield "nul_byte", f"NUL at character {nul + 1} of {shown(value)}"
    match = _SURROGATE.search(value)
    if match:
        point = ord(match.group())
        what = (
            f"byte 0x{point - 0xDC00:02X}"
            if 0xDC80 <= point <= 0xDCFF
            else f"half a surrogate pair (U+{point:04X})"
        )
        yield (
            "invalid_utf8",
            f"{what} at character {match.start() + 1} is not UTF-8: {shown(value)}",
        )


def has_character_flaws(values: Sequence[str]) -> bool:
    """Return whether any of the values has a flaw; fast where none has."""
    joined = "\n".join(values)
    if "\0" in joined:
        return True
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
