"""Labelling a DataFrame, alone or partition by partition on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sitrepbench.data.dataset import DOCUMENT_ID, TEXT
from sitrepbench.data.problems import shown
from sitrepbench.errors import DataError
from sitrepbench.labelling.counting import freeze_vocabularies
from sitrepbench.labelling.questions import ModelFacts, fields_of
from sitrepbench.trained import TrainedModel, load_trained

#: Rows that a model is asked about at once, where no row needs another.
_ROWS = 10_000


def label_frame(
    frame: pd.DataFrame,
    model: TrainedModel | str | Path,
    *,
    text_column: str | None = None,
    probabilities: bool = True,
    allow_pickle: bool = False,
    trust: Sequence[str] = (),
    encoder: str | None = None,
) -> pd.DataFrame:
    """Return a table with what a model says of its rows in further columns.

    A model that is named by its folder is loaded once per process, so that this can be handed
    to ``map_partitions`` of a Dask DataFrame; an empty table gives the ``meta`` for it.

    Parameters
    ----------
    frame : DataFrame, n_rows rows
        With a column of sentences, and what else the model reads.
    model : TrainedModel, str or Path
        The model, or its folder.
    text_column : str, optional
        The column of the sentences; by default ``text``, or ``sentence``.
    probabilities : bool
        Whether to add ``p_<label>`` where the model has them.
    allow_pickle, trust, encoder
        As in `sitrepbench.trained.load_trained`, for a model that is named by its folder.

    Returns
    -------
    DataFrame, n_rows rows
        The same rows with the same index, and the columns ``predicted`` (str) and
        ``p_<label>`` (float64).

    Raises
    ------
    DataError
        When a column is missing or there already, a text is missing or empty, or a model reads
        whole documents and the rows of one do not stand together.
    """
    if isinstance(model, TrainedModel):
        used = model
    else:
        used = _loaded(str(model), allow_pickle, tuple(trust), encoder)
    facts = ModelFacts.of(used)
    names = [str(name) for name in frame.columns]
    added = facts.added(probabilities=probabilities)
    clash = sorted(set(names) & set(added))
    if clash:
        raise DataError(f"the DataFrame has a column {shown(clash[0])} already; rename it")
    columns = {} if text_column is None else {TEXT: text_column}
    fields = fields_of(names, facts, source="the DataFrame", columns=columns)
    asked = pd.DataFrame({field: frame[column].to_numpy() for field, column in fields.items()})
    asked[TEXT] = _stripped(frame[fields[TEXT]], fields[TEXT])
    whole = facts.reads_documents and DOCUMENT_ID in asked
    if whole:
        _check_together(asked[DOCUMENT_ID])
    elif DOCUMENT_ID not in asked:
        asked[DOCUMENT_ID] = np.arange(len(asked)).astype(str)
    step = max(len(asked), 1) if whole else _ROWS
    wanted = probabilities and facts.has_probabilities
    given = [
        used.answer(asked.iloc[at : at + step], probabilities=wanted)
        for at in range(0, max(len(asked), 1), step)
    ]
    result = frame.copy()
    predicted = np.concatenate([labels for labels, _ in given])
    result[added[0]] = pd.Series(predicted, index=frame.index, dtype="str")
    values = np.concatenate([probabilities for _, probabilities in given])
    for place, name in enumerate(added[1:]):
        result[name] = pd.Series(values[:, place], index=frame.index, dtype="float64")
    return result


@lru_cache(maxsize=2)
def _loaded(
    folder: str, allow_pickle: bool, trust: tuple[str, ...], encoder: str | None
) -> TrainedModel:
    model = load_trained(folder, allow_pickle=allow_pickle, trust=trust, encoder=encoder)
    freeze_vocabularies(model.pipeline)
    return model


def _stripped(texts: pd.Series, column: str) -> list[str]:
    """Return the texts as they are for training."""
    found = texts.tolist()
    bad = [place for place, text in enumerate(found) if not isinstance(text, str)]
    bad += [place for place, text in enumerate(found) if isinstance(text, str) and not text.strip()]
    if bad:
        first = min(bad)
        raise DataError(
            f"the DataFrame: {len(bad):,} row(s) have no text in column {shown(column)}; the "
            f"first is row {first + 1:,} (index {shown(texts.index[first])}): "
            f"{shown(found[first])}. Take them out"
        )
    return [text.strip() for text in found]


def _check_together(documents: pd.Series) -> None:
    ids = documents.astype(str)
    starts = ids[ids != ids.shift()]
    again = starts[starts.duplicated()]
    if len(again):
        raise DataError(
            f"the DataFrame: row {again.index[0] + 1:,}: the document {shown(again.iloc[0])} comes "
            "up again after other documents. The model reads sentences with their neighbours: "
            "sort the rows by document and position first"
        )
