"""A leaderboard in the terminal, at 80 columns: the ranking first, then what lies behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.comparison.leaderboard import Leaderboard
from sitrepbench.report.leaderboard_words import (
    annotators_name,
    counted,
    findings,
    interval_text,
    row_name,
    score_text,
    seconds_text,
    statements,
    title_of,
)
from sitrepbench.wording import one_line

_WIDTH = 80
_NAME = 28
_GROUP = 9
_BEHIND, _WORST = 24, 14
#: Labels per table, and letters of their names: with the rows' names they fill 80 columns.
_LABELS, _LABEL = 5, 9


def print_leaderboard(board: Leaderboard, *, console: Console) -> None:
    """Print a leaderboard: ranking, F1 of each label, and worst domain, calibration and costs.

    Parameters
    ----------
    board : Leaderboard
    console : Console
        Where to; what it prints fits in 80 columns, without colours where it is no terminal.
    """
    _say(console, title_of(board), style="bold")
    _say(console, f"{counted(board)}, {len(board.rows)} row{'s'[: len(board.rows) != 1]}")
    if board.question:
        _say(console, f"Question: {board.question}")
    for table in (
        _ranking(board),
        *(_label_table(board, labels) for labels in _chunks(board.labels)),
        _costs(board),
    ):
        console.print()
        console.print(table)
    console.print()
    for line in (*findings(board), "", *statements(board)):
        _say(console, line)


def _say(console: Console, line: str, *, style: str = "") -> None:
    console.print(Text(line, style=style), width=min(console.width, _WIDTH))


def _table(*columns: tuple[str, str], gap: int = 2) -> Table:
    """Return a table of columns: title and ``l`` or ``r``; no cell is wrapped."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for title, side in columns:
        table.add_column(Text(title), justify="left" if side == "l" else "right", no_wrap=True)
    return table


def _ranking(board: Leaderboard) -> Table:
    table = _table(
        ("rank", "r"), ("model", "l"), ("macro-F1", "r"), ("95 % interval", "l"),
        ("group", "l"), ("s", "r"),
    )  # fmt: skip
    for row in board.rows:
        table.add_row(
            row.rank,
            Text(row_name(row, _NAME), style="cyan" if row.kind == "submission" else ""),
            score_text(row.scores.macro_f1),
            Text(interval_text(row.scores.low, row.scores.high)),
            one_line(row.letters, _GROUP),
            seconds_text(row.costs.total),
        )
    found = board.annotators
    if found is not None:
        table.add_section()
        table.add_row(
            "",
            Text(one_line(annotators_name(found), _NAME), style="italic"),
            score_text(found.macro_f1),
            Text(interval_text(found.low, found.high)),
            "",
            "",
        )
    return table


def _chunks(labels: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(labels), _LABELS):
        yield tuple(labels[start : start + _LABELS])


def _label_table(board: Leaderboard, labels: Sequence[str]) -> Table:
    columns = [(one_line(label)[:_LABEL], "r") for label in labels]
    table = _table(("F1 of each label", "l"), *columns)
    for row in board.rows:
        cells = [score_text(row.scores.per_label[label]) for label in labels]
        table.add_row(Text(row_name(row, _NAME)), *cells)
    if board.annotators is not None:
        cells = [score_text(board.annotators.per_label[label]) for label in labels]
        table.add_section()
        table.add_row(Text(annotators_name(board.annotators), style="italic"), *cells)
    return table


def _costs(board: Leaderboard) -> Table:
    table = _table(
        ("", "l"), ("worst conflict", "l"), ("ECE", "r"), ("AURC", "r"), ("fit s", "r"),
        ("pred", "r"), ("search", "r"), ("looks", "r"), gap=1,
    )  # fmt: skip
    for row in board.rows:
        worst = f"{score_text(row.scores.worst_domain_macro_f1)} {row.scores.worst_domain}".strip()
        table.add_row(
            Text(row_name(row, _BEHIND)),
            Text(one_line(worst, _WORST)),
            score_text(row.classwise_ece),
            score_text(row.aurc),
            seconds_text(row.costs.fit),
            seconds_text(row.costs.predict),
            seconds_text(row.costs.search),
            str(row.looks.total),
        )
    return table
