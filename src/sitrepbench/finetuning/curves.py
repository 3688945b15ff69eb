"""The curves of a fit under way: a line of JSON per point, appended as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

CURVE_FILE = "curve.jsonl"
#: What is measured, by the metric's name.
MEASURES = ("train_loss", "learning_rate", "dev_loss", "dev_macro_f1")
#: The columns of a run's table of curves: ``fit`` numbers the fits in the order of their
#: beginnings, ``step`` counts a fit's optimizer steps, ``time`` is in seconds since 1970.
CURVE_COLUMNS = ("fit", "step", "epoch", "time", *MEASURES)


class CurveFile:
    """Writes the points of one fit.

    What a killed process measured behind its last checkpoint is measured again by the one that
    goes on, with the same result: such a point stays as it was written, and shown, first.

    Parameters
    ----------
    folder : Path
        The fit's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / CURVE_FILE
        kept = read_points(self._path)
        self._there = {_what(point) for point in kept}
        # A last line that was only half written goes.
        beside = self._path.with_suffix(".new")
        beside.write_text("".join(map(_line, kept)), encoding="utf-8")
        beside.replace(self._path)

    def add(self, *, step: int, epoch: int, **measured: float) -> None:
        """Append a point, if it is not there yet; ``measured`` is named by `MEASURES`."""
        point = {"step": step, "epoch": epoch, "time": round(time.time(), 3), **measured}
        if _what(point) in self._there:
            return
        self._there.add(_what(point))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(point))


def _what(point: Mapping[str, Any]) -> tuple[int, frozenset[str]]:
    """Return what is measured by a point: its step, and the names of the measures."""
    return point["step"], frozenset(point) & frozenset(MEASURES)


def _line(point: dict[str, Any]) -> str:
    return json.dumps(point) + "\n"


def read_points(path: Path) -> list[dict[str, Any]]:
    """Return the points of a file; none where there is none, and no half-written last line."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return list(_whole(text.splitlines(keepends=True)))


def _whole(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            point = json.loads(line)
        except ValueError:
            continue
        if line.endswith("\n") and isinstance(point, dict) and "step" in point:
            yield point


def read_curves(folder: Path) -> pd.DataFrame:
    """Return the points of all fits in a run's folder, columns `CURVE_COLUMNS`.

    Fits come in the order in which they began; what was not measured at a step is NaN.
    """
    fits = [read_points(path) for path in folder.glob(f"*/{CURVE_FILE}")]
    ordered = sorted((fit for fit in fits if fit), key=lambda fit: float(fit[0]["time"]))
    rows = [{"fit": number, **point} for number, fit in enumerate(ordered) for point in fit]
    table = pd.DataFrame(rows, columns=list(CURVE_COLUMNS))
    kinds = {name: "int64" if name in ("fit", "step", "epoch") else "float64" for name in table}
    return table.astype(kinds)
