"""Calibration and selective prediction for people: a table at 80 columns, plain values, figures."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.metrics.calibration import CALIBRATION_METHOD, SCORES, Calibration
from sitrepbench.metrics.selective import RiskCoverage

#: What is shown of `sitrepbench.metrics.calibration.SCORES`, and how people call it.
SHOWN = {
    "classwise_ece": "classwise ECE",
    "adaptive_ece": "adaptive ECE",
    "reliability": "Brier: reliability",
    "resolution": "Brier: resolution",
    "uncertainty": "Brier: uncertainty",
    "within_bins": "Brier: within bins",
}
AURC = "AURC (risk-coverage)"
_MARKS = "osD^vP*X"


def print_calibration(
    part: str, calibration: Calibration, risk: RiskCoverage, *, console: Console
) -> None:
    """Print how far the probabilities of a part can be believed, at 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(
        (f"calibration of {part}", "value", "95 % interval", "if calibrated")
    ):
        table.add_column(Text(name), justify="right" if number else "left")
    for name, shown in SHOWN.items():
        expected = calibration.if_calibrated.get(name)
        table.add_row(
            shown,
            f"{getattr(calibration, name):.3f}",
            Text(_interval(*calibration.intervals[name])),
            "" if expected is None else f"{expected:.3f}",
        )
    table.add_row(AURC, f"{risk.aurc:.3f}", Text(_interval(risk.low, risk.high)), "")
    console.print(table)
    console.print(
        Text(
            f"AURC with a perfect order of the same errors: {risk.aurc_best:.3f}; with none: "
            f"{risk.error:.3f}. An interval is of the true value, without the bias of a small "
            f"part, so that a number may lie above its own ({CALIBRATION_METHOD}).",
            style="dim",
        )
    )


def calibration_dict(calibration: Calibration, risk: RiskCoverage) -> dict[str, Any]:
    """Return both as plain lists, dicts, strings and numbers; NaN becomes None."""
    return {
        **{name: _finite(getattr(calibration, name)) for name in SCORES},
        "aurc": _finite(risk.aurc),
        "aurc_best": _finite(risk.aurc_best),
        "intervals": {
            **{name: [_finite(a), _finite(b)] for name, (a, b) in calibration.intervals.items()},
            "aurc": [_finite(risk.low), _finite(risk.high)],
        },
        "if_calibrated": dict(calibration.if_calibrated),
        "interval_method": CALIBRATION_METHOD,
        "per_label": _records(calibration.per_label),
        "curves": _records(calibration.curves),
    }


def draw_reliability(calibrations: Mapping[str, Calibration], *, title: str) -> str:
    """Return reliability curves as SVG: a panel per label, a line per model or part.

    A line on the diagonal is a calibrated one; below it, the model is too sure. A mark is a bin
    of equal width, its area the number of sentences in it.

    Parameters
    ----------
    calibrations : mapping
        By name, of the same labels; at least one.
    title : str
        Above the figure.
    """
    from matplotlib.figure import Figure

    from sitrepbench.report.dataset_figure import COLOURS

    labels = next(iter(calibrations.values())).labels

    def draw() -> Figure:
        figure = Figure(figsize=(2.5 * len(labels), 3.4), layout="constrained")
        panels = figure.subplots(1, len(labels), squeeze=False, sharey=True)[0]
        for axes, label in zip(panels, labels, strict=True):
            axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8)
            for number, (name, calibration) in enumerate(calibrations.items()):
                rows = calibration.curves[calibration.curves["label"] == label]
                colour = COLOURS[(number + 2) % len(COLOURS)]
                sizes = 4 + 60 * rows["n"] / max(1, rows["n"].sum())
                axes.plot(rows["probability"], rows["share"], color=colour, label=name)
                axes.scatter(rows["probability"], rows["share"], s=sizes, color=colour)
            axes.set(title=label, xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="probability given")
        panels[0].set_ylabel("share that bears the label")
        if len(calibrations) > 1:
            panels[0].legend(fontsize=7)
        return figure

    return _svg(draw, title)


def draw_risk_coverage(curves: Mapping[str, RiskCoverage], *, title: str) -> str:
    """Return risk-coverage curves as SVG, a line per model or part.

    Parameters
    ----------
    curves : mapping
        By name; at least one.
    title : str
        Above the figure.
    """
    from matplotlib.figure import Figure

    from sitrepbench.report.dataset_figure import COLOURS

    def draw() -> Figure:
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for number, (name, curve) in enumerate(curves.items()):
            axes.plot(
                curve.coverage,
                curve.risk,
                color=COLOURS[(number + 2) % len(COLOURS)],
                marker=_MARKS[number % len(_MARKS)],
                markevery=0.1,
                markersize=4,
                label=f"{name}: AURC {curve.aurc:.3f}",
            )
        axes.set(xlim=(0, 1), xlabel="coverage: share of sentences answered, the surest first")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("risk: share of them that is wrong")
        axes.legend(fontsize=8)
        return figure

    return _svg(draw, title)


def _svg(draw: Callable[[], Any], title: str) -> str:
    """Return what ``draw`` draws, the same bytes every time: no date, ids from a fixed salt."""
    import matplotlib

    with matplotlib.rc_context(
        {"font.size": 8, "svg.hashsalt": "sitrepbench", "axes.grid": True, "grid.alpha": 0.3}
    ):
        figure = draw()
        figure.suptitle(title, fontsize=10)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _finite(value) for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]
