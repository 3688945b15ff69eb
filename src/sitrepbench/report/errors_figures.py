"""Figures of an error analysis: confusions, and scores of groups; the same bytes every time."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from sitrepbench.analysis.errors import ErrorAnalysis
from sitrepbench.analysis.slices import BETTER, WORSE
from sitrepbench.wording import one_line

_COLOURS = {WORSE: "#D55E00", BETTER: "#009E73"}
_PLAIN = "#555555"
#: Confusions of more labels than these are not written into their cells.
_WRITTEN_LABELS = 12


def errors_figures(analysis: ErrorAnalysis) -> dict[str, Callable[[str], bytes]]:
    """Return each figure's name with what draws it as ``svg`` or ``png``."""
    drawn: dict[str, Callable[[ErrorAnalysis], Figure]] = {"confusion": _confusion}
    if len(analysis.slices.table):
        drawn["groups"] = _groups

    def drawing(draw: Callable[[ErrorAnalysis], Figure]) -> Callable[[str], bytes]:
        return lambda kind: _written(draw, analysis, kind)

    return {name: drawing(draw) for name, draw in drawn.items()}


def _written(draw: Callable[[ErrorAnalysis], Figure], analysis: ErrorAnalysis, kind: str) -> bytes:
    with matplotlib.rc_context({"font.size": 9, "svg.hashsalt": "sitrepbench"}):
        figure = draw(analysis)
        # Never a window's canvas: the program may run without a display.
        (FigureCanvasSVG if kind == "svg" else FigureCanvasAgg)(figure)
        data = io.BytesIO()
        named = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(data, format=kind, dpi=130, metadata=named)
    return data.getvalue()


def _confusion(analysis: ErrorAnalysis) -> Figure:
    counts = analysis.confusion.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    names = [one_line(name, 24) for name in analysis.labels]
    side = 1.9 + 0.62 * len(names)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="gold")
    if len(names) <= _WRITTEN_LABELS:
        for (row, column), share in np.ndenumerate(shares):
            axes.text(
                column,
                row,
                f"{counts[row, column]:.0f}\n{100 * share:.0f} %",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if share > 0.55 else "black",
            )
    axes.set_title(f"{_title(analysis)}\nsentences, and share of the gold label", fontsize=9)
    return figure


def _groups(analysis: ErrorAnalysis) -> Figure:
    rows = analysis.slices.table.to_dict("records")[::-1]
    figure = Figure(figsize=(9.5, 1.7 + 0.23 * len(rows)), layout="constrained")
    sides = figure.subplots(1, 2, sharey=True)
    whole = {"error_rate": analysis.error_rate}
    for axes, name, told in zip(
        sides, ("error_rate", "macro_f1"), ("error rate", "macro-F1"), strict=True
    ):
        for at, row in enumerate(rows):
            if not math.isfinite(row[name]):
                continue
            colour = _COLOURS.get(row["verdict"], _PLAIN)
            if math.isfinite(row[f"{name}_low"]):
                ends = [row[f"{name}_low"], row[f"{name}_high"]]
                axes.plot(ends, [at, at], color=colour, linewidth=1.3)
            axes.plot([row[name]], [at], "o", color=colour, markersize=4)
        if name in whole:
            axes.axvline(whole[name], color="black", linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, 1), xlabel=f"{told}, 95 % interval by documents")
        axes.grid(axis="x", alpha=0.3)
        for at in range(1, len(rows)):
            if rows[at]["by"] != rows[at - 1]["by"]:
                axes.axhline(at - 0.5, color="#CCCCCC", linewidth=0.8)
    labels = [
        f"{one_line(str(row['by']), 18)}: {one_line(str(row['group']), 24)} ({row['sentences']})"
        for row in rows
    ]
    sides[0].set_yticks(range(len(rows)), labels)
    sides[0].set_ylim(-0.7, len(rows) - 0.3)
    note = "orange: worse than all other sentences, green: better; grey: cannot be told"
    figure.suptitle(f"{_title(analysis)}\n{note}", fontsize=9)
    return figure


def _title(analysis: ErrorAnalysis) -> str:
    # A dollar sign would begin a formula.
    title = f"{analysis.run_name}: {analysis.dataset}, {analysis.part}"
    return one_line(title, 70).replace("$", r"\$")
