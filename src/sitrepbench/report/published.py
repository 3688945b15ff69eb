"""A study beside published numbers: in the terminal at 80 columns, and in its report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.report.markdown import table
from sitrepbench.reproduction.published import BesidePublished, PublishedComparison
from sitrepbench.wording import one_line

PASS, FAIL, NO_NUMBER = "PASS", "FAIL", "-"
_WIDTH, _NAME, _SYSTEM = 80, 24, 8


def print_published(comparison: PublishedComparison, *, console: Console) -> None:
    """Print a row per run: ours, the published system that it repeats, and the others."""
    published = comparison.published
    others = published.systems[1:]
    grid = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 0))
    grid.add_column("run", no_wrap=True)
    for name in ("ours", published.compared, "diff", "", *others):
        # Where there are too many systems for the line, these stay whole.
        whole = {"ours": 5, published.compared: 5, "diff": 6, "": 4}.get(name)
        grid.add_column(one_line(name, _SYSTEM), justify="right", no_wrap=True, min_width=whole)
    for row in comparison.rows:
        cells = [_number(row.ours), _number(row.compared), _signed(row), verdict(row)]
        cells += [_number(row.numbers.get(name)) for name in others]
        grid.add_row(Text(one_line(_short(row.name), _NAME)), *map(_styled, cells))
    console.print(grid)
    for line in textwrap.wrap(summary(comparison), _WIDTH, break_on_hyphens=False):
        console.print(Text(line), soft_wrap=True)


def summary(comparison: PublishedComparison) -> str:
    """Return in one paragraph whether the runs are as near as they have to be."""
    published = comparison.published
    judged = [row for row in comparison.rows if row.passed is not None]
    near = sum(bool(row.passed) for row in judged)
    mean = "none" if comparison.mean is None else f"{comparison.mean:.3f}"
    bound = (
        f"at most {published.mean_within:g} is asked for"
        if comparison.whole
        else "judged only where all published runs are there"
    )
    return (
        f"{PASS if comparison.passed else FAIL}: {near} of {len(judged)} runs within "
        f"{published.within:g} of the published {published.compared}; mean absolute difference "
        f"{mean} ({bound}). {published.metric} on {published.part}. Published: {published.source}."
    )


def published_blocks(comparison: PublishedComparison) -> Iterator[str]:
    """Yield the report's section."""
    published = comparison.published
    rows = []
    for row in comparison.rows:
        rows.append(
            [
                row.name,
                _number(row.ours),
                *(_number(row.numbers.get(name)) for name in published.systems),
                _signed(row),
                verdict(row),
            ]
        )
    yield "## Beside published numbers"
    heads = ["run", "ours", *published.systems, f"ours minus {published.compared}", ""]
    yield table(heads, rows)
    yield summary(comparison)


def verdict(row: BesidePublished) -> str:
    """Return PASS, FAIL, or a dash where nothing is published."""
    return NO_NUMBER if row.passed is None else PASS if row.passed else FAIL


def _short(name: str) -> str:
    """Return a run's name without its key, where it is only one value."""
    return name.partition("=")[2] if name.count("=") == 1 else name


def _number(value: float | None) -> str:
    return NO_NUMBER if value is None else f"{value:.3f}"


def _signed(row: BesidePublished) -> str:
    return NO_NUMBER if row.difference is None else f"{row.difference:+.3f}"


def _styled(cell: str) -> Text:
    return Text(cell, style={PASS: "green", FAIL: "bold red"}.get(cell, ""))
