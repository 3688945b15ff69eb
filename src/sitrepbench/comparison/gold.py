"""Gold labels of one part: what a predictions file is held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.data.card import CARD_FILE
from sitrepbench.data.dataset import DOCUMENT_ID, DOMAIN, LABEL, SECONDARY, SENTENCE_ID, SPLIT
from sitrepbench.data.dataset import Dataset as Dataset
from sitrepbench.data.shipped import load_card_dataset, load_shipped, shipped_names
from sitrepbench.data.table import load_table
from sitrepbench.errors import ConfigError, DataError, did_you_mean
from sitrepbench.parts import is_test_part
from sitrepbench.predictions import PART, PredictionsTable
from sitrepbench.protocols.cells import development_rows

#: The parts that are no split of a dataset: its development rows, and all of it.
CROSS_VALIDATED = "cv"
ALL = "all"

GOLD_COLUMNS = (SENTENCE_ID, DOCUMENT_ID, DOMAIN, LABEL, SECONDARY)


@dataclass(frozen=True)
class Gold:
    """The sentences of one part of a dataset with what is known of them.

    Parameters
    ----------
    frame : DataFrame
        One row per sentence, columns `GOLD_COLUMNS`, sorted by sentence id, with a fresh index.
    labels : tuple of str
        The label set, in order.
    part : str
        ``cv``, ``dev``, ``test`` ...
    dataset, digest : str
        Name and digest of the dataset; empty where they are not known.
    test_splits : tuple of str
        The test splits among the sentences: who scores anything on them takes a look.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    part: str
    dataset: str = ""
    digest: str = ""
    test_splits: tuple[str, ...] = field(default=())

    @property
    def n_documents(self) -> int:
        """The number of distinct documents."""
        return int(self.frame[DOCUMENT_ID].nunique())


def gold_of(
    table: PredictionsTable,
    part: str,
    *,
    dataset: str = "",
    digest: str = "",
    looks: Iterable[str] = (),
) -> Gold:
    """Return the gold labels that a predictions table carries for one of its parts.

    Parameters
    ----------
    table : PredictionsTable
        Of a stored run.
    part : str
        One of its parts.
    dataset, digest : str
        What was scored, for messages and for the ledger of looks.
    looks : iterable of str
        The test splits that the run has read, for a part ``all`` that holds some.

    Raises
    ------
    DataError
        When there is no such part, with the nearest name, or a sentence has two gold labels.
    """
    if part not in table.parts:
        raise DataError(
            f"no predictions of part {part!r}.{did_you_mean(part, table.parts)} The parts are: "
            f"{', '.join(table.parts) or 'none'}"
        )
    rows = table.frame.loc[table.frame[PART] == part, list(GOLD_COLUMNS)]
    rows = rows.drop_duplicates([SENTENCE_ID, LABEL])
    doubled = rows[SENTENCE_ID].duplicated()
    if doubled.any():
        first = rows[SENTENCE_ID][doubled].iloc[0]
        raise DataError(
            f"part {part}: {int(doubled.sum())} sentence(s) bear two gold labels, the first is "
            f"{first!r}"
        )
    tests = tuple(sorted(set(looks))) if part == ALL else ()
    return Gold(
        rows.sort_values(SENTENCE_ID, ignore_index=True),
        table.labels,
        part,
        dataset,
        digest,
        (part,) if is_test_part(part) else tests,
    )


def gold_of_dataset(dataset: Dataset, part: str) -> Gold:
    """Return the gold labels of a split of a dataset, or of ``cv`` or ``all``.

    Parameters
    ----------
    dataset : Dataset
        Verified.
    part : str
        A split's name; ``cv`` for all rows but those of test splits, ``all`` for every row.

    Raises
    ------
    DataError
        When the dataset has no such part, with the nearest name.
    """
    splits = dataset.frame[SPLIT].to_numpy()
    at: npt.NDArray[np.int64]
    if part in dataset.splits:
        at = np.flatnonzero(splits == part)
    elif part == CROSS_VALIDATED:
        at = development_rows(dataset)
    elif part == ALL:
        at = np.arange(len(splits), dtype=np.int64)
    else:
        at = np.zeros(0, dtype=np.int64)
    if not len(at):
        known = (*dataset.splits, CROSS_VALIDATED, ALL)
        raise DataError(
            f"dataset {dataset.name!r} has no part {part!r}.{did_you_mean(part, known)} Its parts "
            f"are: {', '.join(known)}"
        )
    rows = dataset.frame.iloc[at][list(GOLD_COLUMNS)]
    tests = sorted({str(name) for name in np.unique(splits[at]) if is_test_part(str(name))})
    return Gold(
        rows.sort_values(SENTENCE_ID, ignore_index=True),
        dataset.labels,
        part,
        dataset.name,
        dataset.digest,
        tuple(tests),
    )


def find_dataset(name: str, *, beside: Path | None = None) -> Dataset:
    """Load a dataset by the name of a shipped one, by its card, its folder or its table.

    Parameters
    ----------
    name : str
        ``sitrep``, ``my/card.yaml``, ``my`` (a folder with a card) or ``my.csv``.
    beside : Path, optional
        The folder that a relative path starts from; the working folder by default.

    Raises
    ------
    ConfigError
        When it is neither, with the nearest name.
    DataError
        With every problem of the card or table.
    """
    names = shipped_names()
    if name in names:
        return load_shipped(name)
    try:
        path = Path(name).expanduser()
        path = path if beside is None else beside / path
        card = path / CARD_FILE
        if card.is_file():
            return load_card_dataset(card)
        found = path.is_file()
    except (OSError, RuntimeError, ValueError):
        found = False
    if not found:
        raise ConfigError(
            f"no dataset {name!r}: it is neither a file, nor a folder with a {CARD_FILE}, nor one "
            f"of {', '.join(names)}.{did_you_mean(name, names)}"
        )
    return load_card_dataset(path) if path.suffix in (".yaml", ".yml") else load_table(path)
