"""Texts of others' making, fit for a line of a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size


def one_line(text: str, most: int | None = None) -> str:
    r"""Return a text on one line, without control characters, cut to so many cells.

    >>> one_line("an  error\nwith \x1b[31mcolour", 20)
    'an error with [31...'
    """
    if text.isascii() and text.isprintable() and " " not in text and len(text) <= (most or 0):
        return text  # most of the cells of a long list
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if most is None or cell_len(plain) <= most:
        return plain
    return set_cell_size(plain, most) if most < 6 else set_cell_size(plain, most - 3) + "..."


@dataclass(frozen=True)
class FailedLine:
    """A failed run in a list: its name, why it failed, and the command that repeats it."""

    name: str
    kind: str
    message: str
    command: str

    @property
    def cause(self) -> str:
        """The error's kind and message, as one text."""
        return f"{self.kind}: {self.message}"
