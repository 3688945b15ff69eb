"""A leaderboard's figures: rank intervals, and cost against quality; the same bytes every time."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sitrepbench.comparison.leaderboard import Leaderboard, Row
from sitrepbench.report.dataset_figure import COLOURS
from sitrepbench.report.leaderboard_words import annotators_name, row_name

_RUN, _SUBMISSION, _TIED, _AGREE = COLOURS[2], COLOURS[0], COLOURS[3], "#777777"
_NAME = 32


def draw_leaderboard(board: Leaderboard) -> str:
    """Return both figures, one above the other, as SVG."""
    return _svg(board, _both)


def draw_ranks(board: Leaderboard) -> str:
    """Return the rank intervals, a row per row of the board, as SVG."""
    return _svg(board, _ranks_figure)


def draw_costs(board: Leaderboard) -> str:
    """Return macro-F1 over fit and predict seconds as SVG; empty where no cost is known."""
    return _svg(board, _costs_figure) if any(row.costs.known for row in board.rows) else ""


def draw_leaderboard_png(board: Leaderboard) -> bytes:
    """Return both figures as PNG."""
    content = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        _both(board).savefig(content, format="png", dpi=150, metadata={"Software": None})
    return content.getvalue()


_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.hashsalt": "sitrepbench",
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
    # Names are of others' making: a dollar sign is no formula.
    "text.parse_math": False,
}


def _svg(board: Leaderboard, draw: Callable[[Leaderboard], Figure]) -> str:
    text = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        # Without a date, and with ids from a fixed salt.
        draw(board).savefig(text, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _height(board: Leaderboard) -> float:
    return 1.3 + 0.26 * len(board.rows)


def _both(board: Leaderboard) -> Figure:
    ranks = _height(board)
    figure = Figure(figsize=(8, ranks + 4.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(ranks, 4.0))
    _ranks(upper, board)
    _costs(lower, board)
    figure.suptitle(f"{board.study}, {board.part}", fontsize=10)
    return figure


def _ranks_figure(board: Leaderboard) -> Figure:
    figure = Figure(figsize=(8, _height(board)), layout="constrained")
    _ranks(figure.subplots(), board)
    return figure


def _costs_figure(board: Leaderboard) -> Figure:
    figure = Figure(figsize=(8, 4.0), layout="constrained")
    _costs(figure.subplots(), board)
    return figure


def _colour(row: Row) -> str:
    if row.kind == "submission":
        return _SUBMISSION
    return _TIED if row.is_tied_with_best else _RUN


def _ranks(axes: Axes, board: Leaderboard) -> None:
    places = range(len(board.rows))[::-1]
    for rank, (place, row) in enumerate(zip(places, board.rows, strict=True), start=1):
        colour = _colour(row)
        axes.plot([row.best_rank, row.worst_rank], [place, place], color=colour, linewidth=2.2,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot([rank], [place], "o", color=colour, markersize=4.5)
    names = [
        f"{row_name(row, _NAME)}  {row.scores.macro_f1:.3f}  {number:2d}"
        for number, row in enumerate(board.rows, start=1)
    ]
    axes.set_yticks(list(places), names)
    axes.set_ylim(-0.6, len(board.rows) - 0.4)
    axes.set_xlim(0.5, len(board.rows) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel(
        "rank by macro-F1, with the 95 % interval of all rows at once; green: tied with the best"
    )


def _costs(axes: Axes, board: Leaderboard) -> None:
    places = {row.name: place for place, row in enumerate(board.rows, start=1)}
    known = [row for row in board.rows if row.costs.known]
    costs = [max(row.costs.total, 1e-3) for row in known]
    for row, cost in zip(known, costs, strict=True):
        colour = _colour(row)
        if math.isfinite(row.scores.low):
            axes.plot(
                [cost, cost],
                [row.scores.low, row.scores.high],
                color=colour,
                linewidth=1,
                alpha=0.5,
            )
        axes.plot([cost], [row.scores.macro_f1], "o", color=colour, markersize=5)
        axes.annotate(str(places[row.name]), (cost, row.scores.macro_f1), fontsize=7,
                      xytext=(4, 3), textcoords="offset points")  # fmt: skip
    _frontier(axes, known, costs)
    for row in board.rows:
        if not row.costs.known:
            axes.axhline(row.scores.macro_f1, color=_colour(row), linewidth=1, linestyle=":")
            axes.annotate(row_name(row, _NAME), (0.01, row.scores.macro_f1), fontsize=7,
                          xycoords=("axes fraction", "data"), va="bottom")  # fmt: skip
    if board.annotators is not None:
        axes.axhline(board.annotators.macro_f1, color=_AGREE, linewidth=1, linestyle="--")
        axes.annotate(annotators_name(board.annotators), (0.99, board.annotators.macro_f1),
                      xycoords=("axes fraction", "data"), ha="right", va="top", fontsize=7,
                      color=_AGREE)  # fmt: skip
    if known:
        axes.set_xscale("log")
        # Powers of ten would be formulas.
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("fit and predict (s, mean per run); numbers as in the ranking")
    axes.set_ylabel("macro-F1, 95 % interval")


def _frontier(axes: Axes, rows: Sequence[Row], costs: Sequence[float]) -> None:
    """Join the rows that no cheaper row beats."""
    best, corners = -math.inf, []
    for cost, row in sorted(zip(costs, rows, strict=True), key=lambda pair: pair[0]):
        if row.scores.macro_f1 > best:
            best = row.scores.macro_f1
            corners.append((cost, best))
    axes.step(
        [cost for cost, _ in corners],
        [score for _, score in corners],
        where="post",
        color=_AGREE,
        linewidth=0.8,
    )
