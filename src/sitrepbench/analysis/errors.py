"""Everything that the error analysis of one part of a run comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sitrepbench.analysis.judged import (
    AGREE,
    DISAGREE,
    JudgedPart,
    judge,
    wrong_rows,
)
from sitrepbench.analysis.label_errors import Suspects, find_suspects
from sitrepbench.analysis.mistakes import confused_pairs, list_mistakes
from sitrepbench.analysis.refit import TopFeatures
from sitrepbench.analysis.slices import Slices, slice_errors
from sitrepbench.analysis.sureness import Sureness, sureness_of
from sitrepbench.data.agreement import ADJUDICATOR, ANNOTATOR
from sitrepbench.data.dataset import DOCUMENT_ID, Dataset
from sitrepbench.predictions import PredictionsTable, is_test_part

#: Said where something rests on probabilities, and the model gives none.
NEEDS_PROBABILITIES = (
    "needs probabilities, and this model gives none (calibrated_svm and the logistic "
    "regressions do)"
)


@dataclass(frozen=True)
class ErrorAnalysis:
    """What a run gets wrong in one part.

    Parameters
    ----------
    key, run_name, dataset, part : str
        What was looked into.
    n_sentences, n_documents, n_repeats : int
        How much of it.
    error_rate : float
        The share of wrong answers.
    labels : tuple of str
        The label set.
    confusion : DataFrame, shape (L, L)
        Sentences by gold (rows) and predicted label, mean over the repeats.
    pairs : DataFrame
        Columns `sitrepbench.analysis.mistakes.PAIR_COLUMNS`.
    mistakes : DataFrame
        Columns `sitrepbench.analysis.mistakes.MISTAKE_COLUMNS`, the surest first.
    slices : Slices
        Groups of sentences.
    suspects : Suspects or None
        Suspected label errors; None without probabilities.
    features : TopFeatures or None
        What speaks for each label; None where it was not asked for.
    notes : tuple of str
        What a reader should know.
    sureness : Sureness or None
        What its probabilities are worth; None without probabilities.
    """

    key: str
    run_name: str
    dataset: str
    part: str
    n_sentences: int
    n_documents: int
    n_repeats: int
    error_rate: float
    labels: tuple[str, ...]
    confusion: pd.DataFrame
    pairs: pd.DataFrame
    mistakes: pd.DataFrame
    slices: Slices
    suspects: Suspects | None
    features: TopFeatures | None
    notes: tuple[str, ...]
    sureness: Sureness | None = None

    @property
    def sure(self) -> bool:
        """Whether the model says how sure it is."""
        return self.suspects is not None


def analyse_errors(
    predictions: PredictionsTable,
    dataset: Dataset,
    *,
    part: str,
    key: str = "",
    run_name: str = "",
    annotators: pd.Series | None = None,
    features: TopFeatures | None = None,
) -> ErrorAnalysis:
    """Look into what one part of a run gets wrong.

    Parameters
    ----------
    predictions : PredictionsTable
    dataset : Dataset
        What was scored.
    part : str
    key, run_name : str
        For titles.
    annotators : Series or None
        As `annotators_agree` returns it.
    features : TopFeatures or None
        What was read off the model.

    Raises
    ------
    DataError
        When the run has no such part, or the dataset is not the one it was made on.
    """
    judged = judge(predictions, dataset, part=part, annotators=annotators)
    mistakes = list_mistakes(judged)
    notes = []
    if is_test_part(part):
        notes.append(
            f"{part} is a test part: choose nothing by what you learn here, or its scores no "
            "longer tell how the model does on unseen documents."
        )
    return ErrorAnalysis(
        key=key,
        run_name=run_name,
        dataset=dataset.name,
        part=part,
        n_sentences=len(judged.sentences),
        n_documents=int(judged.sentences[DOCUMENT_ID].nunique()),
        n_repeats=judged.n_repeats,
        error_rate=float(wrong_rows(judged).mean()),
        labels=judged.predictions.labels,
        confusion=_confusion(judged),
        pairs=confused_pairs(judged, mistakes),
        mistakes=mistakes,
        slices=slice_errors(judged),
        suspects=find_suspects(judged),
        features=features,
        notes=tuple(notes),
        sureness=sureness_of(judged.predictions),
    )


def annotators_agree(annotations: pd.DataFrame) -> pd.Series:
    """Return whether annotators gave a sentence the same label, by sentence id.

    Parameters
    ----------
    annotations : DataFrame
        One row per annotator and sentence: ``sentence_id, annotator, label``.

    Returns
    -------
    Series of str
        ``agree`` or ``disagree``; only of sentences that at least two of them labelled, the
        adjudicator not counted.
    """
    rows = annotations[annotations[ANNOTATOR] != ADJUDICATOR]
    given = rows.groupby("sentence_id").agg(
        annotators=(ANNOTATOR, "nunique"), labels=("label", "nunique")
    )
    given = given[given["annotators"] >= 2]
    said = np.where(given["labels"] > 1, DISAGREE, AGREE)
    return pd.Series(said, index=given.index, dtype=object)


def _confusion(judged: JudgedPart) -> pd.DataFrame:
    table = judged.predictions
    n_labels = len(table.labels)
    cells = table.codes("label") * n_labels + table.codes("predicted")
    counts = np.bincount(cells, minlength=n_labels**2).reshape(n_labels, n_labels)
    names = list(table.labels)
    return pd.DataFrame(counts / judged.n_repeats, index=names, columns=names)
