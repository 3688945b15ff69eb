"""Runs ranked in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.predictions import is_test_part
from sitrepbench.store.record import RunRecord

#: Rows shown of a long list.
LISTED = 30


def ranked(records: Sequence[RunRecord]) -> list[tuple[RunRecord, str]]:
    """Return each run with the part that it is ranked by, best macro-F1 first.

    Ranked by the development part (cv, dev, all); a test part only where there is no other.
    """
    rows = []
    for record in records:
        part = min(record.scores, key=lambda name: (is_test_part(name), name))
        rows.append((record, part))
    return sorted(rows, key=lambda row: _rank(row[0].scores[row[1]]["macro_f1"]))


def _rank(score: float) -> float:
    return math.inf if math.isnan(score) else -score


def print_ranking(records: Sequence[RunRecord], *, console: Console) -> None:
    """Print a table of runs, best first, at 80 columns."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("", "run", "scored", "macro-F1", "[low, high]", "accuracy", "key"):
        right = name in ("", "macro-F1", "accuracy")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    rows = ranked(records)
    for place, (record, part) in enumerate(rows[:LISTED], start=1):
        scores = record.scores[part]
        table.add_row(
            str(place),
            Text(record.run_name),
            Text(f"{record.dataset['name']} {part}"[:18]),
            f"{scores['macro_f1']:.3f}",
            Text(_interval(scores)),
            f"{scores['accuracy']:.3f}",
            record.key[:8],
        )
    console.print(table)
    if len(rows) > LISTED:
        console.print(f"... and {len(rows) - LISTED} more: sitrepbench list", highlight=False)


def _interval(scores: dict[str, float]) -> str:
    low, high = scores["macro_f1_low"], scores["macro_f1_high"]
    return "" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"
