"""Comparisons for people, at 80 columns, and for machines, as plain values and as rows."""

from __future__ import annotations

import csv
import math
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.comparison.compare import (
    ESTIMAND,
    LEVEL,
    POWER,
    Comparison,
    PairComparison,
)
from sitrepbench.comparison.disagreements import Example
from sitrepbench.errors import StoreError
from sitrepbench.stats.paired import PairedDifference
from sitrepbench.wording import one_line

#: More pairs than this are shown as a table only.
DETAILED_PAIRS = 6
_NAME, _SHORT, _LABEL, _TEXT = 30, 14, 16, 300

#: The columns of `comparison_rows`.
ROW_COLUMNS = (
    "one",
    "other",
    "part",
    "metric",
    "one_score",
    "other_score",
    "difference",
    "low",
    "high",
    "standard_error",
    "degrees_of_freedom",
    "p_jackknife",
    "p_randomisation",
    "p_adjusted",
    "minimum_detectable",
)


def print_comparison(comparison: Comparison, *, console: Console) -> None:
    """Print scores, then every pair: what is told apart, by how much, and where they disagree."""
    where = f"{comparison.dataset}, part" if comparison.dataset else "part"
    console.print(
        Text(
            f"Compared on {where} {comparison.part}: {comparison.n_sentences:,} sentences, "
            f"{comparison.n_documents:,} documents",
            style="bold",
        )
    )
    console.print()
    console.print(_scores(comparison))
    console.print()
    told = f"Intervals: {LEVEL:.0%}, by documents ({comparison.method})."
    console.print(_wrapped(f"{ESTIMAND} {told} One point is 0.01.", console, style="dim"))
    for note in comparison.notes:
        console.print(_wrapped(f"Note: {note}.", console, style="yellow"))
    if len(comparison.pairs) > 1:
        console.print()
        console.print(_pairs(comparison))
    if len(comparison.pairs) > DETAILED_PAIRS:
        console.print(
            _wrapped(
                f"{len(comparison.pairs)} pairs: labels, tests and disagreements of each are in "
                "--json; name fewer entries to see them here.",
                console,
            )
        )
        return
    for pair in comparison.pairs:
        _print_pair(pair, comparison, console)


def verdict(pair: PairComparison, *, n_pairs: int = 1) -> str:
    """Return in words what a comparison has shown, and what it could have shown.

    The smallest difference that could be shown is that of a single pair, found in four of five
    such comparisons.
    """
    points = pair.macro_f1.estimate * 100
    one, other = one_line(pair.one, _NAME), one_line(pair.other, _NAME)
    least = pair.minimum_detectable * 100
    if pair.disagreements.total == 0 and points == 0:
        return f"{one} and {other} say the same about every sentence."
    if math.isnan(least):
        return "With these documents nothing can be said about chance."
    could = f"these data could show a difference of {least:.1f} points"
    if pair.told_apart:
        better, worse = (one, other) if points > 0 else (other, one)
        return (
            f"{better} is better than {worse} by {abs(points):.1f} points. Such data show a "
            f"difference of {least:.1f} four times in five."
        )
    adjusted = f" once {n_pairs} pairs are compared" if pair.p_value <= 1 - LEVEL else ""
    return (
        f"{could[0].upper()}{could[1:]}; the observed {abs(points):.1f} cannot be told from "
        f"chance{adjusted}."
    )


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain lists, dicts, strings and numbers; NaN becomes None."""
    n_pairs = len(comparison.pairs)
    return {
        "part": comparison.part,
        "dataset": comparison.dataset,
        "n_sentences": comparison.n_sentences,
        "n_documents": comparison.n_documents,
        "labels": list(comparison.labels),
        "estimand": ESTIMAND,
        "level": LEVEL,
        "power": POWER,
        "n_permutations": comparison.n_permutations,
        "adjustment": "Holm",
        "interval_method": comparison.method,
        "notes": list(comparison.notes),
        "entries": [_finite(asdict(entry)) for entry in comparison.entries],
        "pairs": [_pair_dict(pair, n_pairs) for pair in comparison.pairs],
    }


def comparison_rows(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    """Yield one row per pair and metric, columns `ROW_COLUMNS`; empty where there is no number."""
    by_name = {entry.name: entry for entry in comparison.entries}
    for pair in comparison.pairs:
        one, other = by_name[pair.one].scores, by_name[pair.other].scores
        tests = (pair.p_value, pair.p_adjusted, pair.minimum_detectable)
        yield (
            pair.one,
            pair.other,
            comparison.part,
            "macro_f1",
            one.macro_f1,
            other.macro_f1,
            *_numbers(pair.macro_f1),
            *(_blank(value) for value in tests),
        )
        for label, difference in pair.labels.items():
            scores = (one.per_label[label], other.per_label[label])
            named = (pair.one, pair.other, comparison.part, f"f1/{label}")
            yield (*named, *scores, *_numbers(difference), "", "", "")


def write_rows(comparison: Comparison, path: Path) -> None:
    """Write `comparison_rows` as CSV.

    Raises
    ------
    StoreError
        When it cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(ROW_COLUMNS)
            writer.writerows(comparison_rows(comparison))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error


def _pair_dict(pair: PairComparison, n_pairs: int) -> dict[str, Any]:
    made = {
        "one": pair.one,
        "other": pair.other,
        "macro_f1": asdict(pair.macro_f1),
        "labels": {label: asdict(found) for label, found in pair.labels.items()},
        "p_randomisation": pair.p_value,
        "p_adjusted": pair.p_adjusted,
        "told_apart": pair.told_apart,
        "minimum_detectable": pair.minimum_detectable,
        "verdict": verdict(pair, n_pairs=n_pairs),
        "mcnemar": {**asdict(pair.mcnemar), "caution": "anti-conservative under clustering"},
        "nadeau_bengio": None
        if pair.resampled is None
        else {**asdict(pair.resampled), "caution": "approximate"},
        "disagreements": {
            "by_label": pair.disagreements.by_label.to_dict("records"),
            "examples": [asdict(example) for example in pair.disagreements.examples],
        },
    }
    return dict(_finite(made))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _numbers(difference: PairedDifference) -> tuple[Any, ...]:
    values = (difference.estimate, difference.low, difference.high, difference.standard_error)
    more = (difference.degrees_of_freedom, difference.p_value)
    return tuple(_blank(value) for value in (*values, *more))


def _blank(value: float) -> Any:
    return value if math.isfinite(value) else ""


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for title, justify in columns:
        table.add_column(Text(title), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return table


def _scores(comparison: Comparison) -> Table:
    table = _table(
        ("", "left"), ("macro-F1", "right"), ("95 % interval", "right"), ("kind", "left"),
        ("key", "left"), ("repeats", "right"),
    )  # fmt: skip
    for entry in comparison.entries:
        scores = entry.scores
        table.add_row(
            Text(one_line(entry.name, _NAME)),
            f"{scores.macro_f1:.3f}",
            Text("-" if math.isnan(scores.low) else f"[{scores.low:.3f}, {scores.high:.3f}]"),
            entry.kind,
            entry.key[:8],
            f"{entry.n_repeats}",
        )
    return table


def _pairs(comparison: Comparison) -> Table:
    """One line per pair: which of two is better, by how much, and what could be shown."""
    table = _table(
        ("A", "left"), ("B", "left"), ("A - B", "right"), ("95 % interval", "right"),
        ("p (Holm)", "right"), ("could show", "right"), ("", "left"),
    )  # fmt: skip
    for pair in comparison.pairs:
        least = pair.minimum_detectable * 100
        better = ("A" if pair.macro_f1.estimate > 0 else "B") if pair.told_apart else "?"
        table.add_row(
            Text(one_line(pair.one, _SHORT)),
            Text(one_line(pair.other, _SHORT)),
            _points(pair.macro_f1.estimate),
            Text(_interval(pair.macro_f1)),
            _p(pair.p_adjusted),
            "-" if math.isnan(least) else f"{least:.1f}",
            better,
        )
    return table


def _print_pair(pair: PairComparison, comparison: Comparison, console: Console) -> None:
    n_pairs = len(comparison.pairs)
    found = pair.macro_f1
    names = f"A: {one_line(pair.one, _NAME)}   B: {one_line(pair.other, _NAME)}"
    console.print()
    console.print(Text(names, style="bold"))
    console.print(_wrapped(verdict(pair, n_pairs=n_pairs), console))
    holm = f", {_p(pair.p_adjusted)} by Holm for {n_pairs} pairs" if n_pairs > 1 else ""
    lines = [
        f"macro-F1, A - B: {_points(found.estimate)} points {_interval(found)}",
        f"randomisation by document ({comparison.n_permutations:,} permutations): "
        f"{_p_is(pair.p_value)}{holm}",
        f"beside it: jackknife-t {_p_is(found.p_value)}",
        f"McNemar {_p_is(pair.mcnemar.p_value)} ({pair.mcnemar.only_one:,} only A, "
        f"{pair.mcnemar.only_other:,} only B; anti-conservative: takes sentences as independent)",
    ]
    if pair.resampled is not None:
        lines.append(
            f"Nadeau-Bengio over folds {_p_is(pair.resampled.p_value)} "
            f"{_interval(pair.resampled)} (approximate)"
        )
    for line in lines:
        console.print(_item(line, console))
    console.print()
    console.print(_labels(pair))
    told = "F1: A - B, points. only A/B: right alone. neither: both wrong, differently"
    console.print(Text(told, style="dim"))
    for number, example in enumerate(pair.disagreements.examples):
        if number == 0:
            console.print(Text("Where they disagree, for example:"))
        console.print(_item(_example(example), console))


def _labels(pair: PairComparison) -> Table:
    """F1 differences in points, beside the counts of sentences on which the two disagree."""
    table = _table(
        ("gold label", "left"), ("F1", "right"), ("95 % interval", "right"), ("p", "right"),
        ("n", "right"), ("only A", "right"), ("only B", "right"), ("neither", "right"),
    )  # fmt: skip
    counts = {row["label"]: row for row in pair.disagreements.by_label.to_dict("records")}
    for label, found in pair.labels.items():
        row = counts.get(label, {})
        table.add_row(
            Text(one_line(label, _LABEL)),
            _points(found.estimate),
            Text(_interval(found)),
            _p(found.p_value),
            *(
                f"{row.get(name, 0):,}"
                for name in ("n", "only_one", "only_other", "both_wrong_differently")
            ),
        )
    return table


def _example(example: Example) -> str:
    text = f': "{one_line(example.text, _TEXT)}"' if example.text else ""
    said = f"gold {example.label}; A {example.one}, B {example.other}"
    return f"{one_line(example.sentence_id, _NAME)} ({said}){text}"


def _item(line: str, console: Console) -> Text:
    return _wrapped(line, console, mark="- ")


def _wrapped(text: str, console: Console, *, mark: str = "", style: str = "") -> Text:
    """Return a text in lines of the console's width, those after the first below its start."""
    lines = textwrap.wrap(
        text,
        console.width,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_on_hyphens=False,
    )
    return Text("\n".join(lines), style=style)


def _points(value: float) -> str:
    return f"{value * 100:+.1f}"


def _interval(found: Any) -> str:
    low, high = found.low * 100, found.high * 100
    return "-" if math.isnan(low) else f"[{low:+.1f}, {high:+.1f}]"


def _p(value: float) -> str:
    if math.isnan(value):
        return "-"
    if value < 0.0001:
        return "<0.0001"
    return f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def _p_is(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {_p(value)}"
