"""A search on a run's page: its trials as a table and a figure, and what was chosen."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from sitrepbench.store.record import RunRecord

#: More cells than these share one plot without a legend.
_LEGEND_CELLS = 6
#: The table on the page; the file has all.
_SHOWN_TRIALS = 60


def chosen_params(record: RunRecord) -> dict[str, str]:
    """Return the chosen settings as parameters, ``chosen.C``; several where cells differ."""
    found: dict[str, list[str]] = {}
    for cell in record.tuning.get("chosen", []):
        for path, value in cell["settings"].items():
            text = _value(value)
            values = found.setdefault(f"chosen.{path}", [])
            if text not in values:
                values.append(text)
    return {name: ", ".join(values) for name, values in found.items()}


def tuning_metrics(record: RunRecord) -> dict[str, float]:
    """Return the seconds of a run's searches and the mean macro-F1 on the inner folds."""
    scores = [cell["score"] for cell in record.tuning.get("chosen", []) if cell["score"]]
    if not scores:
        return {}
    return {
        "inner_macro_f1": sum(scores) / len(scores),
        "tuning_seconds": float(record.tuning["seconds"]),
    }


def trials_section(record: RunRecord) -> str:
    """Return a section of HTML with a run's trials; empty where nothing was searched."""
    trials = record.trials()
    if trials.empty:
        return ""
    search = record.tuning["search"]
    name = str(search.get("_target_", "")).rpartition(".")[2]
    body = [f"<h2>Tuning: {escape(name)}, {len(trials)} trials</h2>", trials_figure(trials)]
    for cell in record.tuning["chosen"]:
        where = f"{cell['part']}, repeat {cell['repeat']}, fold {cell['fold']}"
        score = f"inner macro-F1 {cell['score']:.3f}"
        body.append(f"<p>{escape(where)}: {escape(_told(cell['settings']))} ({score})</p>")
    body.append(_table(trials))
    return "".join(body)


def trials_figure(trials: pd.DataFrame) -> str:
    """Return the trials as an SVG text: each one's score, and the best so far."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "trials", "font.size": 8}):
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        cells = list(trials.groupby(["part", "repeat", "fold"], sort=False))
        for number, ((part, repeat, fold), own) in enumerate(cells):
            colour = f"C{number % 10}"
            axes.plot(own["trial"], own["score"], "o", ms=3, alpha=0.6, color=colour)
            label = f"{part} {repeat}.{fold}"
            axes.plot(own["trial"], own["score"].cummax(), "-", lw=1, color=colour, label=label)
            failed = own.loc[own["state"] == "failed", "trial"]
            axes.plot(failed, [0.02] * len(failed), "x", ms=4, color=colour,
                      transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set_xlabel("trial (x: failed)")
        axes.set_ylabel("macro-F1 on inner folds")
        axes.spines[["top", "right"]].set_visible(False)
        if 1 < len(cells) <= _LEGEND_CELLS:
            axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _table(trials: pd.DataFrame) -> str:
    best = trials.sort_values("score", ascending=False, kind="stable").head(_SHOWN_TRIALS)
    rows = []
    for row in best.to_dict("records"):
        score = "failed" if math.isnan(row["score"]) else f"{row['score']:.3f}"
        told = row["error"] or _told(json.loads(str(row["settings"])))
        cells = (row["fold"], row["trial"], score, f"{row['seconds']:.1f} s", told)
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    heads = ("fold", "trial", "inner macro-F1", "time", "settings")
    head = "".join(f"<th>{name}</th>" for name in heads)
    rest = len(trials) - len(best)
    more = f"<p>{rest} more in tables/trials.csv.</p>" if rest > 0 else ""
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{more}"


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={_value(value)}" for path, value in settings.items()) or "none"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "null" if value is None else str(value)
