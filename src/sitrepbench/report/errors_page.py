"""An error analysis as a page of HTML, and as a folder of page, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from sitrepbench.analysis.errors import NEEDS_PROBABILITIES, ErrorAnalysis
from sitrepbench.analysis.mistakes import examples_of
from sitrepbench.analysis.sureness import WANTED_PRECISION
from sitrepbench.report.calibration import draw_reliability, draw_risk_coverage
from sitrepbench.report.errors import left_out_line, suspects_line
from sitrepbench.report.errors_figures import errors_figures

PAGE_FILE = "errors.html"
#: Rows of a table file with texts.
_MOST_ROWS = 1000
#: Pairs of labels with examples on the page.
_SHOWN_PAIRS = 12

_STYLE = """
body { font: 13px/1.45 system-ui, sans-serif; color: #1f272d; margin: 1.2rem; max-width: 70rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
h3 { font-size: .95rem; margin: 1rem 0 .2rem; }
table { border-collapse: collapse; margin: .3rem 0 1rem; }
th, td { padding: .28rem .55rem; text-align: left; vertical-align: top; }
td, th { border-bottom: 1px solid #dde3e8; } th { font-weight: 600; color: #55636e; }
td:first-child { white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.worse { color: #b54700; font-weight: 600; } td.better { color: #00734f; font-weight: 600; }
svg { max-width: 100%; height: auto; } .note { color: #55636e; }
"""


def write_errors(analysis: ErrorAnalysis, folder: Path, *, n_examples: int) -> None:
    """Write the page, the tables (CSV) and the figures (SVG, PNG) into an existing folder.

    What is there under the same names is replaced.
    """
    figures = _svg_figures(analysis)
    for name, text in figures.items():
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    for name, draw in errors_figures(analysis).items():
        (folder / f"{name}.png").write_bytes(draw("png"))
    for name, table in _tables(analysis).items():
        rounded = table.head(_MOST_ROWS).round(4)
        rounded.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    page = _page(analysis, figures, n_examples)
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def _tables(analysis: ErrorAnalysis) -> dict[str, pd.DataFrame]:
    tables = {
        "pairs": analysis.pairs,
        "mistakes": analysis.mistakes,
        "groups": analysis.slices.table,
    }
    if analysis.sureness is not None:
        tables["thresholds"] = analysis.sureness.thresholds
    if analysis.suspects is not None:
        tables["suspected_label_errors"] = analysis.suspects.table
    if analysis.features is not None and analysis.features.table is not None:
        tables["top_features"] = analysis.features.table
    return tables


def errors_page(analysis: ErrorAnalysis, *, n_examples: int) -> str:
    """Return a page of HTML that stands by itself."""
    return _page(analysis, _svg_figures(analysis), n_examples)


def _page(analysis: ErrorAnalysis, figures: Mapping[str, str], n_examples: int) -> str:
    title = f"Errors of {analysis.run_name}: {analysis.dataset}, part {analysis.part}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _said(
            f"{analysis.n_sentences:,} sentences of {analysis.n_documents:,} documents; "
            f"{100 * analysis.error_rate:.1f} % of the answers are wrong."
        ),
        *(_said(note) for note in analysis.notes),
        "<h2>What is taken for what</h2>",
        _svg(figures["confusion"]),
        *_pairs(analysis, n_examples),
        "<h2>Surest mistakes</h2>",
        _surest(analysis, n_examples),
        "<h2>Where it errs</h2>",
        *_groups(analysis),
    ]
    if "groups" in figures:
        body.append(_svg(figures["groups"]))
    body += _sureness(analysis, figures)
    body += ["<h2>Labels that may be wrong</h2>", _said(suspects_line(analysis))]
    if analysis.suspects is not None:
        body.append(_suspects(analysis.suspects.table.head(4 * n_examples)))
    body += _features(analysis)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _svg_figures(analysis: ErrorAnalysis) -> dict[str, str]:
    """Return every figure as SVG by name, drawn once for the page and the files."""
    figures = {name: draw("svg").decode("utf-8") for name, draw in errors_figures(analysis).items()}
    found = analysis.sureness
    if found is not None:
        name = analysis.run_name or analysis.part
        figures["reliability"] = draw_reliability({name: found.calibration}, title="reliability")
        figures["risk_coverage"] = draw_risk_coverage({name: found.risk}, title="risk and coverage")
    return figures


def _sureness(analysis: ErrorAnalysis, figures: Mapping[str, str]) -> list[str]:
    found = analysis.sureness
    if found is None:
        return []
    table = found.thresholds.round(3).astype(object)
    table = table.where(table.notna(), "")
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table.itertuples(index=False, name=None)
    )
    return [
        "<h2>What its probabilities are worth</h2>",
        *(f"<p>{_svg(figures[name])}</p>" for name in ("reliability", "risk_coverage")),
        _said(
            "From which probability on a label's answers have a precision of "
            f"{WANTED_PRECISION:.2f} in this part:"
        ),
        f"<table><tr>{head}</tr>{rows}</table>",
    ]


def _pairs(analysis: ErrorAnalysis, n_examples: int) -> list[str]:
    body = []
    shown = analysis.pairs.head(_SHOWN_PAIRS)
    for pair in shown.to_dict("records"):
        gold, predicted = str(pair["gold"]), str(pair["predicted"])
        body.append(
            f"<h3>{escape(gold)} taken for {escape(predicted)}: {pair['count']:g} sentences "
            f"({100 * pair['share']:.1f} % of {escape(gold)}; {pair['secondary']:g} have it as "
            "a secondary label)</h3>"
        )
        found = examples_of(analysis.mistakes, gold, predicted, n_examples=n_examples)
        body.append(
            _table(
                ("sentence", "probability", "text"),
                ((row["sentence_id"], row["probability"], row["text"])
                 for row in found.to_dict("records")),
            )
        )  # fmt: skip
    if len(analysis.pairs) > len(shown):
        body.append(_said(f"{len(analysis.pairs) - len(shown)} rarer pairs are in pairs.csv."))
    return body


def _surest(analysis: ErrorAnalysis, n_examples: int) -> str:
    if not analysis.sure:
        return _said(f"Ranking mistakes {NEEDS_PROBABILITIES}.")
    names = ("sentence_id", "predicted", "probability", "gold", "gold_probability", "text")
    heads = ("sentence", "predicted", "probability", "gold", "probability", "text")
    rows = analysis.mistakes.head(4 * n_examples).to_dict("records")
    return _table(heads, ([row[name] for name in names] for row in rows))


def _groups(analysis: ErrorAnalysis) -> list[str]:
    rows = []
    for row in analysis.slices.table.to_dict("records"):
        cells: list[Any] = [row["by"], row["group"], row["sentences"], row["documents"]]
        for name in ("error_rate", "macro_f1"):
            cells += [_interval(row, name), _interval(row, f"{name}_difference", sign="+")]
        rows.append([*cells, row["verdict"]])
    heads = (
        "by", "group", "sentences", "documents", "error rate", "against the rest", "macro-F1",
        "against the rest", "verdict",
    )  # fmt: skip
    told = _said(
        "In brackets: 95 % intervals by documents; those of the differences to all other "
        "sentences hold together for all groups. A verdict stands only where one of them leaves "
        "out zero."
    )
    left_out = left_out_line(analysis)
    table = _table(heads, rows) if rows else _said("No group is large enough to be scored.")
    return [table, told, *([_said(left_out)] if left_out else [])]


def _suspects(table: pd.DataFrame) -> str:
    names = ("sentence_id", "given", "probability_given", "suggested", "probability_suggested",
             "text")  # fmt: skip
    heads = ("sentence", "given", "probability", "suggested", "probability", "text")
    return _table(heads, ([row[name] for name in names] for row in table.to_dict("records")))


def _features(analysis: ErrorAnalysis) -> list[str]:
    features = analysis.features
    if features is None:
        return []
    body = ["<h2>What speaks for each label</h2>", _said(features.told)]
    if features.table is not None:
        wide = {
            str(label): [f"{row['feature']} ({row['weight']:.2f})" for row in rows]
            for label, rows in (
                (label, found.to_dict("records"))
                for label, found in features.table.groupby("label", sort=False)
            )
        }
        longest = max(map(len, wide.values()), default=0)
        rows = ([listed[at] if at < len(listed) else "" for listed in wide.values()]
                for at in range(longest))  # fmt: skip
        body.append(_table(tuple(wide), rows))
    return body


def _interval(row: dict[Any, Any], name: str, *, sign: str = "") -> str:
    if not math.isfinite(row[name]):
        return ""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    ends = f" [{low:{sign}.3f}, {high:{sign}.3f}]" if math.isfinite(low) else ""
    return f"{row[name]:{sign}.3f}{ends}"


def _table(heads: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{"" if math.isnan(value) else f"{value:.3f}"}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    kind = f' class="{value}"' if value in ("worse", "better") else ""
    return f"<td{kind}>{escape(str(value))}</td>"


def _said(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _svg(text: str) -> str:
    return text[text.index("<svg") :]
