"""The files that stand beside a run in MLflow: a page to look at, tables, config, environment."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path

import pandas as pd
import yaml

from sitrepbench.metrics.summary import Summary
from sitrepbench.store.record import PREDICTIONS_FILE, RunRecord

REPORT_FILE = "report.html"

_STYLE = """
body { font: 13px/1.45 system-ui, sans-serif; color: #1f272d; margin: 1.2rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; margin: .3rem 0 1rem; }
th, td { padding: .28rem .55rem; white-space: nowrap; text-align: right; }
td, th { border-bottom: 1px solid #dde3e8; }
th { font-weight: 600; color: #55636e; } td:first-child, th:first-child { text-align: left; }
caption { text-align: left; color: #55636e; padding-bottom: .3rem; }
"""


def write_artifacts(record: RunRecord, summaries: Mapping[str, Summary], folder: Path) -> None:
    """Write every artifact of a run into an existing, empty folder."""
    shutil.copyfile(record.folder / PREDICTIONS_FILE, folder / PREDICTIONS_FILE)
    (folder / "config.yaml").write_text(
        yaml.safe_dump(record.config, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    (folder / "environment.json").write_text(
        json.dumps(record.environment, indent=1, sort_keys=True, default=str) + "\n",
        encoding="utf-8",
    )
    (folder / REPORT_FILE).write_text(report_page(record, summaries), encoding="utf-8")
    for part, summary in summaries.items():
        confusion = summary.confusion.rename_axis(index="gold \\ predicted").reset_index()
        for name, table in (
            ("per_label", summary.per_label),
            ("per_fold", summary.per_fold),
            ("per_domain", summary.per_domain),
            ("confusion", confusion),
        ):
            if len(table):
                target = folder / "tables" / f"{part}_{name}.csv"
                target.parent.mkdir(exist_ok=True)
                table.round(4).to_csv(target, index=False, lineterminator="\n")


def report_page(record: RunRecord, summaries: Mapping[str, Summary]) -> str:
    """Return a page of HTML with each part's scores per label and its confusion matrix."""
    body = [f"<h1>{escape(record.run_name)}</h1>"]
    for part, summary in summaries.items():
        body.append(f"<h2>{escape(part)}: macro-F1 {_headline(summary)}</h2>")
        body.append(_label_table(summary))
        body.append(_confusion_table(summary))
        body += [f"<p>{escape(note)}</p>" for note in summary.notes]
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(record.run_name)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _headline(summary: Summary) -> str:
    low, high = summary.intervals.get("macro_f1", (math.nan, math.nan))
    interval = f", 95 % interval {low:.3f} to {high:.3f}" if math.isfinite(low) else ""
    return f"{summary.metrics['macro_f1']:.3f}{interval}"


def _label_table(summary: Summary) -> str:
    table = summary.per_label
    heads = ("label", "F1", "95 % interval", "precision", "recall", "support", "predicted")
    rows = []
    for _, row in table.iterrows():
        interval = f"{_number(row['f1_low'])} to {_number(row['f1_high'])}"
        rows.append(
            _row(
                [
                    str(row["label"]),
                    _number(row["f1"]),
                    interval if math.isfinite(row["f1_low"]) else "",
                    _number(row["precision"]),
                    _number(row["recall"]),
                    f"{row['support']:g}",
                    f"{row['predicted']:g}",
                ]
            )
        )
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _confusion_table(summary: Summary) -> str:
    """Return counts, each cell shaded by its share of the gold label."""
    matrix: pd.DataFrame = summary.confusion
    head = "".join(f"<th>{escape(str(name))}</th>" for name in matrix.columns)
    rows = []
    for label, counts in matrix.iterrows():
        total = float(counts.sum())
        cells = []
        for other, count in counts.items():
            share = float(count) / total if total else 0.0
            colour = "46, 125, 50" if other == label else "198, 40, 40"
            cells.append(
                f'<td style="background: rgba({colour}, {0.75 * share:.2f})" '
                f'title="{share:.0%} of {escape(str(label))}">{round(float(count), 1):g}</td>'
            )
        rows.append(f"<tr><td>{escape(str(label))}</td>{''.join(cells)}</tr>")
    caption = "Gold label in the rows, predicted label in the columns; shaded by share of the row."
    return f"<table><caption>{caption}</caption><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
