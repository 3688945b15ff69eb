"""A study's figure: a ranking, a learning curve, or held-out groups; the same bytes every time."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitrepbench.parts import shown_part
from sitrepbench.report.dataset_figure import COLOURS
from sitrepbench.report.study_runs import (
    REFERENCE,
    StudyRun,
    held_out_groups,
    holding_out,
    parts_of,
    ranked,
)

_MARKS = "osD^vP*X"


def draw_study(runs: Sequence[StudyRun], *, title: str) -> str:
    """Return the study's figure as SVG.

    A study whose runs differ in how many documents they train on gives a curve; one that holds
    out groups a row per group; any other a row per run.
    """
    with matplotlib.rc_context(
        {"font.size": 9, "svg.hashsalt": "sitrepbench", "axes.grid": True, "grid.alpha": 0.3}
    ):
        if is_curve(runs):
            figure = _curve(runs)
        elif holding_out(runs):
            figure = _groups(holding_out(runs), runs)
        else:
            figure = _ranking(runs)
        figure.suptitle(title, fontsize=10)
        text = io.StringIO()
        # Without a date, and with ids from a fixed salt.
        figure.savefig(text, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def is_curve(runs: Sequence[StudyRun]) -> bool:
    """Return whether runs of the same model differ in their number of training documents."""
    sizes: dict[tuple[str, str], set[float]] = {}
    for run in runs:
        if run.names["protocol"] == "learning_curve":
            sizes.setdefault(run.setting, set()).add(run.training_documents)
    return any(len(found) > 1 for found in sizes.values())


def _ranking(runs: Sequence[StudyRun]) -> Figure:
    parts, order = parts_of(runs), ranked(runs)[::-1]
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(order)), layout="constrained")
    axes = figure.subplots()
    step = 0.6 / max(1, len(parts))
    for number, part in enumerate(parts):
        places = [at + (len(parts) - 1 - 2 * number) / 2 * step for at in range(len(order))]
        _dots(axes, order, part, places, number)
    axes.set_yticks(range(len(order)), [run.label for run in order])
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlabel("macro-F1, with the 95 % interval by documents")
    axes.set_xlim(0, 1)
    _legend(axes, len(parts) > 1)
    return figure


def _dots(
    axes: Axes, runs: Sequence[StudyRun], part: str, places: Sequence[float], number: int
) -> None:
    colour = COLOURS[(number + 2) % len(COLOURS)]
    for at, (run, place) in enumerate(zip(runs, places, strict=True)):
        summary = run.summaries.get(part)
        if summary is None:
            continue
        low, high = summary.intervals["macro_f1"]
        if math.isfinite(low):
            axes.plot([low, high], [place, place], color=colour, linewidth=1.4)
        axes.plot(
            [summary.metrics["macro_f1"]],
            [place],
            _MARKS[number % len(_MARKS)],
            color=colour,
            markersize=4.5,
            label=part if at == 0 else None,
        )


def _curve(runs: Sequence[StudyRun]) -> Figure:
    part = shown_part(parts_of(runs))
    settings = list(dict.fromkeys(run.setting for run in runs))
    several = len({features for _, features in settings}) > 1
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, setting in enumerate(settings):
        points = sorted(
            (run for run in runs if run.setting == setting and part in run.summaries),
            key=lambda run: run.training_documents,
        )
        if not points:
            continue
        sizes = [run.training_documents for run in points]
        scores = [run.score(part) for run in points]
        ends = [run.summaries[part].intervals["macro_f1"] for run in points]
        colour = COLOURS[number % len(COLOURS)]
        dashed = "--" if setting[0] == REFERENCE else "-"
        name = " ".join(setting) if several else setting[0]
        axes.plot(sizes, scores, dashed, marker=_MARKS[number % len(_MARKS)], color=colour,
                  markersize=4.5, label=name)  # fmt: skip
        lows, highs = [low for low, _ in ends], [high for _, high in ends]
        axes.fill_between(sizes, lows, highs, color=colour, alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    ticks = sorted({run.training_documents for run in runs if run.training_documents})
    axes.set_xticks(ticks, [f"{size:.0f}" for size in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training documents")
    axes.set_ylabel(f"macro-F1 of {part}")
    _legend(axes, True)
    return figure


def _groups(runs: Sequence[StudyRun], all_runs: Sequence[StudyRun]) -> Figure:
    found = {run.label: {g.name: g for g in held_out_groups(run, all_runs)} for run in runs}
    names = list(found[runs[0].label])[::-1]
    figure = Figure(figsize=(8, 1.8 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots()
    for number, (label, groups) in enumerate(found.items()):
        colour = COLOURS[number % len(COLOURS)]
        for at, name in enumerate(names):
            group = groups.get(name)
            if group is None:
                continue
            place = at + (len(found) - 1 - 2 * number) * 0.3 / max(1, len(found))
            if math.isfinite(group.in_domain):
                axes.plot([group.score, group.in_domain], [place, place], color=colour,
                          linewidth=1, alpha=0.6)  # fmt: skip
                axes.plot([group.in_domain], [place], "|", color=colour)
            axes.plot([group.score], [place], _MARKS[number % len(_MARKS)], color=colour,
                      markersize=4.5, label=label if at == 0 else None)  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("macro-F1 of the group held out; | trained on others of the group as well")
    _legend(axes, True)
    return figure


def _legend(axes: Axes, wanted: bool) -> None:
    if wanted:
        axes.legend(frameon=False, loc="best", fontsize=8)
