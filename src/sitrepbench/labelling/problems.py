"""What can be wrong with a row that is to be labelled, and what to do about it."""

from __future__ import annotations

from types import MappingProxyType

from sitrepbench.data.problems import ProblemReport
from sitrepbench.errors import DataError

#: What can be done about any of them.
ANY = "or leave such rows out with --on-error=skip (in Python: on_error='skip')"

REMEDIES = MappingProxyType(
    {
        "ragged_row": "give every row as many fields as the header; quote fields that hold the "
        "separator",
        "bad_quoting": 'a field with a quote is written "like ""this"""',
        "long_field": "close the quote that is left open, or split the text",
        "invalid_utf8": "save the file as UTF-8",
        "nul_byte": "take the NUL out",
        "empty_text": "fill the text in, or take the row out",
        "missing_value": "fill it in, or take the row out",
        "wrong_type": "write it as text; ids may be whole numbers",
        "invalid_json": "write one JSON object per line",
        "duplicate_key": "give every key of an object once",
        "unknown_key": "write JSON Lines (--output-format jsonl), or give all rows the keys of "
        "the first",
        "name_clash": "rename it: the predictions get this name",
        "invalid_position": "positions are whole numbers from 0",
    }
)


def new_report(source: str) -> ProblemReport:
    """Return an empty report on the rows of an input."""
    return ProblemReport(source, remedies=REMEDIES)


def count_of(report: ProblemReport) -> int:
    """Return how many problems were found."""
    return sum(report.count(code) for code in REMEDIES)


def text_of(report: ProblemReport) -> str:
    """Return what a report says; empty where there is nothing to say."""
    try:
        report.raise_if_any()
    except DataError as error:
        return str(error)
    return ""
