"""One row's scores from its confusion counts: a part of what `metrics.summary` tells, quicker.

A leaderboard needs few of a summary's numbers for many models; a test holds that they are the
same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import f1_per_label, macro_f1
from sitrepbench.metrics.summary import DOMAIN_LABEL_SENTENCES, DOMAIN_SENTENCES, summarise
from sitrepbench.predictions import PredictionsTable
from sitrepbench.stats.intervals import (
    Array,
    jackknife,
    label_effective_documents,
    proportion_interval,
)


@dataclass(frozen=True)
class PartScores:
    """Macro-F1, F1 of each label and the worst domain of one part, with 95 % intervals.

    Parameters
    ----------
    macro_f1, low, high : float
        Mean over the repeats, and its interval by documents.
    per_label : dict
        F1 of each label; NaN for a label that no gold sentence bears.
    per_label_intervals : dict
        (low, high) of each; NaN likewise.
    worst_domain : str
        The domain with the lowest macro-F1; empty where fewer than two are scored.
    worst_domain_macro_f1 : float
        Its macro-F1; NaN where there is none.
    """

    macro_f1: float
    low: float
    high: float
    per_label: Mapping[str, float]
    per_label_intervals: Mapping[str, tuple[float, float]]
    worst_domain: str
    worst_domain_macro_f1: float


def score_part(table: PredictionsTable, confusions: DocumentConfusions) -> PartScores:
    """Score one part.

    Parameters
    ----------
    table : PredictionsTable
        The rows of one part.
    confusions : DocumentConfusions
        Of that table.
    """
    counts, supported = confusions.counts, confusions.supported
    effective = label_effective_documents(counts)
    macro = jackknife(
        counts,
        partial(macro_f1, labels=supported),
        effective_documents=np.asarray(effective[supported].mean()),
    )
    low, high = proportion_interval(macro)
    labels = jackknife(counts, f1_per_label, effective_documents=effective)
    ends = np.where(supported, np.stack(proportion_interval(labels)), np.nan)
    f1 = np.where(supported, labels.estimate, np.nan)
    worst = _worst_domain(table, confusions)
    return PartScores(
        macro_f1=float(macro.estimate),
        low=float(low),
        high=float(high),
        per_label=dict(zip(confusions.labels, f1.tolist(), strict=True)),
        per_label_intervals={
            label: (float(ends[0, at]), float(ends[1, at]))
            for at, label in enumerate(confusions.labels)
        },
        worst_domain=worst[0],
        worst_domain_macro_f1=worst[1],
    )


def _worst_domain(table: PredictionsTable, confusions: DocumentConfusions) -> tuple[str, float]:
    scores = (
        _domain_scores(confusions)
        if all(confusions.domains)
        # Documents of several domains or of none: sentence by sentence.
        else _summarised(table)
    )
    if len(scores) < 2:
        return "", math.nan
    name = min(scores, key=lambda one: (scores[one], one))
    return name, scores[name]


def _domain_scores(confusions: DocumentConfusions) -> dict[str, float]:
    domains = np.asarray(confusions.domains)
    scores = {}
    for name in sorted(set(confusions.domains)):
        matrices: Array = confusions.counts[:, domains == name].sum(axis=1)
        gold = matrices.sum(axis=-1).mean(axis=0)
        enough = gold >= DOMAIN_LABEL_SENTENCES
        if gold.sum() >= DOMAIN_SENTENCES and enough.sum() >= 2:
            scores[name] = float(macro_f1(matrices, labels=enough).mean())
    return scores


def _summarised(table: PredictionsTable) -> dict[str, float]:
    (part,) = table.parts
    rows = summarise(table, part).per_domain
    each = zip(rows["domain"].tolist(), rows["macro_f1"].tolist(), strict=True)
    return {str(name): float(score) for name, score in each if math.isfinite(score)}
