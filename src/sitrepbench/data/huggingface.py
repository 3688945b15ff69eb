"""Hugging Face datasets: a folder of ``save_to_disk``, of data files, or a name on the hub."""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sitrepbench.data.classes import class_names, is_index, named_classes
from sitrepbench.data.dataset import SPLIT, Dataset
from sitrepbench.data.problems import (
    REMEDIES_WITHOUT_OPTIONS,
    ProblemReport,
    check_allowed,
    shown,
)
from sitrepbench.data.readers import format_of, read_bytes, read_rows
from sitrepbench.data.rows import Rows
from sitrepbench.data.table import expanded, load_table, table_rules
from sitrepbench.data.validation import TableRules, verified_dataset
from sitrepbench.errors import ConfigError, DataError, did_you_mean

INSTALL = "pip install 'sitrepbench[datasets]'"

#: What others call the split that is ``dev`` here.
DEV_NAMES = ("validation", "valid", "val", "dev", "development")
#: What `datasets` calls the rows of data that have no splits.
NO_SPLITS = "train"

#: A name on the hub: one or two words, nothing that only a path has.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
#: The files of ``save_to_disk``: of a DatasetDict, of a Dataset.
_SAVED = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class _Part:
    """The rows of one split, as they came."""

    split: str
    rows: Rows


def load_huggingface(
    path: str | Path,
    *,
    config: str | None = None,
    split: str | Sequence[str] | None = None,
    revision: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    label_map: Mapping[str, str] | None = None,
    labels: Iterable[str] | None = None,
    name: str | None = None,
    allow: Iterable[str] = (),
) -> Dataset:
    """Read and verify a dataset of the Hugging Face kind, under the rules of `load_table`.

    The splits become the column ``split``, "validation" as ``dev``; where all rows are of the
    split "train", which is how `datasets` calls rows without splits, ``split`` is that of the
    file or empty. The numbers of a ClassLabel become the names. Data files in a folder are read
    as `load_table` reads them, so a dataset has one digest whether it came as CSV, as Parquet or
    from here.

    Parameters
    ----------
    path : str or Path
        A folder that ``save_to_disk`` wrote; a folder of Parquet, CSV or JSON Lines files as
        the hub lays them out; one such file; or, where nothing of that name is there, a name on
        the hub.
    config : str, optional
        Which of the configurations (subsets) that the dataset has.
    split : str or sequence of str, optional
        The splits to take; by default all.
    revision : str, optional
        Branch, tag or commit on the hub.
    columns, label_map, labels, name, allow
        As in `load_table`.

    Raises
    ------
    DataError
        With every problem of the data, or why it cannot be had.
    ConfigError
        When an argument does not make sense, or the extra ``datasets`` is needed and absent.
    """
    found = expanded(path)
    options: dict[str, Any] = {"columns": columns, "label_map": label_map, "labels": labels}
    check_allowed(allow)
    local = found.exists()
    if local and revision is not None:
        raise ConfigError(
            f"dataset.revision={revision}: {found} is a local path, which has no revisions"
        )
    if local and not found.is_dir():
        if config is not None or split is not None:
            raise ConfigError(
                f"dataset.config and dataset.split: {found} is one file, which has neither"
            )
        return load_table(found, name=name, allow=allow, **options)
    rules = table_rules(**options)
    _require_datasets()
    if not local:
        parts = _hub_parts(str(path), config, split, revision)
    elif any((found / saved).is_file() for saved in _SAVED):
        parts = _saved_parts(found, config, split)
    else:
        parts = _file_parts(found, config, split)
    return _verified(parts, str(found if local else path), rules, name or found.name, allow)


def _verified(
    parts: Sequence[_Part], source: str, rules: TableRules, name: str, allow: Iterable[str]
) -> Dataset:
    rows = _joined(parts)
    told = source
    if len(parts) > 1:
        # Rows are numbered through; so this tells whose they are.
        ends = 0
        spans = []
        for part in parts:
            spans.append(f"{part.split} from {ends + 1}")
            ends += len(part.rows)
        told = f"{source} (rows of {', '.join(spans)})"
    report = ProblemReport(told, allow=allow, remedies=REMEDIES_WITHOUT_OPTIONS)
    return verified_dataset(rows, rules=rules, report=report, name=name, source=source)


def _joined(parts: Sequence[_Part]) -> Rows:
    """Return the rows of all parts, numbered through, with their splits."""
    names = dict.fromkeys(name for part in parts for name in part.rows.columns)
    columns: dict[str, list[object]] = {
        name: [
            value
            for part in parts
            for value in part.rows.columns.get(name, [None] * len(part.rows))
        ]
        for name in names
        if not is_index(name)
    }
    numbers = range(1, sum(len(part.rows) for part in parts) + 1)
    if any(part.split != NO_SPLITS for part in parts):
        if SPLIT in columns:
            columns[_free(f"source_{SPLIT}", columns)] = columns.pop(SPLIT)
        columns[SPLIT] = [_own_name(part.split) for part in parts for _ in range(len(part.rows))]
    return Rows(columns, numbers)


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name = f"source_{name}"
    return name


def _own_name(split: str) -> str:
    return "dev" if split in DEV_NAMES else split


def _chosen(present: Sequence[str], split: str | Sequence[str] | None) -> list[str]:
    """Return the splits to take, of those present, in their order."""
    if split is None:
        return list(present)
    wanted = [split] if isinstance(split, str) else [str(name) for name in split]
    for name in wanted:
        if name not in present and name not in map(_own_name, present):
            raise ConfigError(
                f"dataset.split: there is no split {shown(name)}."
                f"{did_you_mean(name, present)} The dataset has: {', '.join(present)}"
            )
    return [name for name in present if name in wanted or _own_name(name) in wanted]


def _saved_parts(
    folder: Path, config: str | None, split: str | Sequence[str] | None
) -> list[_Part]:
    import datasets

    if config is not None:
        raise ConfigError(
            f"dataset.config={config}: a folder of save_to_disk holds one configuration"
        )
    try:
        loaded = datasets.load_from_disk(str(folder))
        return _loaded_parts(loaded, split)
    except ConfigError:
        raise
    # Whatever a damaged folder makes the library raise: KeyError, Arrow's, its own.
    except Exception as error:
        raise DataError(
            f"{folder}: is not a readable folder of save_to_disk: {_first_line(error)}\n"
            "What to do: save the dataset again, without splits that have no rows: the library "
            "cannot load those"
        ) from error


def _loaded_parts(loaded: Any, split: str | Sequence[str] | None) -> list[_Part]:
    """Return the parts of a Dataset or a DatasetDict."""
    if not isinstance(loaded, dict):
        loaded = {str(loaded.split or NO_SPLITS): loaded}
    by_name = {str(name): part for name, part in loaded.items()}
    parts = []
    for name in _chosen(list(by_name), split):
        data = by_name[name].with_format(None)
        classes = class_names(data.features.to_dict())
        columns = {
            column: named_classes(list(data[column]), classes.get(column))
            for column in data.column_names
        }
        parts.append(_Part(name, Rows(columns, range(1, len(data) + 1))))
    return parts


def _file_parts(folder: Path, config: str | None, split: str | Sequence[str] | None) -> list[_Part]:
    """Return the parts of a folder of data files: `datasets` says which is which split."""
    import datasets

    try:
        builder = datasets.load_dataset_builder(str(folder), name=config)
        by_split = {str(name): list(files) for name, files in builder.config.data_files.items()}
        described = class_names(builder.info.features.to_dict()) if builder.info.features else {}
    except Exception as error:
        raise DataError(
            f"{folder}: no dataset was found in this folder: {_first_line(error)}\n"
            "What to do: give a folder of save_to_disk, or one of Parquet, CSV or JSON Lines files "
            "whose names tell the splits, such as train.parquet and test.parquet; "
            "dataset.config=NAME chooses where there are several configurations"
        ) from error
    parts = []
    refused = []
    for name in _chosen(list(by_split), split):
        for file in by_split[name]:
            report = ProblemReport(str(file), remedies=REMEDIES_WITHOUT_OPTIONS)
            rows = _read(Path(file), report)
            try:
                report.raise_if_any()
            except DataError as error:
                refused.append(str(error))
            if rows is not None:
                columns = {
                    column: named_classes(values, described.get(column))
                    for column, values in rows.columns.items()
                }
                parts.append(_Part(name, Rows(columns, rows.numbers)))
    if refused:
        raise DataError("\n".join(refused))
    return parts


def _read(path: Path, report: ProblemReport) -> Rows | None:
    # `datasets` writes JSON Lines as .json.
    named = path.with_suffix(".jsonl") if path.suffix.casefold() == ".json" else path
    try:
        kind = format_of(named, None)
    except ConfigError:
        message = "expected a file of Parquet, CSV, TSV or JSON Lines, not compressed"
        report.add("unreadable_file", message)
        return None
    data = read_bytes(path, report)
    if data is None:
        return None
    return read_rows(data, kind, encoding="utf-8", quoting="standard", report=report)


def _hub_parts(
    name: str, config: str | None, split: str | Sequence[str] | None, revision: str | None
) -> list[_Part]:
    import datasets

    if not _HUB_NAME.fullmatch(name):
        raise DataError(
            f"{name}: there is no such file or folder, and it is no name on the hub\n"
            "What to do: check the path; it is relative to where the command is started"
        )
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    # Without a network it would tell of every attempt; one message says it.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        loaded = datasets.load_dataset(name, name=config, revision=revision)
    # The library raises its own, those of requests, httpx and the hub, ValueError, ...
    except Exception as error:
        raise DataError(
            f"{name}: there is no such file or folder here, and the Hugging Face hub does not give "
            f"a dataset of that name: {_first_line(error)}\n"
            "What to do: check path and spelling; dataset.config=NAME chooses a configuration; "
            "without a network, load it once where there is one and give the folder of "
            "save_to_disk"
        ) from error
    return _loaded_parts(loaded, split)


def _require_datasets() -> None:
    if importlib.util.find_spec("datasets") is None:
        raise ConfigError(
            f"dataset=huggingface needs the package datasets: {INSTALL} "
            "(one Parquet, CSV or JSONL file needs none: dataset=table dataset.path=FILE)"
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
