"""What can be wrong with a file: collected in full, reported once, tolerated only by name."""

from __future__ import annotations

import heapq
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sitrepbench.errors import ConfigError, DataError, did_you_mean

#: How many problems a message lists one by one.
SHOWN = 20

#: Every code and what to do about it.
REMEDIES = MappingProxyType(
    {
        "missing_file": "check the path; it is relative to where the command is started",
        "unreadable_file": "check that the path names a file that you may read",
        "checksum_mismatch": "the file is not the one that the card describes: fetch it again, "
        "or, if it was changed on purpose, raise the card's version and write the new sha256",
        "path_escape": "a card may only name files in its own folder",
        "empty_file": "give a file with a header and at least one sentence",
        "byte_order_mark": "name the encoding with dataset.encoding=NAME, or save the file as "
        "UTF-8 without the mark",
        "invalid_utf8": "save the file as UTF-8, or name the encoding that it has, such as "
        "dataset.encoding=cp1252",
        "invalid_encoding": "name the encoding that the file has with dataset.encoding=NAME",
        "nul_byte": "take the NUL out; it usually comes from a damaged copy or from UTF-16",
        "bad_quoting": 'a field with a quote is written "like ""this"""; where quotes are plain '
        "text, give dataset.quoting=none",
        "long_field": "close the quote that is left open, or split the field",
        "ragged_row": "give every row as many fields as the header; quote fields that hold the "
        "separator",
        "duplicate_column": "give every column a name of its own",
        "invalid_json": "write one JSON object per line",
        "duplicate_key": "give every key of an object once",
        "invalid_parquet": "write the file again, or name its format with dataset.format=FORMAT",
        "missing_column": "name the column with dataset.columns.FIELD=NAME (in a card: columns)",
        "missing_value": "fill it in, or take the row out",
        "wrong_type": "write it as text (ids and labels may be whole numbers)",
        "empty_text": "fill the text in, or take the row out",
        "long_text": "a row is one sentence: split it, or tolerate it with "
        "dataset.allow=[long_text]",
        "duplicate_id": "give every sentence an id of its own",
        "unknown_label": "map the label with +dataset.label_map.FOUND=LABEL, or correct the file",
        "bad_secondary": "secondary labels are other reports than the label, never background",
        "conflicting_labels": "decide for one label, or tolerate it with "
        "dataset.allow=[conflicting_labels]",
        "invalid_position": "positions are whole numbers from 0",
        "unknown_split": "declare the split in the card, or correct the file",
        "missing_split": "a split that the card declares has to have rows",
        "wrong_count": "correct the card, or complete the file",
        "invalid_yaml": "correct the YAML; text with a colon in it needs quotes",
        "unknown_field": "take the field out, or correct its spelling",
        "missing_field": "add the field",
        "invalid_value": "correct the value",
    }
)

#: The same for what is read without the options that name encoding, quoting and format.
REMEDIES_WITHOUT_OPTIONS = MappingProxyType(
    {
        **REMEDIES,
        "byte_order_mark": "save the file as UTF-8 without the mark",
        "invalid_utf8": "save the file as UTF-8",
        "invalid_encoding": "save the file as UTF-8",
        "bad_quoting": 'a field with a quote is written "like ""this"""',
        "invalid_parquet": "write the file again",
    }
)

#: The codes that can be tolerated, with the sentence that becomes a note.
TOLERABLE = MappingProxyType(
    {
        "conflicting_labels": "row(s) bear a label that an equal text elsewhere does not",
        "long_text": "text(s) are longer than a sentence",
    }
)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input.

    Parameters
    ----------
    code : str
        A key of `REMEDIES`.
    message : str
        What was found and what was expected.
    row : int or None
        The data row, counted from 1 without the header; None where it is not about a row.
    line : int or None
        The line of a text file, counted from 1, on which the row starts.
    column : str or None
        The column or key that it is about.
    """

    code: str
    message: str
    row: int | None = None
    line: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        place = ""
        if self.row is not None:
            place = f"row {self.row}"
        if self.line is not None:
            place += f" (line {self.line})" if place else f"line {self.line}"
        if self.column is not None:
            place += f", {self.column}" if place else self.column
        return f"{place}: {self.message}" if place else self.message

    @property
    def order(self) -> tuple[int, int]:
        """What is listed first: the file itself, then its rows."""
        return (self.row or 0, self.line or 0)


class ProblemReport:
    """Collects the problems of one input and raises them as one error.

    Only the first `SHOWN` of each code are kept as text, the rest are counted, so that a file
    with a million bad rows costs no more than reading it.

    Parameters
    ----------
    source : str
        The input as the message names it.
    allow : iterable of str
        The codes to tolerate; they become `notes`.
    remedies : mapping
        What to do, by code; for a dataset if nothing else is said.

    Raises
    ------
    ConfigError
        When ``allow`` names a code that does not exist or cannot be tolerated.
    """

    def __init__(
        self,
        source: str,
        *,
        allow: Iterable[str] = (),
        remedies: Mapping[str, str] = REMEDIES,
    ) -> None:
        self.source = source
        self._remedies = remedies
        self._allowed = check_allowed(allow)
        self._counts: dict[str, int] = {}
        self._kept: dict[str, list[Problem]] = {}

    def add(
        self,
        code: str,
        message: str,
        *,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        """Add one problem."""
        self._counts[code] = self._counts.get(code, 0) + 1
        kept = self._kept.setdefault(code, [])
        kept.append(Problem(code, message, row, line, column))
        if len(kept) > 4 * SHOWN:
            self._kept[code] = _first(kept)

    def add_rows(
        self,
        code: str,
        indices: Sequence[int],
        describe: Callable[[int], Problem],
    ) -> None:
        """Add a problem for each of the ascending ``indices``, describing the first ones only."""
        if not indices:
            return
        self._counts[code] = self._counts.get(code, 0) + len(indices)
        kept = self._kept.setdefault(code, [])
        kept.extend(describe(index) for index in indices[:SHOWN])

    def count(self, code: str) -> int:
        """Return how many problems of a code were found, tolerated or not."""
        return self._counts.get(code, 0)

    @property
    def problems(self) -> list[Problem]:
        """The first `SHOWN` problems, tolerated or not."""
        return _first([problem for kept in self._kept.values() for problem in kept])

    @property
    def notes(self) -> tuple[str, ...]:
        """One line per tolerated code that occurred."""
        lines = []
        for code, sentence in TOLERABLE.items():
            if code in self._allowed and code in self._counts:
                first = _first(self._kept[code])[0]
                lines.append(
                    f"{self._counts[code]:,} {sentence} (tolerated as {code}; first: {first})"
                )
        return tuple(lines)

    def raise_if_any(self) -> None:
        """Raise one `DataError` with all problems that are not tolerated; else return.

        Raises
        ------
        DataError
            Its text lists the first `SHOWN` problems, counts the rest and says what to do.
        """
        codes = [code for code in self._counts if code not in self._allowed]
        if codes:
            raise DataError(self._text(codes))

    def _text(self, codes: list[str]) -> str:
        total = sum(self._counts[code] for code in codes)
        shown = _first([problem for code in codes for problem in self._kept[code]])
        lines = [f"{self.source}: {total:,} {'problem' if total == 1 else 'problems'}"]
        lines += [f"  {problem}" for problem in shown]
        if total > len(shown):
            rest = {code: self._counts[code] for code in codes}
            for problem in shown:
                rest[problem.code] -= 1
            listed = ", ".join(f"{count:,} {code}" for code, count in rest.items() if count)
            lines.append(f"  and {total - len(shown):,} more: {listed}")
        lines.append("What to do:")
        lines += [f"  {code} ({self._counts[code]:,}): {self._remedies[code]}" for code in codes]
        # A path or a name may hold what cannot be printed.
        return "\n".join(lines).encode("utf-8", "backslashreplace").decode()


def check_allowed(allow: Iterable[str]) -> frozenset[str]:
    """Return the codes to tolerate as a set.

    Raises
    ------
    ConfigError
        When one does not exist or cannot be tolerated.
    """
    if isinstance(allow, str):
        raise ConfigError(f"dataset.allow: expected a list of codes such as [{allow}]")
    found = []
    allowed = frozenset(str(code) for code in allow)
    for code in sorted(allowed - set(TOLERABLE)):
        if code in REMEDIES:
            found.append(f"dataset.allow: {code!r} cannot be tolerated")
        else:
            suggestion = did_you_mean(code, TOLERABLE)
            found.append(f"dataset.allow: unknown problem code {code!r}.{suggestion}")
    if found:
        listed = ", ".join(TOLERABLE)
        raise ConfigError("\n".join([*found, f"What can be tolerated: {listed}"]))
    return allowed


def shown(value: object, *, limit: int = 60) -> str:
    """Return a value as messages print it: quoted, escaped and shortened.

    >>> shown("a" * 100, limit=20)
    "'aaaaaaa...aaaaaaaa'"
    """
    if isinstance(value, int) and value.bit_length() > 4 * limit:
        return "an integer too long to print"
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = limit
    short.maxlevel = 2
    return short.repr(value)


def _first(problems: Iterable[Problem]) -> list[Problem]:
    return heapq.nsmallest(SHOWN, problems, key=lambda problem: problem.order)
