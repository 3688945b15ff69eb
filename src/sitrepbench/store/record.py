"""A run's record: what lies in ``<results>/runs/<content key>/`` once a run is done.

``record.json`` holds everything but the tables. ``predictions.parquet`` and ``cells.parquet`` hold
those; ``trials.parquet`` that of a run that was tuned, ``curves.parquet`` of one whose fits have
curves. A record is written beside and renamed into place, so a folder that exists is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from sitrepbench.errors import StoreError
from sitrepbench.predictions import PredictionsTable

RECORD_FORMAT = 2
RECORD_FILE = "record.json"
PREDICTIONS_FILE = "predictions.parquet"
CELLS_FILE = "cells.parquet"
TRIALS_FILE = "trials.parquet"
CURVES_FILE = "curves.parquet"
TABLE_FILES = (PREDICTIONS_FILE, CELLS_FILE)


class UnreadableError(StoreError):
    """A record that is sound for all we know, but that this process cannot read."""


@dataclass(frozen=True)
class RunRecord:
    """What is kept of one finished run.

    Parameters
    ----------
    key : str
        The content key (hex): what decides the predictions, and the folder's name.
    key_parts : dict
        The key's ingredients by name, so that two keys can be compared field by field.
    names : dict
        The chosen ``dataset``, `protocol`, ``features`` and ``model`` by their config names.
    run_name : str
        At most 18 characters, for lists.
    study : str
        The study or, without one, ``adhoc``.
    config : dict
        The whole resolved configuration.
    overrides : list of str
        What was given on the command line.
    dataset : dict
        ``name, digest, version, source, sentences, documents`` of what was scored, and under
        ``trained_on`` the same of another dataset where the protocol has one.
    labels : list of str
        The label set, in order.
    environment : dict
        Python, libraries, BLAS, CPU, commit, host (see `sitrepbench.environment`).
    created : str
        When the run finished, ISO 8601 in UTC.
    seconds : dict
        ``total``, ``fit`` and ``predict`` wall time, seconds; fit and predict as if nothing were
        reused.
    peak_memory_mb : float
        The highest resident set while the run was computed, MiB, with what the process held
        before; where the system cannot count anew (other than Linux), since the process began.
    looks : list of dict
        The looks at locked test splits that this run took: ``split, reason, time, by``.
    notes : list of str
        What a reader of the run should know, one line each.
    scores : dict
        Per part the headline metrics, a copy for lists; the predictions are the truth.
    predictions_digest : str
        As `PredictionsTable.digest` gives it.
    tuning : dict
        Empty without a tuner; else ``search`` (the tuner's configuration), ``chosen`` (per cell
        ``part, repeat, fold, settings, score, trials``: what was taken, its macro-F1 on the inner
        folds, how many were tried) and ``seconds`` of all searches.
    files : dict
        The sha256 of each table's file, filled in by `write_record`.
    """

    key: str
    key_parts: dict[str, Any]
    names: dict[str, str]
    run_name: str
    study: str
    config: dict[str, Any]
    overrides: list[str]
    dataset: dict[str, Any]
    labels: list[str]
    environment: dict[str, Any]
    created: str
    seconds: dict[str, float]
    peak_memory_mb: float
    looks: list[dict[str, str]]
    notes: list[str]
    scores: dict[str, dict[str, float]]
    predictions_digest: str
    tuning: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    format: int = RECORD_FORMAT
    folder: Path = field(default=Path(), compare=False)

    def predictions(self) -> PredictionsTable:
        """Read the predictions table."""
        return PredictionsTable.read(self.folder / PREDICTIONS_FILE, tuple(self.labels))

    def cells(self) -> pd.DataFrame:
        """Read the table of cells: part, repeat, fold, n_train, n_test, seconds."""
        return pd.read_parquet(self.folder / CELLS_FILE)

    def trials(self) -> pd.DataFrame:
        """Read the table of a search's trials: `sitrepbench.tuning.trials.TRIAL_COLUMNS`.

        Empty where nothing was searched.
        """
        if not (self.folder / TRIALS_FILE).is_file():
            return pd.DataFrame()
        return pd.read_parquet(self.folder / TRIALS_FILE)

    def curves(self) -> pd.DataFrame:
        """Read the curves of training: `sitrepbench.finetuning.curves.CURVE_COLUMNS`.

        Empty where no fit has any.
        """
        if not (self.folder / CURVES_FILE).is_file():
            return pd.DataFrame()
        return pd.read_parquet(self.folder / CURVES_FILE)


def write_record(
    record: RunRecord,
    folder: Path,
    *,
    predictions: PredictionsTable,
    cells: pd.DataFrame,
    trials: pd.DataFrame | None = None,
    curves: pd.DataFrame | None = None,
) -> None:
    """Write a record and its tables into an existing, empty folder, through to the disk."""
    predictions.write(folder / PREDICTIONS_FILE)
    cells.to_parquet(folder / CELLS_FILE, index=False)
    tables = list(TABLE_FILES)
    for name, table in ((TRIALS_FILE, trials), (CURVES_FILE, curves)):
        if table is not None and len(table):
            table.to_parquet(folder / name, index=False)
            tables.append(name)
    content = asdict(record)
    del content["folder"]
    content["files"] = {name: _file_digest(folder / name) for name in tables}
    (folder / RECORD_FILE).write_text(
        json.dumps(content, indent=1, sort_keys=True, allow_nan=True, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    for name in (*tables, RECORD_FILE):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def read_record(folder: Path) -> RunRecord:
    """Read the record in ``folder`` and check that its tables are whole.

    Raises
    ------
    StoreError
        When a file is missing, damaged or of another format.
    """
    path = folder / RECORD_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a readable run record: {error}") from error
    known = {item.name for item in fields(RunRecord)} - {"folder"}
    if not isinstance(content, dict):
        raise StoreError(f"{path}: not a run record")
    if content.get("format") != RECORD_FORMAT:
        raise UnreadableError(
            f"{path}: of format {content.get('format')!r}, and this program reads "
            f"{RECORD_FORMAT}; it was written by another version of sitrepbench"
        )
    if set(content) != known:
        odd = ", ".join(sorted(set(content) ^ known))
        raise StoreError(f"{path}: fields missing or unknown: {odd}")
    _check_types(content, path)
    for name in {*TABLE_FILES, *content["files"]}:
        try:
            found = _file_digest(folder / name)
        except PermissionError as error:
            raise UnreadableError(f"{folder / name}: {error.strerror}") from error
        except OSError as error:
            raise StoreError(f"{folder / name}: cannot be read: {error}") from error
        if found != content["files"].get(name):
            raise StoreError(f"{folder / name}: changed since it was written")
    return RunRecord(**content, folder=folder)


def _check_types(content: dict[str, Any], path: Path) -> None:
    """Refuse a record whose fields are of other types than they are written with."""
    kinds: dict[str, tuple[type, ...]] = {
        "dict": (dict,),
        "list": (list,),
        "str": (str,),
        "float": (int, float),
        "int": (int,),
    }
    for item in fields(RunRecord):
        kind = kinds.get(str(item.type).partition("[")[0])
        if kind is not None and item.name in content and not isinstance(content[item.name], kind):
            raise StoreError(f"{path}: {item.name} is not of type {item.type}")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
