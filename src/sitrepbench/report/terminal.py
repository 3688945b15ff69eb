"""A run's summary for people, at 80 columns, and for machines, as plain values for JSON."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.metrics.summary import Summary

#: The headline metrics in the order in which they are shown, and how people call them.
HEADLINE = {
    "macro_f1": "macro-F1",
    "lenient_macro_f1": "lenient macro-F1",
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mcc": "MCC",
    "kappa": "Cohen's kappa",
    "worst_domain_macro_f1": "worst domain macro-F1",
    "log_loss": "log loss (nats)",
    "brier": "Brier (0 to 2)",
}

_LISTED_FOLDS = 10
_LISTED_DOMAINS = 6
_LONGEST_LABEL = 24


def print_summary(summary: Summary, *, title: str, console: Console) -> None:
    """Print the scores of one part: headline, labels, folds, domains, confusions and notes.

    It fits in 80 columns, and holds no escape codes where the console is not a terminal.
    """
    console.print(Text(title, style="bold"))
    console.print(Text(_counted(summary)))
    console.print(_headline(summary))
    console.print(_labels(summary))
    _print_folds(summary, console)
    _print_domains(summary, console)
    _print_confusion(summary, console)
    for note in summary.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    if summary.n_documents > 1:
        text = "[low, high]: 95 % interval of these predictions, by documents "
        console.print(Text(f"{text}({summary.interval_method}).", style="dim"))


def summary_dict(summary: Summary) -> dict[str, Any]:
    """Return the summary as plain lists, dicts, strings and numbers; NaN becomes None."""
    return {
        "part": summary.part,
        "n_sentences": summary.n_sentences,
        "n_documents": summary.n_documents,
        "n_repeats": summary.n_repeats,
        "metrics": {name: _finite(value) for name, value in summary.metrics.items()},
        "intervals": {
            name: [_finite(low), _finite(high)] for name, (low, high) in summary.intervals.items()
        },
        "interval_method": summary.interval_method,
        "labels": list(summary.labels),
        "per_label": _records(summary.per_label),
        "per_fold": _records(summary.per_fold),
        "per_domain": _records(summary.per_domain),
        "confusion": summary.confusion.to_numpy().tolist(),
        "notes": list(summary.notes),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _finite(value) for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def _counted(summary: Summary) -> str:
    def count(number: int, noun: str) -> str:
        return f"{number:,} {noun}{'' if number == 1 else 's'}"

    counts = [count(summary.n_sentences, "sentence"), count(summary.n_documents, "document")]
    folds = int(summary.per_fold["fold"].nunique())
    if folds > 1:
        counts.append(count(folds, "fold"))
    if summary.n_repeats > 1:
        counts.append(f"mean of {summary.n_repeats} repeats")
    return f"part {summary.part}: {', '.join(counts)}"


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"


def _count(value: float) -> str:
    """A whole number, or one decimal where repeats differ."""
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:,.1f}"


def _table(*columns: str, first_width: int | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        first = number == 0
        table.add_column(
            Text(column),
            justify="left" if first else "right",
            max_width=first_width if first else None,
            overflow="fold",
        )
    return table


def _headline(summary: Summary) -> Table:
    table = _table("metric", "value", "95 % interval")
    for name, shown in HEADLINE.items():
        if name in summary.metrics:
            ends = summary.intervals.get(name)
            style = "bold" if name == "macro_f1" else ""
            table.add_row(
                Text(shown),
                _score(summary.metrics[name]),
                Text(_interval(*ends) if ends else ""),
                style=style,
            )
    return table


def _labels(summary: Summary) -> Table:
    table = _table(
        "label", "P", "R", "F1", "95 % interval", "support", "predicted", first_width=_LONGEST_LABEL
    )
    for row in summary.per_label.to_dict("records"):
        table.add_row(
            Text(str(row["label"])),
            *(_score(row[name]) for name in ("precision", "recall", "f1")),
            Text(_interval(row["f1_low"], row["f1_high"])),
            _count(row["support"]),
            _count(row["predicted"]),
        )
    return table


def _print_folds(summary: Summary, console: Console) -> None:
    folds = summary.per_fold
    if len(folds) < 2:
        return
    scores = folds["macro_f1"]
    if summary.n_repeats == 1 and len(folds) <= _LISTED_FOLDS:
        listed = ", ".join(
            f"{score:.3f} (n {n})" for score, n in zip(scores, folds["n"], strict=True)
        )
    else:
        listed = (
            f"{len(folds)} folds of {folds['n'].min()} to {folds['n'].max()} sentences: "
            f"min {scores.min():.3f}, median {scores.median():.3f}, max {scores.max():.3f}"
        )
    console.print(Text(f"Macro-F1 by fold: {listed}"))


def _print_domains(summary: Summary, console: Console) -> None:
    scored = summary.per_domain.dropna(subset=["macro_f1"]).sort_values("macro_f1")
    if len(scored) < 2:
        return
    shown = scored.head(_LISTED_DOMAINS)
    listed = ", ".join(
        f"{row['domain']} {row['macro_f1']:.3f} (n {_count(row['n'])})"
        for row in shown.to_dict("records")
    )
    rest = len(scored) - len(shown)
    more = f", and {rest} better" if rest else ""
    left_out = len(summary.per_domain) - len(scored)
    small = f"; {left_out} too small to score" if left_out else ""
    console.print(Text(f"Macro-F1 by domain, worst first: {listed}{more}{small}"))


def _print_confusion(summary: Summary, console: Console) -> None:
    labels = summary.labels
    name_width = min(max(len(label) for label in labels), _LONGEST_LABEL)
    cells = [[_count(value) for value in row] for row in summary.confusion.to_numpy()]
    needed = max(len(cell) for row in cells for cell in row)
    room = (console.width - name_width - 2) // len(labels) - 2
    if room < max(needed, 4):
        console.print(Text(f"The confusion matrix of {len(labels)} labels does not fit here."))
        return
    table = _table("gold \\ predicted", *(label[:room] for label in labels))
    for index, label in enumerate(labels):
        row = [
            Text(cell, style="bold" if at == index else "") for at, cell in enumerate(cells[index])
        ]
        table.add_row(Text(label[:name_width]), *row)
    console.print(table)
