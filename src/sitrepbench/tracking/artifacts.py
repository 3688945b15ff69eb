"""The files that stand beside a run in MLflow: a page to look at, tables, config, environment."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import pandas as pd
import yaml

from sitrepbench.metrics.calibration import Calibration, calibration_of
from sitrepbench.metrics.summary import Summary
from sitrepbench.store.record import PREDICTIONS_FILE, RunRecord
from sitrepbench.tracking.calibration_pages import calibration_section
from sitrepbench.tracking.trial_pages import trials_section

REPORT_FILE = "report.html"

#: The one in C, where PyYAML was built with it, is five times faster.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

STYLE = """
body { font: 13px/1.45 system-ui, sans-serif; color: #1f272d; margin: 1.2rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; margin: .3rem 0 1rem; }
th, td { padding: .28rem .55rem; white-space: nowrap; text-align: right; }
td, th { border-bottom: 1px solid #dde3e8; }
th { font-weight: 600; color: #55636e; } td:first-child, th:first-child { text-align: left; }
caption { text-align: left; color: #55636e; padding-bottom: .3rem; }
"""


def write_artifacts(record: RunRecord, summaries: Mapping[str, Summary], folder: Path) -> None:
    """Write every artifact of a run into an existing folder; what is there is replaced."""
    _link_or_copy(record.folder / PREDICTIONS_FILE, folder / PREDICTIONS_FILE)
    (folder / "config.yaml").write_text(
        yaml.dump(record.config, Dumper=_DUMPER, sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )
    (folder / "environment.json").write_text(
        json.dumps(record.environment, indent=1, sort_keys=True, default=str) + "\n",
        encoding="utf-8",
    )
    page = report_page(record, summaries, _calibrations(record, summaries))
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")
    tables = folder / "tables"
    tables.mkdir(exist_ok=True)
    trials = record.trials()
    if len(trials):
        _write_csv(tables / "trials.csv", trials.columns, trials.itertuples(index=False, name=None))
    curves = record.curves()
    if len(curves):
        _write_csv(tables / "curves.csv", curves.columns, curves.itertuples(index=False, name=None))
    for part, summary in summaries.items():
        for name, table in (
            ("per_label", summary.per_label),
            ("per_fold", summary.per_fold),
            ("per_domain", summary.per_domain),
        ):
            if len(table):
                _write_csv(
                    tables / f"{part}_{name}.csv",
                    table.columns,
                    table.itertuples(index=False, name=None),
                )
        matrix = summary.confusion
        rows = zip(matrix.index, matrix.to_numpy().tolist(), strict=True)
        _write_csv(
            tables / f"{part}_confusion.csv",
            ["gold \\ predicted", *matrix.columns],
            ((label, *counts) for label, counts in rows),
        )


def _calibrations(
    record: RunRecord, summaries: Mapping[str, Summary]
) -> dict[str, Calibration | None]:
    """Return the calibration of the parts that have probabilities."""
    # The table is read only where it has something to say.
    if not any("log_loss" in summary.metrics for summary in summaries.values()):
        return {}
    table = record.predictions()
    return {part: calibration_of(table.part(part)) for part in summaries}


def _write_csv(path: Path, heads: Iterable[str], rows: Iterable[tuple[object, ...]]) -> None:
    """Write what `DataFrame.to_csv` writes, numbers rounded to four digits, NaN empty.

    A run has several small tables, for each of which pandas takes a millisecond.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 4)
    return value


def _link_or_copy(source: Path, target: Path) -> None:
    """Make ``target`` another name of the file where that can be done: predictions are large.

    The results store never writes into a file that is there, nor does MLflow.
    """
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def report_page(
    record: RunRecord,
    summaries: Mapping[str, Summary],
    calibrations: Mapping[str, Calibration | None] | None = None,
) -> str:
    """Return a page of HTML: each part's scores per label, confusion matrix and calibration."""
    body = [f"<h1>{escape(record.run_name)}</h1>"]
    for part, summary in summaries.items():
        body.append(f"<h2>{escape(part)}: macro-F1 {_headline(summary)}</h2>")
        body.append(_label_table(summary))
        body.append(_confusion_table(summary))
        calibration = (calibrations or {}).get(part)
        if calibration is not None:
            body.append(calibration_section(part, calibration))
        body += [f"<p>{escape(note)}</p>" for note in summary.notes]
    body += [f"<p>{escape(note)}</p>" for note in record.notes]
    body.append(trials_section(record))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(record.run_name)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _headline(summary: Summary) -> str:
    low, high = summary.intervals.get("macro_f1", (math.nan, math.nan))
    interval = f", 95 % interval {low:.3f} to {high:.3f}" if math.isfinite(low) else ""
    return f"{summary.metrics['macro_f1']:.3f}{interval}"


def _label_table(summary: Summary) -> str:
    heads = ("label", "F1", "95 % interval", "precision", "recall", "support", "predicted")
    rows = []
    for row in summary.per_label.to_dict("records"):
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
    names = [str(name) for name in matrix.columns]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for label, counts in zip(map(str, matrix.index), matrix.to_numpy().tolist(), strict=True):
        total = sum(counts)
        cells = []
        for other, count in zip(names, counts, strict=True):
            share = count / total if total else 0.0
            colour = "46, 125, 50" if other == label else "198, 40, 40"
            cells.append(
                f'<td style="background: rgba({colour}, {0.75 * share:.2f})" '
                f'title="{share:.0%} of {escape(label)}">{round(count, 1):g}</td>'
            )
        rows.append(f"<tr><td>{escape(label)}</td>{''.join(cells)}</tr>")
    caption = "Gold label in the rows, predicted label in the columns; shaded by share of the row."
    return f"<table><caption>{caption}</caption><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
