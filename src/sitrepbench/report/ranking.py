"""Runs ranked in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.parts import is_test_part
from sitrepbench.store.index import IndexRow

#: Rows shown of a long list.
LISTED = 30


#: Letters of what was scored: with them a table of long names fits in 80 columns.
_SCORED = 13


def ranked_rows(rows: Sequence[IndexRow]) -> list[IndexRow]:
    """Return runs best first by the macro-F1 of the part that lists show.

    That is the development part (cv, dev, all); a test part only where there is no other. Runs
    without a score come last; equal ones stand as they came.
    """
    return sorted(rows, key=lambda row: -_number(row, "macro_f1", missing=-math.inf))


def print_ranking(
    rows: Sequence[IndexRow], *, console: Console, more: str = "sitrepbench list"
) -> None:
    """Print a table of runs, best first, at 80 columns.

    Parameters
    ----------
    rows : sequence of IndexRow
        In any order; `sitrepbench.store.index.row_of` makes one of a record.
    console : Console
        Where to.
    more : str
        The command that lists what does not fit in the table.
    """
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("", "run", "scored", "macro-F1", "[low, high]", "accuracy", "key"):
        right = name in ("", "macro-F1", "accuracy")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for place, row in enumerate(ranked_rows(rows)[:LISTED], start=1):
        table.add_row(
            str(place),
            Text(row.run_name),
            Text(f"{row.dataset} {row.part}"[:_SCORED], style=test_style(row)),
            _shown(_number(row, "macro_f1")),
            Text(_interval(row)),
            _shown(_number(row, "accuracy")),
            row.key[:8],
        )
    console.print(table)
    if len(rows) > LISTED:
        console.print(f"... and {len(rows) - LISTED:,} more: {more}", highlight=False)


def test_style(row: IndexRow) -> str:
    """Return the style in which a score is shown: one of a test split stands out."""
    return "yellow" if is_test_part(row.part) else ""


def _number(row: IndexRow, metric: str, *, missing: float = math.nan) -> float:
    value = row.score(metric)
    return missing if value is None or math.isnan(value) else value


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _interval(row: IndexRow) -> str:
    low, high = _number(row, "macro_f1_low"), _number(row, "macro_f1_high")
    return "" if math.isnan(low) or math.isnan(high) else f"[{low:.3f}, {high:.3f}]"
