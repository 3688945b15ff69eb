"""A leaderboard as Markdown, CSV and JSON, and the files that it is written to."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sitrepbench.comparison.annotators import AnnotatorScores
from sitrepbench.comparison.leaderboard import Leaderboard, Row
from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.report.leaderboard_words import (
    annotators_name,
    counted,
    findings,
    interval_text,
    row_name,
    score_text,
    seconds_text,
    statements,
    title_of,
)

#: The columns of the CSV file before one F1 per label.
CSV_COLUMNS = (
    "best_rank",
    "worst_rank",
    "name",
    "kind",
    "macro_f1",
    "low",
    "high",
    "groups",
    "tied_with_best",
    "worst_domain",
    "worst_domain_macro_f1",
    "classwise_ece",
    "aurc",
    "fit_seconds",
    "predict_seconds",
    "search_seconds",
    "looks_by_hand",
    "looks_declared",
    "looks_reproduced",
    "repeats",
    "runs",
    "keys",
)
_DIGITS = 6


def board_dict(board: Leaderboard) -> dict[str, Any]:
    """Return a leaderboard as plain values for JSON; what is not known is null."""
    cheapest = board.cheapest
    optimism = board.optimism
    found = board.annotators
    return {
        "study": board.study,
        "question": board.question,
        "part": board.part,
        "dataset": {"name": board.dataset, "digest": board.digest},
        "sentences": board.n_sentences,
        "documents": board.n_documents,
        "labels": list(board.labels),
        "rows": [_row_dict(row) for row in board.rows],
        "annotators": None if found is None else _annotators_dict(found),
        "cheapest_tied_with_best": None if cheapest is None else cheapest.name,
        "optimism": None if optimism is None else {
            "best": board.rows[optimism.best].name,
            "apparent": _plain(optimism.apparent),
            "optimism": _plain(optimism.optimism),
            "corrected": _plain(optimism.corrected),
        },
        "pairs": {"told_apart": board.n_differ, "all": board.n_pairs},
        "looks": asdict(board.looks),
        "findings": list(findings(board)),
        "statements": list(statements(board)),
    }  # fmt: skip


def board_json(board: Leaderboard) -> str:
    """Return a leaderboard as JSON."""
    return json.dumps(board_dict(board), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "authors": row.authors,
        "rank": [row.best_rank, row.worst_rank],
        "groups": row.letters,
        "tied_with_best": row.is_tied_with_best,
        "macro_f1": _plain(row.scores.macro_f1),
        "interval": [_plain(row.scores.low), _plain(row.scores.high)],
        "per_label": {
            label: {"f1": _plain(score), "interval": [_plain(end) for end in ends]}
            for (label, score), ends in zip(
                row.scores.per_label.items(), row.scores.per_label_intervals.values(), strict=True
            )
        },
        "worst_domain": {
            "name": row.scores.worst_domain,
            "macro_f1": _plain(row.scores.worst_domain_macro_f1),
        },
        "classwise_ece": _plain(row.classwise_ece),
        "aurc": _plain(row.aurc),
        "seconds": {
            "fit": _plain(row.costs.fit),
            "predict": _plain(row.costs.predict),
            "search": _plain(row.costs.search),
        },
        "looks": asdict(row.looks),
        "repeats": row.n_repeats,
        "runs": row.n_runs,
        "keys": list(row.keys),
    }


def _annotators_dict(found: AnnotatorScores) -> dict[str, Any]:
    return {
        "annotators": list(found.annotators),
        "machines": found.by_machine,
        "ranked": False,
        "macro_f1": _plain(found.macro_f1),
        "interval": [_plain(found.low), _plain(found.high)],
        "per_label": {label: _plain(score) for label, score in found.per_label.items()},
        "sentences": found.n_sentences,
        "documents": found.n_documents,
    }


def _plain(value: float) -> float | None:
    return round(float(value), _DIGITS) if math.isfinite(value) else None


def board_csv(board: Leaderboard) -> str:
    """Return a row per ranked row, and one without ranks for the annotators.

    Texts that a spreadsheet would take for a formula begin with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *(f"f1/{label}" for label in board.labels)])
    for row in board.rows:
        numbers = (row.scores.worst_domain_macro_f1, row.classwise_ece, row.aurc,
                   row.costs.fit, row.costs.predict, row.costs.search)  # fmt: skip
        writer.writerow([
            row.best_rank, row.worst_rank, _cell(row.name), row.kind,
            *map(_number, (row.scores.macro_f1, row.scores.low, row.scores.high)),
            row.letters, str(row.is_tied_with_best).lower(), _cell(row.scores.worst_domain),
            *map(_number, numbers),
            row.looks.by_hand, row.looks.declared, row.looks.reproduced,
            row.n_repeats, row.n_runs, " ".join(row.keys),
            *(_number(row.scores.per_label[label]) for label in board.labels),
        ])  # fmt: skip
    found = board.annotators
    if found is not None:
        scores = [_number(value) for value in (found.macro_f1, found.low, found.high)]
        empty = [""] * (len(CSV_COLUMNS) - 7)
        per_label = [_number(found.per_label[label]) for label in board.labels]
        writer.writerow(["", "", annotators_name(found), "annotators", *scores, *empty, *per_label])
    return text.getvalue()


def _number(value: float) -> str:
    return f"{value:.{_DIGITS}f}" if math.isfinite(value) else ""


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def board_markdown(board: Leaderboard) -> str:
    """Return the ranked table, the table of labels and costs, and what is said about them."""
    from sitrepbench.report.markdown import table

    ranks, labels = tables(board)
    lines = [
        f"# {title_of(board)}",
        f"**Question:** {_escaped(board.question)}" if board.question else "",
        f"{counted(board)}, {len(board.rows)} rows.",
        table([*ranks[0]], [[_escaped(cell) for cell in row] for row in ranks[1]]),
        "\n".join(f"- {_escaped(line)}" for line in findings(board)),
        "## Labels, conflicts, calibration, costs",
        table([*map(_escaped, labels[0])], [[_escaped(cell) for cell in row] for row in labels[1]]),
        *map(_escaped, statements(board)),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


Cells = tuple[list[str], list[list[str]]]


def tables(board: Leaderboard) -> tuple[Cells, Cells]:
    """Return the two tables as heads and cells: the ranking, and what lies behind it."""
    ranking = [
        [
            row.rank,
            row_name(row),
            score_text(row.scores.macro_f1),
            interval_text(row.scores.low, row.scores.high),
            row.letters,
            seconds_text(row.costs.total),
        ]
        for row in board.rows
    ]
    behind = [
        [
            row_name(row),
            *(score_text(row.scores.per_label[label]) for label in board.labels),
            f"{score_text(row.scores.worst_domain_macro_f1)} {row.scores.worst_domain}".strip(),
            score_text(row.classwise_ece),
            score_text(row.aurc),
            *map(seconds_text, (row.costs.fit, row.costs.predict, row.costs.search)),
            str(row.looks.total),
        ]
        for row in board.rows
    ]
    found = board.annotators
    if found is not None:
        name = annotators_name(found)
        ranking.append(["", name, score_text(found.macro_f1),
                        interval_text(found.low, found.high), "", ""])  # fmt: skip
        scores = [score_text(found.per_label[label]) for label in board.labels]
        behind.append([name, *scores, *[""] * 7])
    heads = ["rank", "model", "macro-F1", "95 % interval", "group", "fit + predict (s)"]
    more = [
        "model", *board.labels, "worst conflict", "ECE", "AURC",
        "fit (s)", "predict (s)", "search (s)", "looks",
    ]  # fmt: skip
    return (heads, ranking), (more, behind)


def _escaped(text: str) -> str:
    r"""Return a text that Markdown shows as it stands, wherever it came from.

    >>> _escaped("[0.1, 0.2] <b>*c*</b> [a](b)")
    '[0.1, 0.2] &lt;b&gt;\\*c\\*&lt;/b&gt; [a]\\(b)'
    """
    for mark in ("\\", "`", "*"):
        text = text.replace(mark, f"\\{mark}")
    text = text.replace("](", "]\\(")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def _html(board: Leaderboard) -> str:
    from sitrepbench.report.leaderboard_html import board_html

    return board_html(board)


def _svg(board: Leaderboard) -> str:
    from sitrepbench.report.leaderboard_figures import draw_leaderboard

    return draw_leaderboard(board)


def _png(board: Leaderboard) -> bytes:
    from sitrepbench.report.leaderboard_figures import draw_leaderboard_png

    return draw_leaderboard_png(board)


#: What makes a file, by its suffix. Only a figure needs matplotlib, which is slow to import.
FORMATS: Mapping[str, Callable[[Leaderboard], str | bytes]] = MappingProxyType(
    {
        ".md": board_markdown,
        ".csv": board_csv,
        ".json": board_json,
        ".html": _html,
        ".svg": _svg,
        ".png": _png,
    }
)


def check_outputs(paths: Sequence[str]) -> list[Path]:
    """Return the files to write, before anything is computed.

    Raises
    ------
    ConfigError
        With every file whose suffix is of no format.
    """
    odd = [path for path in paths if Path(path).suffix.casefold() not in FORMATS]
    if odd:
        raise ConfigError(
            f"--output {', '.join(odd)}: expected a file that ends in {', '.join(FORMATS)}"
        )
    return [Path(path).expanduser() for path in paths]


def write_outputs(board: Leaderboard, paths: Sequence[Path]) -> None:
    """Write a leaderboard to files, each in the format of its suffix.

    Raises
    ------
    StoreError
        When one cannot be written.
    """
    for path in paths:
        content = FORMATS[path.suffix.casefold()](board)
        data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
