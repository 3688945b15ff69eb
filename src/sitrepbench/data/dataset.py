"""The one shape that every dataset takes once it is loaded and verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
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

#: How many values are hashed at a time: bounds the memory of `frame_digest`.
_CHUNK = 65_536


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
        sha256 over the label set and all values of all columns; see `frame_digest`.
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

    Every column goes in with the number and the lengths of its values, so no two different
    tables share a byte stream. Columns that the file adds count too, sorted by name: a model
    may read them.

    Parameters
    ----------
    frame : DataFrame
        As `canonical_frame` returns it.
    labels : tuple of str
        The label set in its order.
    """
    digest = hashlib.sha256()
    _add_values(digest, list(labels))
    extras = sorted(str(name) for name in frame.columns if name not in COLUMNS)
    for name in (*COLUMNS, *extras):
        _add_values(digest, [name])
        _add_values(digest, frame[name].tolist())
    return digest.hexdigest()


def _add_values(digest: hashlib._Hash, values: list[object]) -> None:
    """Add the number of values, their lengths in bytes, and the bytes; quick for millions."""
    digest.update(len(values).to_bytes(8, "big"))
    for start in range(0, len(values), _CHUNK):
        raw = [
            str(value).encode("utf-8", "surrogatepass") for value in values[start : start + _CHUNK]
        ]
        digest.update(np.fromiter(map(len, raw), ">u8", len(raw)).tobytes())
        digest.update(b"".join(raw))
