"""How well annotators agree, with intervals by documents: alpha, kappa by pair and by label.

Krippendorff's alpha is computed from its table of coincidences (Krippendorff 2011), which adds
up over sentences, so that leaving out a document is a subtraction. An interval is the estimate
and so many standard errors of the delete-one-document jackknife as Student's t asks for, with
the effective number of documents (see `sitrepbench.stats.intervals`). Where no document makes a
difference, as for perfect agreement, nothing tells the spread and there is no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from sitrepbench.data.agreement import ADJUDICATOR, ANNOTATOR, Agreement, measure_agreement
from sitrepbench.metrics.confusion import grouped_confusions
from sitrepbench.metrics.scores import cohen_kappa
from sitrepbench.stats.intervals import Array, Jackknife, effective_number, jackknife

#: A spread under this is rounding.
_ALIKE = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A number from -1 to 1 with its 95 % interval by documents; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """What annotators gave independently, compared, with intervals.

    Parameters
    ----------
    agreement : Agreement
        The numbers without intervals, and the disagreements.
    n_documents : int
        Documents of the sentences that at least two labelled; 0 where they are not known.
    observed : float
        The share of pairs of annotators that agree, mean over the sentences.
    alpha : Estimate
        Krippendorff's alpha over all labels.
    labels : DataFrame
        ``label, given, alpha, low, high, f1``: each label against the rest.
    pairs : DataFrame
        ``first, second, n, agreement, kappa, low, high, macro_f1``.
    pair_labels : DataFrame
        ``first, second, label, given_first, given_second, kappa, low, high``: Cohen's kappa of
        one label against the rest.
    """

    agreement: Agreement
    n_documents: int
    observed: float
    alpha: Estimate
    labels: pd.DataFrame
    pairs: pd.DataFrame
    pair_labels: pd.DataFrame


def measure_reliability(
    answers: pd.DataFrame, labels: Sequence[str], *, documents: Mapping[str, str] | None = None
) -> Reliability:
    """Compare annotators' primary labels.

    Parameters
    ----------
    answers : DataFrame
        One row per annotator and sentence: ``sentence_id, annotator, label``; what the
        adjudicator settled does not count.
    labels : sequence of str
        The label set, in order.
    documents : mapping, optional
        Sentence to document, for the intervals; there are none unless it has every sentence.

    Raises
    ------
    DataError
        As `measure_agreement` does.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability. Cohen (1960), Educational
    and Psychological Measurement 20, 37-46.

    Examples
    --------
    The two observers of Krippendorff (2011), section B:

    >>> said = {"one": "aabbdcccedda", "two": "babbbccceddd"}
    >>> rows = [(f"s{at}", who, label) for who, all_ in said.items()
    ...         for at, label in enumerate(all_)]
    >>> answers = pd.DataFrame(rows, columns=["sentence_id", "annotator", "label"])
    >>> round(measure_reliability(answers, list("abcde")).alpha.value, 3)
    0.692
    """
    agreement = measure_agreement(answers, labels)
    rows = answers[answers[ANNOTATOR] != ADJUDICATOR]
    table = rows.pivot(index="sentence_id", columns=ANNOTATOR, values="label")
    table = table[table.notna().sum(axis=1) >= 2][list(agreement.annotators)]
    where = documents or {}
    known = all(name in where for name in table.index)
    # Without documents all sentences are one, and no interval comes of one document.
    names = [where[name] if known else "" for name in table.index]
    group, found = pd.factorize(pd.Index(names), sort=True)
    codes = np.column_stack(
        [pd.Index(labels).get_indexer(pd.Index(table[name])) for name in agreement.annotators]
    )
    units = _coincidences(codes, len(labels))
    by_document = np.zeros((1, len(found), len(labels), len(labels)))
    np.add.at(by_document[0], group, units)
    pairs, pair_labels = _pairs(agreement, codes, group, len(found), labels)
    return Reliability(
        agreement,
        len(found) if known else 0,
        float((np.trace(units, axis1=1, axis2=2) / units.sum(axis=(1, 2))).mean()),
        _estimate(by_document, krippendorff_alpha),
        _labels(agreement, by_document, labels),
        pairs,
        pair_labels,
    )


def krippendorff_alpha(coincidences: Array) -> Array:
    """Return the nominal alpha of tables of coincidences of shape (..., L, L), shape (...).

    NaN where only one label was given. With n values of which n_c are c, the disagreement by
    chance is (n^2 - sum n_c^2) / (n - 1), and alpha is 1 minus the observed over it.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(krippendorff_alpha(np.array([[4.0, 1.0], [1.0, 4.0]]))), 3)
    0.64
    """
    total = coincidences.sum(axis=(-2, -1))
    observed = total - np.trace(coincidences, axis1=-2, axis2=-1)
    chance = total**2 - (coincidences.sum(axis=-1) ** 2).sum(axis=-1)
    share = np.divide(
        observed * (total - 1), chance, out=np.full(np.shape(total), np.nan), where=chance > _ALIKE
    )
    return np.asarray(1 - share)


def _coincidences(codes: np.ndarray, n_labels: int) -> Array:
    """Return the coincidences of each sentence, shape (n_sentences, L, L).

    ``codes`` has shape (n_sentences, n_annotators), -1 where an annotator gave no label.
    """
    given = (codes[:, :, np.newaxis] == np.arange(n_labels)).sum(axis=1).astype(np.float64)
    pairs = given[:, :, np.newaxis] * given[:, np.newaxis, :]
    diagonal = np.arange(n_labels)
    pairs[:, diagonal, diagonal] -= given
    return np.asarray(pairs / (given.sum(axis=1) - 1)[:, np.newaxis, np.newaxis])


def _one_against_rest(counts: Array, code: int) -> Array:
    """Return the counts of one label and of all others, shape (..., 2, 2)."""
    both = counts[..., code, code]
    row, column = counts[..., code, :].sum(axis=-1), counts[..., :, code].sum(axis=-1)
    rest = counts.sum(axis=(-2, -1)) - row - column + both
    cells = np.stack([both, row - both, column - both, rest], axis=-1)
    return np.asarray(cells.reshape(*cells.shape[:-1], 2, 2))


def _kappa(confusion: Array) -> Array:
    """Return Cohen's kappa, NaN where both gave one and the same label only."""
    first, second = confusion.sum(axis=-1), confusion.sum(axis=-2)
    defined = confusion.sum(axis=(-2, -1)) ** 2 - (first * second).sum(axis=-1) > _ALIKE
    return np.asarray(np.where(defined, cohen_kappa(confusion), np.nan))


def _estimate(
    counts: Array, statistic: Callable[[Array], Array], *, weights: Array | None = None
) -> Estimate:
    """Return a statistic of counts (1, n_documents, L, L) with its interval."""
    carried = counts.sum(axis=(0, 2, 3)) if weights is None else weights
    result = jackknife(counts, statistic, effective_documents=effective_number(carried))
    return _interval(result)


def _interval(result: Jackknife, *, level: float = 0.95) -> Estimate:
    value, error = float(result.estimate), float(result.standard_error)
    if not error > _ALIKE:  # NaN too
        return Estimate(value, float("nan"), float("nan"))
    half = float(stdtrit(result.degrees_of_freedom, 0.5 + level / 2)) * error
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))


def _labels(agreement: Agreement, counts: Array, labels: Sequence[str]) -> pd.DataFrame:
    told = {row["label"]: row for row in agreement.per_label.to_dict("records")}
    rows = []
    for code, label in enumerate(labels):
        alpha = _estimate(
            _one_against_rest(counts, code),
            krippendorff_alpha,
            weights=counts[0, :, code, :].sum(axis=-1),
        )
        rows.append(
            {
                "label": label,
                "given": int(told[label]["given"]),
                "alpha": alpha.value,
                "low": alpha.low,
                "high": alpha.high,
                "f1": float(told[label]["f1"]),
            }
        )
    return pd.DataFrame(rows)


def _pairs(
    agreement: Agreement,
    codes: np.ndarray,
    group: np.ndarray,
    n_documents: int,
    labels: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    known = {(row["first"], row["second"]): row for row in agreement.pairs.to_dict("records")}
    pairs, by_label = [], []
    for one, two in combinations(range(len(agreement.annotators)), 2):
        names = (agreement.annotators[one], agreement.annotators[two])
        both = (codes[:, one] >= 0) & (codes[:, two] >= 0)
        shape = (n_documents, len(labels))
        counts = grouped_confusions(group[both], codes[both, one], codes[both, two], shape)
        counts = counts[np.newaxis]
        kappa = _estimate(counts, _kappa)
        row = {"first": names[0], "second": names[1]}
        told = known[names]
        pairs.append(
            {
                **row,
                "n": int(both.sum()),
                "agreement": told["agreement"],
                "kappa": kappa.value,
                "low": kappa.low,
                "high": kappa.high,
                "macro_f1": told["macro_f1"],
            }
        )
        for code, label in enumerate(labels):
            given = counts[0, :, code, :].sum(axis=-1), counts[0, :, :, code].sum(axis=-1)
            found = _estimate(_one_against_rest(counts, code), _kappa, weights=given[0] + given[1])
            by_label.append(
                {
                    **row,
                    "label": label,
                    "given_first": int(given[0].sum()),
                    "given_second": int(given[1].sum()),
                    "kappa": found.value,
                    "low": found.low,
                    "high": found.high,
                }
            )
    return pd.DataFrame(pairs), pd.DataFrame(by_label)
