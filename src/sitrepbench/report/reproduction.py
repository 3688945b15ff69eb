"""PASS or FAIL in the terminal, at 80 columns, and the same for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.parts import is_test_part
from sitrepbench.reproduction.compare import (
    LABELS,
    PROBABILITY_TOLERANCE,
    SCORE_TOLERANCE,
    Check,
    Comparison,
)
from sitrepbench.wording import one_line

PASS, FAIL, NOT_RUN = "PASS", "FAIL", "not run"
HEADLINE = "macro_f1"
_WIDTH = 80
_NAME = 24
#: Failing numbers and causes that are listed per run; --json has all.
_LISTED = 4
_CAUSES = 6
#: Of one value that differs, such as a whole search space.
_VALUE_CELLS = 160


def print_comparisons(
    comparisons: Sequence[Comparison],
    *,
    console: Console,
    interrupted: bool = False,
    of: int | None = None,
) -> None:
    """Print a row per run and part, and under the table every failure with its cause.

    Parameters
    ----------
    comparisons : sequence of Comparison
        In the order in which they are printed.
    console : Console
        Where to.
    interrupted : bool
        Whether somebody stopped it before all had run.
    of : int or None
        How many runs the study has, where only a part of them was asked for.
    """
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("run", "part", "expected", "found", "labels", "numbers", ""):
        right = name in ("expected", "found", "numbers")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for comparison in comparisons:
        for cells in _rows(comparison):
            table.add_row(*cells)
    console.print(table)
    for line in _failures(comparisons):
        console.print(line, soft_wrap=True)
    for line in _notes(comparisons):
        console.print(line, soft_wrap=True)
    told = summary_line(comparisons, interrupted=interrupted, of=of)
    for text in _wrapped(told):
        console.print(Text(text), soft_wrap=True)


def summary_line(
    comparisons: Sequence[Comparison], *, interrupted: bool = False, of: int | None = None
) -> str:
    """Return how many runs and numbers are as they must be, and within what."""
    passed = sum(item.passed for item in comparisons)
    numbers = [check for item in comparisons for check in item.checks]
    same = sum(check.passed for check in numbers)
    waiting = sum(item.not_run for item in comparisons)
    verdict = PASS if passed == len(comparisons) else FAIL
    if interrupted:
        verdict = "Interrupted"
    elif waiting and passed + waiting == len(comparisons):
        verdict = "Incomplete"
    runs = f"{passed} of {len(comparisons)} runs"
    if waiting:
        runs += f" as expected, {waiting} not run"
    if of is not None and of != len(comparisons):
        runs += f" (of {of} in the study)"
    return (
        f"{verdict}: {runs}, {same:,} of {len(numbers):,} numbers. "
        f"Labels exactly; scores within {SCORE_TOLERANCE:.6f}, log loss and Brier within "
        f"{PROBABILITY_TOLERANCE:.4f}. Expected and found: macro-F1."
    )


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values for JSON."""
    facts = comparison.expected or comparison.found
    return {
        "name": comparison.name,
        "overrides": list(facts.overrides) if facts else [],
        "passed": comparison.passed,
        "not_run": comparison.not_run,
        "error": comparison.error or None,
        "causes": list(comparison.causes),
        "environment": list(comparison.environment),
        "checks": [vars(check) for check in comparison.checks],
    }


def _rows(comparison: Comparison) -> Iterator[tuple[Text, ...]]:
    name = Text(one_line(comparison.name, _NAME))
    whole = [check for check in comparison.checks if not check.part]
    parts = list(dict.fromkeys(check.part for check in comparison.checks if check.part))
    if not parts:
        none = Text("-")
        yield (
            name,
            Text(""),
            none,
            none,
            none,
            none,
            _verdict(comparison.passed, comparison.not_run),
        )
        return
    labels = all(check.passed for check in whole if check.name == LABELS)
    # What holds for the whole run counts with each of its parts.
    sound = comparison.passed or all(check.passed for check in whole)
    for at, part in enumerate(parts):
        checks = [check for check in comparison.checks if check.part == part]
        score = next((check for check in checks if check.name == HEADLINE), None)
        right = sum(check.passed for check in checks)
        yield (
            name if at == 0 else Text(""),
            Text(one_line(part, 10), style="yellow" if is_test_part(part) else ""),
            Text(_score(score.expected if score else None)),
            Text(_score(score.found if score else None)),
            Text("same" if labels else "differ"),
            Text(f"{right}/{len(checks)}"),
            _verdict(sound and not comparison.error and right == len(checks)),
        )


def _verdict(passed: bool, not_run: bool = False) -> Text:
    if not_run:
        return Text(NOT_RUN, style="dim")
    return Text(PASS, style="green") if passed else Text(FAIL, style="bold red")


def _score(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}"


def _failures(comparisons: Sequence[Comparison]) -> Iterator[Text]:
    told: set[str] = set()
    for comparison in comparisons:
        if comparison.passed or comparison.not_run:
            continue
        names = [comparison.name]
        if comparison.error and not comparison.checks:
            # What went wrong in the same way for many runs, such as their data, is told once.
            if comparison.error in told:
                continue
            told.add(comparison.error)
            names = [
                item.name
                for item in comparisons
                if item.error == comparison.error and not item.checks
            ]
        for line in _wrapped(f"{FAIL} {', '.join(names)}", hanging="     "):
            yield Text(line, style="bold red")
        yield from _failure(comparison)


def _failure(comparison: Comparison) -> Iterator[Text]:
    for told in comparison.error.splitlines():
        yield from map(Text, _wrapped(told, indent="  "))
    failed = sorted(comparison.failed, key=_weight)
    for check in failed[:_LISTED]:
        yield from map(Text, _wrapped(_check_line(check), indent="  ", hanging="  "))
    if len(failed) > _LISTED:
        yield Text(f"  ... and {len(failed) - _LISTED} more: --json has them all")
    yield from _listed("cause", comparison.causes)
    yield from _listed("ran on", comparison.environment)


def _wrapped(text: str, *, indent: str = "", hanging: str = "") -> list[str]:
    """Return a text on lines of 80 columns; all but the first begin further in."""
    return textwrap.wrap(
        one_line(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _weight(check: Check) -> tuple[int, int]:
    """What people look at first, first."""
    first = (HEADLINE, LABELS)
    return (first.index(check.name) if check.name in first else len(first), bool(check.part))


def _listed(title: str, lines: Sequence[str]) -> Iterator[Text]:
    for at, line in enumerate(lines[:_CAUSES]):
        head = f"{title}:" if at == 0 else ""
        for wrapped in _wrapped(line, indent=" " * 10):
            yield Text(f"  {head:<8}{wrapped[10:]}", style="yellow")
            head = ""
    if len(lines) > _CAUSES:
        yield Text(f"  {'':<8}... and {len(lines) - _CAUSES} more: --json has them all")


def _check_line(check: Check) -> str:
    where = f"{check.part} {check.name}".strip()
    one, two = check.expected, check.found
    if isinstance(one, float) and isinstance(two, float):
        return f"{where}: expected {one:.6f}, found {two:.6f} ({two - one:+.6f})"
    return f"{where}: expected {_short(one)}, found {_short(two)}"


def _short(value: Any) -> str:
    if isinstance(value, str) and len(value) >= 32:
        return f"{value[:6]}.."
    if isinstance(value, dict):
        told = ", ".join(f"{name}={_short(item)}" for name, item in value.items()) or "none"
        return one_line(told, _VALUE_CELLS)
    return "none" if value is None else one_line(str(value), _VALUE_CELLS)


def _notes(comparisons: Sequence[Comparison]) -> Iterator[Text]:
    """Say what differs although every number is the same."""
    changed: dict[str, int] = {}
    for comparison in comparisons:
        if comparison.passed:
            for line in (*comparison.causes, *comparison.environment):
                changed[line] = changed.get(line, 0) + 1
    if changed:
        yield Text("What differs, and moved no number of the runs that pass:", style="dim")
        for line in list(changed)[:_CAUSES]:
            for wrapped in _wrapped(line, indent="  ", hanging="  "):
                yield Text(wrapped, style="dim")
        if len(changed) > _CAUSES:
            yield Text(f"  ... and {len(changed) - _CAUSES} more: --json has them all", style="dim")
