"""The one shape that every dataset takes once it is loaded and verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pandas as pd

SENTENCE_ID = "sentence_id"
DOCUMENT_ID = "document_id"
POSITION = "position"
TEXT = "text"
LABEL = "label"
SECONDARY = "secondary"
DOMAIN = "domain"
SPLIT = "split"
CLUSTER = "cluster"

#: The columns of every dataset, in this order; what a card or file adds comes after them.
COLUMNS = (
    SENTENCE_ID,
    DOCUMENT_ID,
    POSITION,
    TEXT,
    LABEL,
    SECONDARY,
    DOMAIN,
    SPLIT,
    CLUSTER,
)


@dataclass(frozen=True)
class Dataset:
    """Labelled sentences, verified, in a canonical order.

    Parameters
    ----------
    name : str
        A label for people; never part of an identity.
    frame : DataFrame
        One row per sentence, sorted by document, position and id, with a fresh index and the
        columns of `COLUMNS`: all ``str`` except ``position`` (int). ``secondary`` joins labels
        by ``|``; ``secondary``, ``domain``, ``split`` and ``cluster`` are empty strings where
        the dataset has none. Further columns are kept as they came.
    labels : tuple of str
        The label set, in the order of every table and matrix; owned by the dataset.
    digest : str
        sha256 over the label set and all rows of `COLUMNS`; see `frame_digest`.
    source : str
        Where the rows came from, for people.
    version : str
        The dataset's version, empty where it has none.
    notes : tuple of str
        What the loader tolerated because it was told to, one line each.
    """

    name: str
    frame: pd.DataFrame
    labels: tuple[str, ...]
    digest: str
    source: str
    version: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the dataset's own splits, sorted; empty where it has none."""
        return tuple(sorted(name for name in self.frame[SPLIT].unique() if name))

    @property
    def n_documents(self) -> int:
        """The number of distinct documents."""
        return int(self.frame[DOCUMENT_ID].nunique())


def canonical_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows sorted by document, position and sentence id, with the columns in order."""
    extras = [name for name in frame.columns if name not in COLUMNS]
    ordered = frame[[*COLUMNS, *extras]]
    return ordered.sort_values(
        [DOCUMENT_ID, POSITION, SENTENCE_ID], kind="stable", ignore_index=True
    )


def frame_digest(frame: pd.DataFrame, labels: tuple[str, ...]) -> str:
    """Return the sha256 of the label set and of every row of a canonical frame.

    Every field is length-prefixed, so no two different tables share a byte stream. Extra
    columns do not count: they may become features only by way of a configuration, which is
    hashed by itself.

    Parameters
    ----------
    frame : DataFrame
        As `canonical_frame` returns it.
    labels : tuple of str
        The label set in its order.
    """
    digest = hashlib.sha256()

    def add(value: str) -> None:
        raw = value.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)

    for label in labels:
        add(label)
    for name in COLUMNS:
        add(name)
        for value in frame[name]:
            add(str(value))
    return digest.hexdigest()
