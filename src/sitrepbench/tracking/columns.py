"""Which columns a list of runs needs to tell them apart, and how wide they are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.content import (
    CHOICES,
    development_part,
    is_seed,
    metric_name,
    run_params,
    run_tags,
)

#: A label set of more is cut in the columns; the tables have them all.
_MAX_LABELS = 8
#: Pixels for the word "(average)" behind a number.
_AVERAGE_WIDTH = 60
_TAGS = ("model", "features", "protocol", "dataset", "looks")


@dataclass(frozen=True)
class ShownRun:
    """What of a run decides which columns a list of runs needs.

    Parameters
    ----------
    params, tags : dict
        As `run_params` and `run_tags` give them.
    parts, labels : tuple of str
        What was scored, and over which labels.
    """

    params: dict[str, str]
    tags: dict[str, str]
    parts: tuple[str, ...]
    labels: tuple[str, ...]


def shown_run(record: RunRecord) -> ShownRun:
    """Return what of a record decides on columns."""
    params = run_params(record)
    return ShownRun(params, run_tags(record, params), tuple(record.scores), tuple(record.labels))


def varied_params(runs: Sequence[ShownRun], *, limit: int = 6) -> list[str]:
    """Return the parameters in which the runs differ, those that tell most apart first.

    What follows from the choice of a model or of features is told by that choice, so a parameter
    counts only where it varies among runs that agree on it.
    """
    found: dict[str, int] = {}
    for name in sorted({name for run in runs for name in run.params}):
        head, _, last = name.partition(".")
        if name in CHOICES or last == "target":
            continue
        values: dict[str, set[str]] = {}
        for run in runs:
            choice = run.params.get(head, "") if head in CHOICES else ""
            values.setdefault(choice, set()).add(run.params.get(name, ""))
        most = max(map(len, values.values()))
        if most > 1:
            found[name] = most
    return sorted(found, key=lambda name: (is_seed(name), -found[name], name))[:limit]


def metric_columns(runs: Iterable[ShownRun]) -> tuple[list[str], list[str], list[str]]:
    """Return the columns of macro-F1, the one to sort by first, of its interval, of the labels."""
    listed = list(runs)
    parts = dict.fromkeys(part for run in listed for part in run.parts)
    development = development_part(parts)
    labels = list(dict.fromkeys(label for run in listed for label in run.labels))
    headline = [f"{part}/macro_f1" for part in parts if part != development]
    intervals: list[str] = []
    details: list[str] = []
    if development is not None:
        headline = ["macro_f1", *headline]
        intervals = ["macro_f1_low", "macro_f1_high"]
        details = [f"f1/{label}" for label in labels[:_MAX_LABELS]]
    return metrics(headline or ["macro_f1"]), metrics(intervals), metrics(details)


def metrics(names: Iterable[str]) -> list[str]:
    """Return the columns of metrics."""
    return [f"metrics.`{metric_name(name)}`" for name in names]


def tag_columns(runs: Sequence[ShownRun]) -> tuple[list[str], list[str]]:
    """Return the tags without which the scores cannot be compared, and the others.

    Scores on different data, or by different protocols, stand in one list; that must be seen.
    """
    differing = [
        name for name in ("dataset", "protocol") if len({run.tags.get(name) for run in runs}) > 1
    ]
    others = [name for name in _TAGS if name not in differing]
    return [f"tags.`{name}`" for name in differing], [f"tags.`{name}`" for name in others]


def longest_texts(runs: Iterable[ShownRun]) -> dict[str, int]:
    """Return the length of the longest value of every parameter and tag, by column."""
    lengths: dict[str, int] = {}
    for run in runs:
        for kind, values in (("params", run.params), ("tags", run.tags)):
            for name, value in values.items():
                column = f"{kind}.`{name}`"
                lengths[column] = max(lengths.get(column, 0), len(value))
    return lengths


def column_width(column: str, texts: Mapping[str, int], *, mean: bool = False) -> int:
    """Return a width (pixels) at which the header and the values can be read."""
    letters = max(len(column.split("`")[1]), texts.get(column, 0))
    average = _AVERAGE_WIDTH if mean and column.startswith("metrics") else 0
    return min(max(70, 26 + 7 * letters), 160) + average
