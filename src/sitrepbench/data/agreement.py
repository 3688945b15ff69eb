"""How well annotators agree, from the labels that each gave without seeing the others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import krippendorff
import numpy as np
import pandas as pd

from sitrepbench.errors import DataError

ANNOTATOR = "annotator"
#: The role of whoever settles what annotators disagree on; not counted as an annotator.
ADJUDICATOR = "adjudicator"


@dataclass(frozen=True)
class Agreement:
    """What annotators gave independently, compared.

    Parameters
    ----------
    annotators : tuple of str
        Their names, sorted, without the adjudicator.
    n_sentences : int
        Sentences that at least two of them labelled.
    alpha : float
        Krippendorff's alpha (nominal) over all labels: 1 is perfect, 0 is chance.
    per_label : DataFrame
        ``label, alpha, f1, given``: alpha of this label against the rest; F1 of one annotator
        against the other (symmetric, Hripcsak & Rothschild 2005), a mean over the pairs; how
        often it was given.
    pairs : DataFrame
        ``first, second, n, agreement, kappa, macro_f1`` for each pair of annotators.
    disagreements : DataFrame
        ``sentence_id`` and one column per annotator, where they differ.
    """

    annotators: tuple[str, ...]
    n_sentences: int
    alpha: float
    per_label: pd.DataFrame
    pairs: pd.DataFrame
    disagreements: pd.DataFrame


def measure_agreement(annotations: pd.DataFrame, labels: Sequence[str]) -> Agreement:
    """Compare annotators' primary labels.

    Parameters
    ----------
    annotations : DataFrame
        One row per annotator and sentence: ``sentence_id, annotator, label``.
    labels : sequence of str
        The label set, in order.

    Raises
    ------
    DataError
        With fewer than two annotators, or a sentence labelled twice by one.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability.
    """
    rows = annotations[annotations[ANNOTATOR] != ADJUDICATOR]
    doubled = rows.duplicated(["sentence_id", ANNOTATOR])
    if doubled.any():
        first = rows.loc[doubled, ["sentence_id", ANNOTATOR]].iloc[0]
        raise DataError(
            f"{int(doubled.sum())} sentence(s) are labelled twice by one annotator, the first is "
            f"{first['sentence_id']!r} by {first[ANNOTATOR]!r}"
        )
    table = rows.pivot(index="sentence_id", columns=ANNOTATOR, values="label")
    table = table[table.notna().sum(axis=1) >= 2]
    names = tuple(sorted(str(name) for name in table.columns))
    if len(names) < 2 or table.empty:
        raise DataError("agreement needs sentences that at least two annotators labelled")
    codes = table[list(names)].apply(
        lambda column: column.map({n: i for i, n in enumerate(labels)})
    )
    data = codes.to_numpy(dtype=float).T
    differs = table.nunique(axis=1) > 1
    return Agreement(
        names,
        len(table),
        _alpha(data),
        _per_label(data, table, labels, names),
        _pairs(table, labels, names),
        table.loc[differs, list(names)].reset_index(),
    )


def _alpha(data: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    values = np.unique(data[~np.isnan(data)])
    if len(values) < 2:
        return float("nan")
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement="nominal"))


def _per_label(
    data: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    table: pd.DataFrame,
    labels: Sequence[str],
    names: tuple[str, ...],
) -> pd.DataFrame:
    rows = []
    for code, label in enumerate(labels):
        binary = np.where(np.isnan(data), np.nan, data == code)
        scores = [_f1(table[a], table[b], label) for a, b in _couples(names)]
        given = int((data == code).sum())
        rows.append(
            {"label": label, "alpha": _alpha(binary), "f1": float(np.mean(scores)), "given": given}
        )
    return pd.DataFrame(rows)


def _pairs(table: pd.DataFrame, labels: Sequence[str], names: tuple[str, ...]) -> pd.DataFrame:
    rows = []
    for first, second in _couples(names):
        both = table[[first, second]].dropna()
        one, two = both[first], both[second]
        observed = float((one == two).mean())
        share = [(float((one == name).mean()), float((two == name).mean())) for name in labels]
        chance = sum(a * b for a, b in share)
        used = [name for name in labels if (one == name).any() or (two == name).any()]
        rows.append(
            {
                "first": first,
                "second": second,
                "n": len(both),
                "agreement": observed,
                "kappa": (observed - chance) / (1 - chance) if chance < 1 else float("nan"),
                "macro_f1": float(np.mean([_f1(one, two, name) for name in used])),
            }
        )
    return pd.DataFrame(rows)


def _couples(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]


def _f1(one: pd.Series[str], two: pd.Series[str], label: str) -> float:
    hits = int(((one == label) & (two == label)).sum())
    given = int((one == label).sum() + (two == label).sum())
    return 2 * hits / given if given else float("nan")
