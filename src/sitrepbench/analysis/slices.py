"""Where a model errs: scores of groups of sentences, each compared with all the other sentences.

A group's error rate and macro-F1 have the intervals of `sitrepbench.stats.intervals`, by
documents. The difference between a group and the rest leaves one document at a time out of both,
for a document may have sentences on either side; its interval is estimate -+ t se with the fewer
effective documents of the two. As many groups are looked at, one of them would stand out by
chance: the intervals of the differences hold together (Bonferroni: each at 1 - 0.05 / number of
differences), and a group is called worse or better only where its interval leaves out zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from sitrepbench.analysis.judged import (
    ANNOTATORS,
    PLACE,
    PLACES,
    WORDS,
    JudgedPart,
)
from sitrepbench.data.dataset import COLUMNS, DOCUMENT_ID, DOMAIN, SECONDARY
from sitrepbench.metrics.confusion import grouped_confusions
from sitrepbench.metrics.scores import accuracy, macro_f1
from sitrepbench.predictions import PREDICTED, REPEAT
from sitrepbench.stats.intervals import (
    Jackknife,
    Statistic,
    effective_number,
    jackknife,
    label_effective_documents,
    proportion_interval,
)

Array = npt.NDArray[np.float64]

#: A group with fewer is left out, and so is one with fewer outside of it.
LEAST_SENTENCES = 30
LEAST_DOCUMENTS = 5
#: Labels with fewer gold sentences on either side do not count towards a macro-F1.
LEAST_OF_LABEL = 5
#: A column with more values than these is no grouping.
MOST_VALUES = 20
#: Together, the intervals of all differences hold the truth this often.
LEVEL = 0.95

SLICE_COLUMNS = (
    "by",
    "group",
    "verdict",
    "sentences",
    "documents",
    "error_rate",
    "macro_f1",
    "error_rate_low",
    "error_rate_high",
    "macro_f1_low",
    "macro_f1_high",
    "error_rate_difference",
    "error_rate_difference_low",
    "error_rate_difference_high",
    "macro_f1_difference",
    "macro_f1_difference_low",
    "macro_f1_difference_high",
    "labels",
)
#: Groupings that every dataset has or may have; a column of such a name is called so.
_OWN = ("length", "secondary labels", "annotators")
WORSE, BETTER, MIXED = "worse", "better", "mixed"


@dataclass(frozen=True)
class Slices:
    """Groups of sentences, scored.

    Parameters
    ----------
    table : DataFrame
        Columns `SLICE_COLUMNS`, in the order of the groupings. A difference is the group's score
        minus that of all other sentences. ``labels`` counts the labels behind the macro-F1;
        ``verdict`` is ``worse``, ``better``, ``mixed`` (one score worse, the other better) or
        empty where nothing can be told.
    too_small : tuple of str
        The groups that are left out, as ``grouping: group (number of sentences)``.
    notes : tuple of str
        Columns that are no grouping, and why.
    """

    table: pd.DataFrame
    too_small: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Difference:
    estimate: float
    standard_error: float
    degrees_of_freedom: float

    def ends(self, level: float) -> tuple[float, float]:
        t = float(stdtrit(self.degrees_of_freedom, 0.5 + level / 2))
        return self.estimate - t * self.standard_error, self.estimate + t * self.standard_error


def slice_errors(judged: JudgedPart) -> Slices:
    """Score a part by conflict or domain, length, position and every other grouping it has."""
    groupings, notes = _groupings(judged.sentences)
    repeat, repeats = pd.factorize(judged.predictions.frame[REPEAT])
    document, documents = pd.factorize(judged.sentences[DOCUMENT_ID])
    counter = _Counter(judged, np.asarray(repeat), np.asarray(document),
                       (len(repeats), len(documents)))  # fmt: skip
    whole = counter.counts(np.ones(len(judged.sentences), dtype=bool))
    rows: list[dict[str, object]] = []
    differences: list[dict[str, _Difference]] = []
    too_small: list[str] = []
    for by, values in groupings.items():
        for group in _ordered(values):
            inside = (values == group).to_numpy(dtype=bool)
            counts = counter.counts(inside)
            if not _enough(counts) or not _enough(whole - counts):
                too_small.append(f"{by}: {group} ({int(inside.sum())})")
                continue
            row, found = _score(counts, whole - counts)
            rows.append({"by": by, "group": group, "sentences": int(inside.sum()), **row})
            differences.append(found)
    _add_differences(rows, differences)
    return Slices(pd.DataFrame(rows, columns=list(SLICE_COLUMNS)), tuple(too_small), tuple(notes))


@dataclass(frozen=True)
class _Counter:
    """Counts confusions of some sentences, shape (n_repeats, n_documents, L, L)."""

    judged: JudgedPart
    repeat: npt.NDArray[np.int64]
    document: npt.NDArray[np.int64]
    shape: tuple[int, int]

    def counts(self, inside: npt.NDArray[np.bool_]) -> Array:
        table, at = self.judged.predictions, self.judged.at
        rows = inside[at]
        n_repeats, n_documents = self.shape
        n_labels = len(table.labels)
        groups = self.repeat[rows] * n_documents + self.document[at[rows]]
        counted = grouped_confusions(
            groups,
            table.codes("label")[rows],
            table.codes(PREDICTED)[rows],
            (n_repeats * n_documents, n_labels),
        )
        return counted.reshape(n_repeats, n_documents, n_labels, n_labels)


def _groupings(sentences: pd.DataFrame) -> tuple[dict[str, pd.Series], list[str]]:
    """Return the group of every sentence by each grouping, and what is no grouping."""
    found: dict[str, pd.Series] = {}
    notes: list[str] = []
    extras = [str(name) for name in sentences.columns if name not in COLUMNS]
    extras = [name for name in extras if name not in (WORDS, PLACE, ANNOTATORS)]
    for name in (DOMAIN, *extras):
        values = sentences[name].astype(str)
        if name == DOMAIN and not (values != "").any():
            continue
        distinct = values.nunique()
        if distinct > MOST_VALUES:
            notes.append(f"column {name} has {distinct:,} values, too many to group by")
            continue
        twin = next((other for other in found if _alike(values, found[other])), None)
        if twin is not None:
            notes.append(f"column {name} groups as {twin} does")
        elif distinct > 1:
            shown = f"column {name}" if name in _OWN else name
            found[shown] = values.replace("", "(empty)")
    found["length"] = _lengths(sentences[WORDS])
    found["position"] = sentences[PLACE].astype(str)
    found["secondary labels"] = sentences[SECONDARY].map(lambda text: "some" if text else "none")
    if ANNOTATORS in sentences.columns:
        found["annotators"] = sentences[ANNOTATORS].replace("", "(unknown)")
    return {by: values for by, values in found.items() if values.nunique() > 1}, notes


def _alike(one: pd.Series, other: pd.Series) -> bool:
    pairs = len(set(zip(one, other, strict=True)))
    return pairs == one.nunique() == other.nunique()


def _lengths(words: pd.Series) -> pd.Series:
    """Return quarters by number of words, such as ``13-20 words``."""
    edges = np.unique(np.quantile(words, [0.25, 0.5, 0.75], method="inverted_cdf").astype(int))
    quarter = np.searchsorted(edges, words.to_numpy(), side="left")
    names = [f"up to {edges[0]} words"]
    names += [f"{low + 1}-{high} words" for low, high in pairwise(edges)]
    names.append(f"over {edges[-1]} words")
    grouped = pd.Categorical([names[at] for at in quarter], categories=names)
    return pd.Series(grouped, index=words.index)


def _ordered(values: pd.Series) -> Iterator[str]:
    """Yield the groups: in their own order where they have one, else by name."""
    present = {str(value) for value in values.unique()}
    if isinstance(values.dtype, pd.CategoricalDtype):
        yield from (str(name) for name in values.cat.categories if str(name) in present)
    elif present <= set(PLACES):
        yield from (name for name in PLACES if name in present)
    else:
        yield from sorted(present)


def _enough(counts: Array) -> bool:
    by_document = counts.sum(axis=(0, 2, 3)) / len(counts)
    return bool(
        by_document.sum() >= LEAST_SENTENCES and np.count_nonzero(by_document) >= LEAST_DOCUMENTS
    )


def _error_rate(counts: Array) -> Array:
    return np.asarray(1.0 - accuracy(counts))


def _score(counts: Array, rest: Array) -> tuple[dict[str, float | int], dict[str, _Difference]]:
    """Return a group's scores with intervals, and its differences to the rest."""
    gold, gold_rest = (side.sum(axis=(1, 3)).mean(axis=0) for side in (counts, rest))
    labels = (gold >= LEAST_OF_LABEL) & (gold_rest >= LEAST_OF_LABEL)
    present = counts.sum(axis=(0, 2, 3)) > 0
    row: dict[str, float | int] = {
        "documents": int(np.count_nonzero(present)),
        "labels": int(labels.sum()),
    }
    found: dict[str, _Difference] = {}
    measures = [_Measure("error_rate", _error_rate, None)]
    if labels.sum() > 1:
        measures.append(_Measure("macro_f1", partial(macro_f1, labels=labels), labels))
    for measure in measures:
        inside = measure.jackknife(counts[:, present])
        low, high = proportion_interval(inside)
        row[measure.name] = float(inside.estimate)
        row[f"{measure.name}_low"], row[f"{measure.name}_high"] = float(low), float(high)
        found[measure.name] = _difference(measure.jackknife(counts), measure.jackknife(rest))
    return row, found


@dataclass(frozen=True)
class _Measure:
    """A score, and the labels that it rests on; None where it rests on all sentences."""

    name: str
    statistic: Statistic
    labels: npt.NDArray[np.bool_] | None

    def jackknife(self, counts: Array) -> Jackknife:
        if self.labels is None:
            effective = effective_number(counts.sum(axis=(0, 2, 3)))
        else:
            effective = label_effective_documents(counts)[self.labels].mean()
        return jackknife(counts, self.statistic, effective_documents=np.asarray(effective))


def _difference(inside: Jackknife, outside: Jackknife) -> _Difference:
    effective = np.minimum(inside.effective_documents, outside.effective_documents)
    both = Jackknife(
        np.asarray(inside.estimate - outside.estimate),
        inside.replicates - outside.replicates,
        np.asarray(effective),
    )
    return _Difference(
        float(both.estimate), float(both.standard_error), float(both.degrees_of_freedom)
    )


def _add_differences(
    rows: list[dict[str, object]], differences: list[dict[str, _Difference]]
) -> None:
    """Add every difference, with an interval that holds together with all others, and verdicts."""
    count = sum(len(found) for found in differences)
    level = 1 - (1 - LEVEL) / max(count, 1)
    for row, found in zip(rows, differences, strict=True):
        verdicts = set()
        for name, difference in found.items():
            low, high = difference.ends(level)
            row[f"{name}_difference"] = difference.estimate
            row[f"{name}_difference_low"], row[f"{name}_difference_high"] = low, high
            # An error rate is better where it is lower.
            sign = -1 if name == "error_rate" else 1
            if low > 0 or high < 0:
                verdicts.add(BETTER if sign * difference.estimate > 0 else WORSE)
        row["verdict"] = MIXED if len(verdicts) > 1 else next(iter(verdicts), "")
