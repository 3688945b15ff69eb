"""An error analysis for people, at 80 columns, and for machines, as plain values for JSON."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.analysis.errors import NEEDS_PROBABILITIES, ErrorAnalysis
from sitrepbench.analysis.mistakes import examples_of
from sitrepbench.analysis.slices import BETTER, LEAST_DOCUMENTS, LEAST_SENTENCES, WORSE
from sitrepbench.wording import one_line

WIDTH = 80
#: Pairs of labels whose examples a terminal shows.
_SHOWN_PAIRS = 4
_LABEL = 16
_GROUP = 25
_STYLES = {WORSE: "bold red", BETTER: "bold green"}


def print_errors(analysis: ErrorAnalysis, *, n_examples: int, console: Console) -> None:
    """Print an error analysis; it fits in 80 columns."""
    wrong = f"{100 * analysis.error_rate:.1f} %"
    title = f"{analysis.run_name}: {analysis.dataset}, part {analysis.part}"
    console.print(Text(one_line(title, WIDTH), style="bold"))
    repeats = f", mean of {analysis.n_repeats} repeats" if analysis.n_repeats > 1 else ""
    _say(
        console,
        f"{analysis.n_sentences:,} sentences of {analysis.n_documents:,} documents{repeats}; "
        f"{wrong} of the answers are wrong.",
    )
    for note in analysis.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    if len(analysis.mistakes):
        _print_pairs(analysis, n_examples, console)
        _print_surest(analysis, n_examples, console)
    _print_slices(analysis, console)
    _print_suspects(analysis, n_examples, console)
    _print_features(analysis, console)


def errors_dict(analysis: ErrorAnalysis, *, n_examples: int) -> dict[str, Any]:
    """Return an error analysis as plain lists, dicts, strings and numbers; NaN becomes None."""
    suspects, features, slices = analysis.suspects, analysis.features, analysis.slices
    return {
        "key": analysis.key,
        "run_name": analysis.run_name,
        "dataset": analysis.dataset,
        "part": analysis.part,
        "n_sentences": analysis.n_sentences,
        "n_documents": analysis.n_documents,
        "n_repeats": analysis.n_repeats,
        "error_rate": analysis.error_rate,
        "labels": list(analysis.labels),
        "confusion": analysis.confusion.to_numpy().tolist(),
        "pairs": [
            {
                **pair,
                "examples": _records(
                    examples_of(
                        analysis.mistakes, pair["gold"], pair["predicted"], n_examples=n_examples
                    )
                ),
            }
            for pair in _records(analysis.pairs)
        ],
        "surest_mistakes": _records(analysis.mistakes.head(n_examples)) if analysis.sure else None,
        "thresholds": None if analysis.sureness is None else _records(analysis.sureness.thresholds),
        "slices": _records(slices.table),
        "slices_too_small": list(slices.too_small),
        "slices_notes": list(slices.notes),
        "suspects": None
        if suspects is None
        else {
            "estimated_share": suspects.estimated_share,
            "count": len(suspects.table),
            "table": _records(suspects.table.head(n_examples)),
        },
        "top_features": None
        if features is None
        else {
            "told": features.told,
            "table": None if features.table is None else _records(features.table),
        },
        "notes": list(analysis.notes),
    }


def suspects_line(analysis: ErrorAnalysis) -> str:
    """Return what is said about suspected label errors."""
    suspects = analysis.suspects
    if suspects is None:
        return f"Looking for label errors {NEEDS_PROBABILITIES}."
    return (
        f"{len(suspects.table)} of {suspects.n_sentences:,} labels are suspects (confident "
        f"learning; estimated share of wrong labels {100 * suspects.estimated_share:.1f} %). A "
        "suspect may as well be a mistake of the model: look at each."
    )


def left_out_line(analysis: ErrorAnalysis) -> str:
    """Return which groups are left out; empty where none is."""
    small = analysis.slices.too_small
    lines = []
    if small:
        count = "1 group is" if len(small) == 1 else f"{len(small)} groups are"
        lines.append(
            f"{count} left out, for fewer than {LEAST_SENTENCES} sentences or {LEAST_DOCUMENTS} "
            f"documents in or outside of it: {', '.join(small)}."
        )
    lines += [f"{note[0].upper()}{note[1:]}." for note in analysis.slices.notes]
    return " ".join(lines)


def _print_pairs(analysis: ErrorAnalysis, n_examples: int, console: Console) -> None:
    _head(console, "What is taken for what")
    table = _table("gold", "taken for", "sentences", "of gold", "secondary", "documents")
    shown = analysis.pairs.head(2 * _SHOWN_PAIRS)
    for pair in _records(shown):
        table.add_row(
            Text(one_line(pair["gold"], _LABEL)),
            Text(one_line(pair["predicted"], _LABEL)),
            _count(pair["count"]),
            f"{100 * pair['share']:.1f} %",
            _count(pair["secondary"]),
            str(pair["documents"]),
        )
    console.print(table)
    rest = len(analysis.pairs) - len(shown)
    more = f" {rest} more pairs are rarer." if rest else ""
    _say(console, f"secondary: the wrong label is one of the sentence's secondary labels.{more}")
    for pair in _records(analysis.pairs.head(_SHOWN_PAIRS)):
        gold, predicted = pair["gold"], pair["predicted"]
        console.print(Text(one_line(f"{gold} taken for {predicted}:", WIDTH), style="bold"))
        examples = examples_of(analysis.mistakes, gold, predicted, n_examples=n_examples)
        for row in _records(examples):
            sure = "" if row["probability"] is None else f"{row['probability']:.2f} "
            _say(console, f"  {sure}{row['sentence_id']}  {row['text']}", cut=True)


def _print_surest(analysis: ErrorAnalysis, n_examples: int, console: Console) -> None:
    _head(console, "Surest mistakes")
    if not analysis.sure:
        _say(console, f"Ranking mistakes {NEEDS_PROBABILITIES}.")
        return
    for row in _records(analysis.mistakes.head(n_examples)):
        held = f"{row['probability']:.2f} {row['predicted']}, {row['gold_probability']:.2f}"
        also = "; it is a secondary label" if row["secondary"] else ""
        _say(console, f"{row['sentence_id']}: {held} {row['gold']} (gold){also}", cut=True)
        _say(console, f"    {row['text']}", cut=True)


def _print_slices(analysis: ErrorAnalysis, console: Console) -> None:
    _head(console, "Where it errs")
    slices = analysis.slices
    if slices.table.empty:
        _say(console, "No group has enough sentences and documents to be scored.")
    else:
        table = _table("group", "sent.", "docs", "errors", "macro-F1", "verdict")
        before = ""
        for row in _records(slices.table):
            by = f"{row['by']}: " if row["by"] != before else " " * min(len(row["by"]) + 2, 12)
            before = row["by"]
            name = by + one_line(row["group"], max(8, _GROUP - len(by)))
            table.add_row(
                Text(name[:_GROUP]),
                f"{row['sentences']:,}",
                f"{row['documents']:,}",
                f"{100 * row['error_rate']:.1f} %",
                Text(_with_interval(row, "macro_f1")),
                Text(row["verdict"] or "", style=_STYLES.get(row["verdict"], "")),
            )
        console.print(table)
        _say(
            console,
            "[low, high]: 95 % interval by documents. verdict: worse or better than all other "
            "sentences, where the interval of the difference, made to hold for all groups "
            "together, leaves out zero.",
        )
    left_out = left_out_line(analysis)
    if left_out:
        _say(console, left_out)


def _print_suspects(analysis: ErrorAnalysis, n_examples: int, console: Console) -> None:
    _head(console, "Labels that may be wrong")
    _say(console, suspects_line(analysis))
    if analysis.suspects is None:
        return
    for row in _records(analysis.suspects.table.head(n_examples)):
        held = f"{row['probability_suggested']:.2f}, given {row['probability_given']:.2f}"
        line = f"{row['sentence_id']}: {row['given']}, or {row['suggested']}? ({held})"
        _say(console, line, cut=True)
        _say(console, f"    {row['text']}", cut=True)


def _print_features(analysis: ErrorAnalysis, console: Console) -> None:
    features = analysis.features
    if features is None:
        return
    _head(console, "What speaks for each label")
    _say(console, features.told)
    if features.table is None:
        return
    for label, found in features.table.groupby("label", sort=False):
        listed = ", ".join(
            f"{one_line(row['feature'], 30)} {row['weight']:.2f}" for row in _records(found)
        )
        _say(console, f"{label}: {listed}")


def _head(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold underline"))


def _say(console: Console, text: str, *, cut: bool = False) -> None:
    if cut:
        indent = len(text) - len(text.lstrip())
        text = " " * indent + one_line(text, WIDTH - indent)
    console.print(Text(text), width=WIDTH)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    left = ("gold", "taken for", "group", "verdict")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table


def _with_interval(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def _count(value: float) -> str:
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:,.1f}"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
