"""Curves of training as MLflow shows them: metrics by steps, also while a run is under way.

A worker appends points to files in the results store and never touches MLflow; the parent reads
the files. A run's steps count on from fit to fit, so that four metrics hold the curves of all its
folds. A run under way is shown as RUNNING; the finished run is written into that same MLflow run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sitrepbench.finetuning.curves import MEASURES, read_curves
from sitrepbench.store.waste import FITS

#: Of a metric with more points, as of a search with many fits, so many are shown.
MOST_POINTS = 2_000


@dataclass(frozen=True)
class Point:
    """A metric's value at a step of training; ``time`` is in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class LiveRun:
    """A run under way, as its MLflow run shows it."""

    key: str
    name: str
    tags: Mapping[str, str]


def curve_points(curves: pd.DataFrame) -> tuple[Point, ...]:
    """Return the points of a run's table of curves, metric by metric, in the order of the steps.

    Parameters
    ----------
    curves : DataFrame
        Columns `sitrepbench.finetuning.curves.CURVE_COLUMNS`; or empty.
    """
    if curves.empty:
        return ()
    lengths = curves.groupby("fit")["step"].max() + 1
    steps = curves["step"] + curves["fit"].map(lengths.cumsum() - lengths)
    times = (1000 * curves["time"]).round().astype("int64")
    found: list[Point] = []
    for name in MEASURES:
        points = [
            Point(name, float(value), int(time), int(step))
            for value, time, step in zip(curves[name], times, steps, strict=True)
            if math.isfinite(value)
        ]
        every = -(-len(points) // MOST_POINTS) or 1
        found += points[::every]
    return tuple(found)


class CurveWatch:
    """Finds the points that runs under way have added to their curves.

    Parameters
    ----------
    folder : Path
        With a folder per run under way, named by its content key.
    runs : callable
        Returns the runs that may be among them, by content key.
    """

    def __init__(self, folder: Path, runs: Callable[[], Mapping[str, LiveRun]]) -> None:
        self._folder, self._runs = folder, runs
        self._sent: dict[str, int] = {}

    def fresh(self) -> Iterator[tuple[LiveRun, tuple[Point, ...]]]:
        """Yield the runs that have new points, with them; say `sent` when they are written."""
        runs = self._runs()
        for path in sorted(self._folder.glob(f"*/{FITS}")):
            run = runs.get(path.parent.name)
            if run is None:
                continue
            last = self._sent.get(run.key, -1)
            points = curve_points(read_curves(path))
            if new := tuple(point for point in points if point.time > last):
                yield run, new

    def sent(self, run: LiveRun, points: tuple[Point, ...]) -> None:
        """Take note that points are written, and need not be again."""
        self._sent[run.key] = max(point.time for point in points)
