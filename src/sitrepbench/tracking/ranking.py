"""The ranked table of a sweep as CSV, as a page and as a dot plot with intervals. Pure.

The plot is written as SVG by hand: it is needed at the end of every sweep, and a plotting library
takes a second to load and to draw it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from sitrepbench.tracking.artifacts import STYLE

#: Rows in the figure.
DRAWN = 30

_LEFT_STYLE = "".join(
    f"td:nth-child({n}), th:nth-child({n}) {{ text-align: left; }}" for n in (2, 3)
)
_ROW_HEIGHT, _TOP, _BOTTOM = 22, 34, 40
_LEFT, _PLOT, _RIGHT = 190, 520, 60


@dataclass(frozen=True)
class RankedRow:
    """One run of a ranked table.

    Parameters
    ----------
    key, name : str
        The content key and the run's name.
    scored : str
        What the score is of: dataset and part.
    score, low, high : float
        Macro-F1 and its 95 % interval; NaN where there is none.
    more : mapping
        Further columns, such as the accuracy or what was chosen.
    """

    key: str
    name: str
    scored: str
    score: float
    low: float = math.nan
    high: float = math.nan
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def interval(self) -> str:
        """The interval in words; empty where there is none."""
        return f"{self.low:.3f} to {self.high:.3f}" if math.isfinite(self.low) else ""


def ranking_csv(rows: Sequence[RankedRow]) -> str:
    """Return the table as CSV, best first."""
    extra = list(dict.fromkeys(name for row in rows for name in row.more))
    with io.StringIO() as file:
        writer = csv.writer(file, lineterminator="\n")
        heads = ("place", "key", "run", "scored", "macro_f1", "macro_f1_low", "macro_f1_high")
        writer.writerow([*heads, *extra])
        for place, row in enumerate(rows, start=1):
            numbers = [_digits(value) for value in (row.score, row.low, row.high)]
            named = [_digits(row.more.get(name, "")) for name in extra]
            writer.writerow([place, row.key, row.name, row.scored, *numbers, *named])
        return file.getvalue()


def ranking_page(
    rows: Sequence[RankedRow], *, title: str, links: Mapping[str, str] | None = None
) -> str:
    """Return a page with the figure and the table, best first.

    Parameters
    ----------
    rows : sequence of RankedRow
        Best first.
    title : str
        The heading.
    links : mapping, optional
        Addresses of runs by content key. MLflow shows pages in a frame that cannot leave itself,
        so they work in a page that was downloaded.
    """
    extra = list(dict.fromkeys(name for row in rows for name in row.more))
    heads = ("", "run", "scored", "macro-F1", "95 % interval", *extra, "key")
    lines = []
    for place, row in enumerate(rows, start=1):
        address = (links or {}).get(row.key)
        name = escape(row.name)
        linked = f'<a href="{escape(address)}" target="_blank">{name}</a>' if address else name
        cells = [escape(row.scored), _three(row.score), escape(row.interval)]
        cells += [escape(_text(row.more.get(column, ""))) for column in extra]
        cells.append(escape(row.key))
        lines.append(f"<tr><td>{place}</td><td>{linked}</td>{_cells(cells)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}{_LEFT_STYLE}</style></head><body>"
        f"<h1>{escape(title)}: {len(rows)} runs, best first</h1>"
        f"{ranking_svg(rows)}<table><tr>{head}</tr>{''.join(lines)}</table></body></html>\n"
    )


def ranking_svg(rows: Sequence[RankedRow]) -> str:
    """Return a dot plot of the best runs with their 95 % intervals."""
    shown = [row for row in rows if math.isfinite(row.score)][:DRAWN]
    low, high = _limits(shown)
    bottom = _TOP + _ROW_HEIGHT * len(shown)
    width, height = _LEFT + _PLOT + _RIGHT, bottom + _BOTTOM

    def across(value: float) -> float:
        return round(_LEFT + _PLOT * (value - low) / (high - low), 1)

    marks = [
        f'<text x="{_LEFT}" y="16" font-weight="600">Macro-F1 with 95 % interval, best '
        f"{len(shown)} of {len(rows)}</text>"
    ]
    for tick in _ticks(low, high):
        x = across(tick)
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}" stroke="#dde3e8"/>'
            f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        )
    for number, row in enumerate(shown):
        y = _TOP + _ROW_HEIGHT * number + 6
        marks.append(
            f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(row.name)}</text>'
        )
        if math.isfinite(row.low) and math.isfinite(row.high):
            marks.append(
                f'<line x1="{across(row.low)}" x2="{across(row.high)}" y1="{y}" y2="{y}" '
                f'stroke="#0072B2" stroke-width="2"/>'
            )
        marks.append(
            f'<circle cx="{across(row.score)}" cy="{y}" r="4" fill="#0072B2"/>'
            f'<text x="{_LEFT + _PLOT + 10}" y="{y + 4}">{row.score:.3f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="#1f272d"><rect width="{width}" height="{height}" fill="#fff"/>'
        f"{''.join(marks)}</svg>\n"
    )


def _limits(rows: Sequence[RankedRow]) -> tuple[float, float]:
    values = [v for row in rows for v in (row.score, row.low, row.high) if math.isfinite(v)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = max(0.02, 0.05 * (high - low))
    return max(0.0, low - room), min(1.0, high + room)


def _ticks(low: float, high: float) -> list[float]:
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 1.0) if (high - low) / step <= 8)
    return [round(step * n, 2) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _digits(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 4)
    return value


def _text(value: object) -> str:
    return _three(value) if isinstance(value, float) else str(value)


def _three(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _cells(cells: Sequence[str]) -> str:
    return "".join(f"<td>{cell}</td>" for cell in cells)
