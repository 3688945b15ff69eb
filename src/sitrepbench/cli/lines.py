"""Plain lines for long lists: rich takes a millisecond per row, and lists have thousands."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from sitrepbench.wording import one_line as one_line

WIDTH = 80
_GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column: its title, the most cells that it takes, and whether it holds numbers."""

    title: str
    most: int
    numbers: bool = False


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without colours; what is longer than its column is cut."""
    cells = [[one_line(cell, column.most) for column, cell in zip(columns, row, strict=True)]
             for row in rows]  # fmt: skip
    widths = [
        max(cell_len(column.title), *(cell_len(row[at]) for row in cells), 0)
        for at, column in enumerate(columns)
    ]
    lines = [_GAP.join(_fit(c.title, w, c.numbers) for c, w in zip(columns, widths, strict=True))]
    lines.append("─" * cell_len(lines[0]))
    for row in cells:
        fitted = zip(row, widths, columns, strict=True)
        lines.append(_GAP.join(_fit(cell, width, column.numbers) for cell, width, column in fitted))
    print_lines(lines)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines in one write, whatever the terminal can show of them."""
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end="")


def command_lines(command: str, *, indent: str = "  ") -> list[str]:
    r"""Return a command on lines of 80 columns that a shell takes as they stand.

    >>> command_lines("sitrepbench run -m model=a,b")
    ['  sitrepbench run -m model=a,b']
    """
    try:
        words = [shlex.quote(word) for word in shlex.split(command)]
    except ValueError:
        return [indent + command]
    lines, line = [], indent
    for word in words:
        if line.strip() and len(line) + len(word) + 3 > WIDTH:
            lines.append(f"{line}\\")
            line = f"{indent}    "
        line += f"{word} "
    return [*lines, line.rstrip()]


def paragraph_lines(text: str, *, indent: str = "") -> list[str]:
    """Return a message on lines of 80 columns; its own line breaks stay."""
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(
            one_line(line),
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def moment(time: str) -> str:
    """Return an ISO 8601 time as month, day, hour and minute.

    >>> moment("2026-11-23T02:28:09+00:00")
    '11-23 02:28'
    """
    return time[5:16].replace("T", " ")


def _fit(text: str, width: int, right: bool) -> str:
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank
