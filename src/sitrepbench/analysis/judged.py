"""A part's predictions together with the sentences that they are about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.data.dataset import DOCUMENT_ID, LABEL, SENTENCE_ID, TEXT, Dataset
from sitrepbench.errors import DataError, did_you_mean
from sitrepbench.predictions import PREDICTED, REPEAT, PredictionsTable

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: Columns that `judge` adds to the sentences; a dataset may have ``words`` of its own.
WORDS = "(words)"
PLACE = "(place)"
ANNOTATORS = "(annotators)"
AGREE, DISAGREE = "agree", "disagree"
#: The places of a sentence in its document, in order.
PLACES = ("first sentence", "first third", "middle third", "last third")


@dataclass(frozen=True)
class JudgedPart:
    """One part's predictions, and one row for each sentence that they are about.

    Parameters
    ----------
    name : str
        The part.
    predictions : PredictionsTable
        Its rows.
    sentences : DataFrame
        One row per sentence, in the dataset's order: the dataset's columns, `WORDS` (how many
        the text has), `PLACE` in the document, and `ANNOTATORS` (``agree``, ``disagree`` or
        empty) where it is known.
    at : int ndarray, shape (n_rows,)
        The row of ``sentences`` that each prediction is about.
    """

    name: str
    predictions: PredictionsTable
    sentences: pd.DataFrame
    at: Codes

    @property
    def n_repeats(self) -> int:
        """How often each sentence was predicted."""
        return int(self.predictions.frame[REPEAT].nunique())

    @property
    def gold(self) -> Codes:
        """The gold label of each sentence as an index, shape (n_sentences,)."""
        codes = pd.Index(self.predictions.labels).get_indexer(pd.Index(self.sentences[LABEL]))
        return np.asarray(codes, dtype=np.int64)

    @property
    def probabilities(self) -> Array | None:
        """Each sentence's probabilities, the mean over the repeats, shape (n_sentences, L).

        None where the model gave none.
        """
        if not self.predictions.has_probabilities:
            return None
        columns = list(self.predictions.probability_columns)
        given = self.predictions.frame[columns].to_numpy(dtype=np.float64)
        total = np.zeros((len(self.sentences), len(columns)))
        np.add.at(total, self.at, given)
        times = np.bincount(self.at, minlength=len(self.sentences))
        return np.asarray(total / times[:, np.newaxis])


def judge(
    predictions: PredictionsTable,
    dataset: Dataset,
    *,
    part: str,
    annotators: pd.Series | None = None,
) -> JudgedPart:
    """Join the predictions of one part with the sentences of their dataset.

    Parameters
    ----------
    predictions : PredictionsTable
        Of any number of parts.
    dataset : Dataset
        What was scored.
    part : str
        The part that is wanted.
    annotators : Series or None
        ``agree`` or ``disagree`` by sentence id, where annotators' own labels are known.

    Raises
    ------
    DataError
        When there is no such part, or the dataset lacks sentences or has other labels for them.
    """
    if part not in predictions.parts:
        raise DataError(
            f"the run has no part {part!r}.{did_you_mean(part, predictions.parts)} "
            f"It has: {', '.join(predictions.parts)}"
        )
    chosen = predictions.part(part)
    place = pd.Index(dataset.frame[SENTENCE_ID]).get_indexer(
        pd.Index(chosen.frame[SENTENCE_ID].astype(str))
    )
    _check_known(chosen, dataset, place)
    rows, at = np.unique(place, return_inverse=True)
    frame = dataset.frame
    sentences = frame.iloc[rows].reset_index(drop=True)
    sentences[WORDS] = sentences[TEXT].map(lambda text: len(str(text).split())).astype(int)
    sentences[PLACE] = _places(frame)[rows]
    if annotators is not None:
        sentences[ANNOTATORS] = sentences[SENTENCE_ID].map(annotators).fillna("").astype(str)
    return JudgedPart(part, chosen, sentences, np.asarray(at, dtype=np.int64))


def _check_known(chosen: PredictionsTable, dataset: Dataset, place: Codes) -> None:
    unknown = chosen.frame.loc[place < 0, SENTENCE_ID].unique()
    if len(unknown):
        raise DataError(
            f"dataset {dataset.name!r} lacks {len(unknown)} sentence(s) that were predicted, the "
            f"first is {str(unknown[0])!r}; it is not the dataset that the run was made on"
        )
    told = chosen.frame[LABEL].to_numpy(dtype=object)
    differs = dataset.frame[LABEL].to_numpy(dtype=object)[place] != told
    if differs.any():
        first = chosen.frame[SENTENCE_ID].to_numpy(dtype=object)[int(np.argmax(differs))]
        raise DataError(
            f"dataset {dataset.name!r} has other gold labels than the run for {differs.sum()} "
            f"prediction(s), the first is of sentence {first!r}; it is not the dataset that the "
            "run was made on"
        )


def _places(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Return where in its document each sentence stands; the frame is in document order."""
    grouped = frame.groupby(DOCUMENT_ID, sort=False)
    number = grouped.cumcount().to_numpy()
    size = grouped[DOCUMENT_ID].transform("size").to_numpy()
    # What follows the first sentence is divided into three: headlines and leads are their own kind.
    third = 1 + 3 * np.maximum(number - 1, 0) // np.maximum(size - 1, 1)
    return np.asarray(np.array(PLACES, dtype=object)[np.where(number == 0, 0, third)])


def wrong_rows(judged: JudgedPart) -> npt.NDArray[np.bool_]:
    """Return whether each prediction is wrong, shape (n_rows,)."""
    table = judged.predictions
    return np.asarray(table.codes(LABEL) != table.codes(PREDICTED))
