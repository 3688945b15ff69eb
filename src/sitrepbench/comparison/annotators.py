"""How far annotators agree on the sentences that models are ranked on: a mark, not a rival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from sitrepbench.data.agreement import ADJUDICATOR, ANNOTATOR
from sitrepbench.metrics.confusion import grouped_confusions
from sitrepbench.metrics.scores import f1_per_label, macro_f1
from sitrepbench.stats.intervals import (
    Array,
    jackknife,
    label_effective_documents,
    proportion_interval,
)


@dataclass(frozen=True)
class AnnotatorScores:
    """The score of one annotator against another, both taken before anything was adjudicated.

    F1 is the same whichever of two annotators is taken for the truth. It is no bound for models:
    they are scored against the adjudicated labels, and may imitate what annotators have in common.

    Parameters
    ----------
    annotators : tuple of str
        Their names, without the adjudicator.
    macro_f1, low, high : float
        Mean over the pairs of annotators, with its 95 % interval by documents.
    per_label : dict
        F1 of each label; NaN for one that nobody gave.
    n_sentences, n_documents : int
        That at least two of them labelled, among those of the part.
    by_machine : bool
        Whether the annotators are machines.
    """

    annotators: tuple[str, ...]
    macro_f1: float
    low: float
    high: float
    per_label: Mapping[str, float]
    n_sentences: int
    n_documents: int
    by_machine: bool


def score_annotators(
    annotations: pd.DataFrame,
    documents: Mapping[str, str],
    labels: Sequence[str],
    *,
    by_machine: bool,
) -> AnnotatorScores | None:
    """Score annotators against each other on the sentences of one part.

    Parameters
    ----------
    annotations : DataFrame
        One row per annotator and sentence: ``sentence_id, annotator, label``.
    documents : mapping
        The document of each sentence of the part.
    labels : sequence of str
        The label set, in order.
    by_machine : bool
        Whether the annotators are machines, for the row's name.

    Returns
    -------
    AnnotatorScores or None
        None where no sentence of the part was labelled by two of them.

    Examples
    --------
    Two annotators who differ in one of four sentences:

    >>> rows = [(f"s{at}", who, label) for who, said in (("A", "xxyy"), ("B", "xyyy"))
    ...         for at, label in enumerate(said)]
    >>> annotations = pd.DataFrame(rows, columns=["sentence_id", "annotator", "label"])
    >>> documents = {"s0": "a", "s1": "a", "s2": "b", "s3": "b"}
    >>> found = score_annotators(annotations, documents, ["x", "y"], by_machine=False)
    >>> {label: round(score, 3) for label, score in found.per_label.items()}
    {'x': 0.667, 'y': 0.8}
    """
    rows = annotations[
        (annotations[ANNOTATOR] != ADJUDICATOR) & annotations["sentence_id"].isin(list(documents))
    ]
    table = rows.pivot(index="sentence_id", columns=ANNOTATOR, values="label")
    table = table[table.notna().sum(axis=1) >= 2]
    if table.empty:
        return None
    counts, names = _pair_counts(table, documents, labels)
    given = counts.sum(axis=(0, 1))
    used = (given.sum(axis=0) + given.sum(axis=1)) > 0
    effective = np.asarray(label_effective_documents(counts)[used].mean())
    result = jackknife(counts, partial(macro_f1, labels=used), effective_documents=effective)
    low, high = proportion_interval(result)
    f1 = np.where(used, f1_per_label(counts.sum(axis=1)).mean(axis=0), np.nan)
    return AnnotatorScores(
        annotators=names,
        macro_f1=float(result.estimate),
        low=float(low),
        high=float(high),
        per_label={name: float(score) for name, score in zip(labels, f1, strict=True)},
        n_sentences=len(table),
        n_documents=counts.shape[1],
        by_machine=by_machine,
    )


def _pair_counts(
    table: pd.DataFrame, documents: Mapping[str, str], labels: Sequence[str]
) -> tuple[Array, tuple[str, ...]]:
    """Return the confusions of each pair of annotators, shape (n_pairs, n_documents, L, L)."""
    document, found = pd.factorize(table.index.map(documents), sort=True)
    shape = (len(found), len(labels))
    counts = []
    names = tuple(sorted(map(str, table.columns)))
    for first, second in combinations(names, 2):
        both = table[[first, second]].notna().all(axis=1).to_numpy()
        one, two = (
            pd.Index(labels).get_indexer(pd.Index(table.loc[both, name]))
            for name in (first, second)
        )
        counts.append(grouped_confusions(document[both], one, two, shape))
    return np.stack(counts), names
