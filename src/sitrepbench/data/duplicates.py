"""Which documents have to stay together because they tell, in part, the same story."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sitrepbench.data.dataset import CLUSTER, DOCUMENT_ID, TEXT

#: Equal texts of fewer tokens ("He declined to comment.") do not make two documents one.
MIN_TOKENS = 8

_NO_WORD = re.compile(r"[\W_]+")


def document_groups(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the group of every row; no group may stand on both sides of a split.

    A document is always whole in one group. Two documents share a group if they share a value
    of ``cluster`` or, where the dataset has no clusters, a text of at least `MIN_TOKENS` tokens
    that is equal but for case, white space and punctuation; and if they are linked so by way of
    others.

    Parameters
    ----------
    frame : DataFrame, n_rows rows
        With the columns ``document_id``, ``text`` and ``cluster`` of a `Dataset`.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Group numbers from 0, in the order of the groups' first rows.

    Examples
    --------
    >>> frame = pd.DataFrame({"document_id": ["a", "a", "b", "c"],
    ...                       "text": ["w", "x", "y", "z"], "cluster": ["1", "2", "2", "3"]})
    >>> document_groups(frame).tolist()
    [0, 0, 0, 1]
    """
    documents, names = pd.factorize(frame[DOCUMENT_ID])
    keys = frame[CLUSTER].to_numpy(dtype=object)
    if not any(keys):
        keys = _text_keys(frame[TEXT])
    linked = np.flatnonzero(keys != "")
    links, link_names = pd.factorize(keys[linked])
    size = len(names) + len(link_names)
    graph = coo_array(
        (np.ones(len(linked), dtype=np.int8), (documents[linked], len(names) + links)),
        shape=(size, size),
    )
    _, components = connected_components(graph.tocsr(), directed=False)
    groups, _ = pd.factorize(components[documents])
    return np.asarray(groups, dtype=np.int64)


def normalised_text(text: str) -> str:
    """Return a text with case, white space and punctuation levelled.

    >>> normalised_text('"Six  killed", SANA says.')
    'six killed sana says'
    """
    return _NO_WORD.sub(" ", text.casefold()).strip()


def _text_keys(texts: pd.Series) -> npt.NDArray[np.object_]:
    """Return the normalised text of every row that is long enough, else ''."""
    keys = [normalised_text(text) for text in texts]
    long_enough = [key if key.count(" ") >= MIN_TOKENS - 1 else "" for key in keys]
    return np.array(long_enough, dtype=object)
