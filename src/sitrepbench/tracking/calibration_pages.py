"""Calibration on a run's page: a table and reliability curves. Pure.

The curves are written as SVG by hand: every run of a sweep has a page, and a plotting library
takes longer than many a run.
"""

from __future__ import annotations

import math
from html import escape

from sitrepbench.metrics.calibration import Calibration

#: Colours that also differ in grey and for colour-blind readers (Okabe & Ito 2008).
_COLOURS = ("#D55E00", "#CC79A7", "#0072B2", "#009E73", "#56B4E9", "#E69F00", "#F0E442", "#888888")
_ROWS = {
    "classwise_ece": "classwise ECE",
    "adaptive_ece": "adaptive ECE",
    "brier": "Brier (0 to 2)",
    "reliability": "reliability (lower is better)",
    "resolution": "resolution (higher is better)",
    "uncertainty": "uncertainty of the data",
    "within_bins": "within bins",
    "log_loss": "log loss (nats)",
}
_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 260, 46, 14, 190, 40


def calibration_section(part: str, calibration: Calibration) -> str:
    """Return a section of HTML with a part's calibration: numbers and reliability curves."""
    rows = []
    for name, shown in _ROWS.items():
        low, high = calibration.intervals[name]
        expected = calibration.if_calibrated.get(name)
        cells = (
            shown,
            f"{getattr(calibration, name):.3f}",
            f"{low:.3f} to {high:.3f}" if math.isfinite(low) else "",
            "" if expected is None else f"{expected:.3f}",
        )
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    heads = ("", "value", "95 % interval", "if calibrated")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return (
        f"<h3>{escape(part)}: calibration</h3>{reliability_svg(calibration)}"
        f"<table><tr>{head}</tr>{''.join(rows)}</table>"
    )


def reliability_svg(calibration: Calibration) -> str:
    """Return reliability curves, a line per label; below the diagonal a model is too sure."""
    bottom, right = _TOP + _SIDE, _LEFT + _SIDE
    marks = [
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{_TOP}" stroke="#888"/>',
        f'<text x="{_LEFT + _SIDE / 2}" y="{bottom + 34}" text-anchor="middle">'
        "probability given</text>",
        f'<text transform="translate(12 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">'
        "share that bears the label</text>",
    ]
    for tick in (0.0, 0.5, 1.0):
        x, y = _across(tick), _up(tick)
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" stroke="#dde3e8"/>'
            f'<line x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#dde3e8"/>'
            f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>'
        )
    curves = calibration.curves
    columns = [curves[name].tolist() for name in ("label", "probability", "share", "n")]
    points: dict[str, list[tuple[float, float, int]]] = {}
    for label, probability, share, n in zip(*columns, strict=True):
        points.setdefault(str(label), []).append((_across(probability), _up(share), int(n)))
    for number, label in enumerate(calibration.labels):
        colour = _COLOURS[number % len(_COLOURS)]
        marks.append(_line(points[label], colour, label))
        y = _TOP + 14 + 18 * number
        marks.append(
            f'<rect x="{right + 16}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{right + 32}" y="{y}">{escape(label)}</text>'
        )
    width = right + _RIGHT
    height = max(bottom + _BOTTOM, _TOP + 14 + 18 * len(calibration.labels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="#1f272d">{"".join(marks)}</svg>\n'
    )


def _line(points: list[tuple[float, float, int]], colour: str, label: str) -> str:
    """Return one label's curve; a mark's area goes with the sentences in its bin."""
    total = sum(n for _, _, n in points)
    path = " ".join(f"{x},{y}" for x, y, _ in points)
    circles = "".join(
        f'<circle cx="{x}" cy="{y}" r="{1.5 + 6 * math.sqrt(n / total):.1f}" fill="{colour}" '
        f'fill-opacity="0.7"><title>{escape(label)}: n {n}</title></circle>'
        for x, y, n in points
    )
    return f'<polyline points="{path}" fill="none" stroke="{colour}"/>{circles}'


def _across(value: float) -> float:
    return round(_LEFT + _SIDE * value, 1)


def _up(value: float) -> float:
    return round(_TOP + _SIDE * (1 - value), 1)
