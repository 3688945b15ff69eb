"""Sentences whose gold label may be wrong, by confident learning.

A label's threshold is the mean probability that the model gives it on the sentences that bear it.
A sentence is counted, in the *confident joint*, at its given label and at the likeliest of the
labels whose threshold it reaches. What stands off the diagonal are suspects, ranked by how much
likelier another label is than the given one (the normalised margin). Scaled to the number of
sentences of each given label, the confident joint estimates how given and true labels go together.
It rests on probabilities of sentences that the model was not trained on.

Source: Northcutt, Jiang & Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset
Labels, Journal of Artificial Intelligence Research 70, 1373-1411, sections 3.1 and 3.2 (of the
five ways to choose suspects: the off-diagonals of the confident joint).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.analysis.judged import JudgedPart
from sitrepbench.data.dataset import DOCUMENT_ID, LABEL, SENTENCE_ID, TEXT

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

SUSPECT_COLUMNS = (
    "sentence_id",
    "given",
    "suggested",
    "text",
    "probability_given",
    "probability_suggested",
    "margin",
    "document_id",
)
#: A mean of equal numbers may come out larger than they are, in the last bit.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ConfidentJoint:
    """Given labels and confidently held ones.

    Parameters
    ----------
    thresholds : ndarray, shape (L,)
        Of each label; infinite where no sentence bears it.
    counts : ndarray, shape (L, L)
        Sentences by [given, confidently held].
    confident : int ndarray, shape (n,)
        The label that is held of each sentence, -1 where none reaches its threshold.
    """

    thresholds: Array
    counts: Array
    confident: Codes


@dataclass(frozen=True)
class Suspects:
    """Suspected label errors.

    Parameters
    ----------
    table : DataFrame
        Columns `SUSPECT_COLUMNS`, the most suspicious first.
    estimated_share : float
        The share of sentences whose label is estimated to be wrong.
    n_sentences : int
        How many were looked at.
    """

    table: pd.DataFrame
    estimated_share: float
    n_sentences: int


def confident_joint(given: Codes, probabilities: Array) -> ConfidentJoint:
    """Count given and confidently held labels (equation 1 and 2 of the paper).

    Parameters
    ----------
    given : int ndarray, shape (n,)
        The given labels as indices.
    probabilities : ndarray, shape (n, L)
        Of a model that was not trained on these sentences.

    Examples
    --------
    The last sentence bears label 0, but the model is as sure of label 1 as it is of sentences
    that bear it:

    >>> import numpy as np
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])
    >>> joint = confident_joint(np.array([0, 0, 1, 1, 0]), p)
    >>> joint.thresholds.round(2).tolist(), joint.counts.tolist()
    ([0.6, 0.7], [[2.0, 1.0], [0.0, 1.0]])
    """
    n_labels = probabilities.shape[1]
    sizes = np.bincount(given, minlength=n_labels)
    own = np.bincount(
        given, weights=probabilities[np.arange(len(given)), given], minlength=n_labels
    )
    thresholds = np.where(sizes > 0, own / np.maximum(sizes, 1), np.inf)
    reached = np.where(probabilities >= thresholds - _ROUNDING, probabilities, -1.0)
    confident = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
    counts = np.zeros((n_labels, n_labels))
    held = confident >= 0
    np.add.at(counts, (given[held], confident[held]), 1.0)
    return ConfidentJoint(thresholds, counts, np.asarray(confident, dtype=np.int64))


def estimated_joint(counts: Array, sizes: npt.NDArray[np.int64]) -> Array:
    """Return the estimated share of sentences by [given, true] label (equation 3).

    Parameters
    ----------
    counts : ndarray, shape (L, L)
        The confident joint.
    sizes : int ndarray, shape (L,)
        How many sentences bear each label.

    Examples
    --------
    The paper's figure 1, of 400 images given as dog, fox and cow:

    >>> import numpy as np
    >>> joint = np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]])
    >>> estimated_joint(joint, np.array([160, 116, 124])).round(2).tolist()
    [[0.25, 0.1, 0.05], [0.14, 0.15, 0.0], [0.08, 0.03, 0.2]]
    """
    # Nothing is known of a label that is held confidently of no sentence: it counts as right.
    filled = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, np.eye(len(counts)))
    scaled = filled / filled.sum(axis=1, keepdims=True) * sizes[:, np.newaxis]
    return np.asarray(scaled / scaled.sum())


def normalised_margin(given: Codes, probabilities: Array) -> Array:
    """Return p(given) minus the largest p of another label, from -1 to 1, shape (n,)."""
    every = np.arange(len(given))
    others = probabilities.copy()
    others[every, given] = -np.inf
    return np.asarray(probabilities[every, given] - others.max(axis=1))


def rank_suspects(given: Codes, probabilities: Array) -> Codes:
    """Return the rows whose label is suspected to be wrong, the most suspicious first.

    Those off the diagonal of the confident joint, but for the sentences whose given label is
    the likeliest all the same: of them the model holds nothing against the label.
    """
    joint = confident_joint(given, probabilities)
    margin = normalised_margin(given, probabilities)
    rows = np.flatnonzero((joint.confident >= 0) & (joint.confident != given) & (margin < 0))
    return np.asarray(rows[np.argsort(margin[rows], kind="stable")])


def find_suspects(judged: JudgedPart) -> Suspects | None:
    """Return the suspected label errors of a part; None where the model has no probabilities."""
    probabilities = judged.probabilities
    if probabilities is None:
        return None
    given = judged.gold
    joint = confident_joint(given, probabilities)
    sizes = np.bincount(given, minlength=probabilities.shape[1])
    rows = rank_suspects(given, probabilities)
    suggested = joint.confident[rows]
    about = judged.sentences.iloc[rows].reset_index(drop=True)
    labels = np.array(judged.predictions.labels, dtype=object)
    columns = {
        "sentence_id": about[SENTENCE_ID],
        "document_id": about[DOCUMENT_ID],
        "given": about[LABEL],
        "suggested": labels[suggested],
        "probability_given": probabilities[rows, given[rows]],
        "probability_suggested": probabilities[rows, suggested],
        "margin": normalised_margin(given, probabilities)[rows],
        "text": about[TEXT],
    }
    share = 1.0 - float(np.trace(estimated_joint(joint.counts, sizes)))
    return Suspects(pd.DataFrame(columns, columns=list(SUSPECT_COLUMNS)), share, len(given))
