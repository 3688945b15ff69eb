"""What one run says about one part: every number, interval and table that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import (
    DocumentConfusions,
    document_confusions,
    grouped_confusions,
)
from sitrepbench.metrics.probabilities import brier_scores, log_losses
from sitrepbench.metrics.scores import (
    accuracy,
    balanced_accuracy,
    cohen_kappa,
    f1_per_label,
    macro_f1,
    matthews_corrcoef,
    precision_per_label,
    recall_per_label,
    weighted_f1,
)
from sitrepbench.predictions import FOLD, PREDICTED, REPEAT, PredictionsTable
from sitrepbench.stats.intervals import (
    INTERVAL_METHOD,
    Statistic,
    effective_number,
    jackknife,
    label_effective_documents,
    proportion_interval,
)

Array = npt.NDArray[np.float64]

#: A domain is scored where it has this many sentences, over its labels with that many of them.
DOMAIN_SENTENCES = 30
DOMAIN_LABEL_SENTENCES = 5

#: The fewest documents for which the intervals' coverage was checked.
CHECKED_DOCUMENTS = 20


@dataclass(frozen=True)
class Summary:
    """The scores of one part.

    Scores are computed on the pooled predictions of each repeat and averaged over the repeats;
    counts are averages over the repeats too.

    Parameters
    ----------
    part : str
        ``cv``, ``dev``, ``test`` ...
    labels : tuple of str
        The label set, in order.
    metrics : dict
        ``macro_f1`` (over the labels that some gold sentence bears), ``weighted_f1`` (each label
        by its gold sentences), ``accuracy``,
        ``balanced_accuracy``, ``mcc``, ``kappa``, ``lenient_macro_f1`` (a prediction among the
        secondary labels counts as right), ``f1/<label>`` of each label with gold sentences;
        ``log_loss`` (nats) and ``brier`` (0 to 2) where every row has probabilities;
        ``worst_domain_macro_f1``, the lowest of `per_domain`, where at least two are scored.
    intervals : dict
        The 95 % intervals (low, high) of ``macro_f1``, ``accuracy``, ``lenient_macro_f1`` and
        ``f1/<label>``, by documents; NaN with a single document.
    per_label : DataFrame
        ``label, precision, recall, f1, f1_low, f1_high, support, predicted``; the scores are
        NaN for a label without gold sentences.
    per_fold : DataFrame
        ``part, repeat, fold, n, macro_f1, accuracy``; macro-F1 over the fold's own labels.
    per_domain : DataFrame
        ``domain, n, documents, labels, macro_f1, accuracy``, largest first; empty where there
        are no domains. Macro-F1 is over the ``labels`` labels that at least 5 gold sentences of
        the domain bear, and NaN under 30 sentences or two such labels.
    confusion : DataFrame, shape (L, L)
        Gold labels in the rows, predicted ones in the columns.
    n_sentences, n_documents, n_repeats : int
        Of the part; a sentence counts once, however many repeats score it.
    interval_method : str
        How the intervals were made; see `sitrepbench.stats.intervals`.
    notes : tuple of str
        What a reader should know, one line each.
    """

    part: str
    labels: tuple[str, ...]
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_label: pd.DataFrame
    per_fold: pd.DataFrame
    per_domain: pd.DataFrame
    confusion: pd.DataFrame
    n_sentences: int
    n_documents: int
    n_repeats: int
    interval_method: str
    notes: tuple[str, ...]


def summarise(table: PredictionsTable, part: str) -> Summary:
    """Score one part of a predictions table.

    Raises
    ------
    DataError
        When the table has no rows of that part.
    """
    rows = table.part(part)
    if rows.frame.empty:
        there = ", ".join(table.parts) or "none"
        raise DataError(f"no predictions of part {part!r}; the parts of this table are: {there}")
    confusions = document_confusions(rows)
    metrics = _headline(rows, confusions)
    intervals = _intervals(confusions)
    per_domain = _per_domain(rows)
    scored = per_domain["macro_f1"].dropna()
    if len(scored) >= 2:
        metrics["worst_domain_macro_f1"] = float(scored.min())
    per_label = _per_label(confusions, intervals)
    return Summary(
        part=part,
        labels=table.labels,
        metrics=metrics,
        intervals=intervals,
        per_label=per_label,
        per_fold=_per_fold(rows, part),
        per_domain=per_domain,
        confusion=pd.DataFrame(
            confusions.pooled.mean(axis=0), index=list(table.labels), columns=list(table.labels)
        ),
        n_sentences=int(rows.frame["sentence_id"].nunique()),
        n_documents=len(confusions.documents),
        n_repeats=len(confusions.counts),
        interval_method=INTERVAL_METHOD,
        notes=_notes(confusions),
    )


def _headline(rows: PredictionsTable, confusions: DocumentConfusions) -> dict[str, float]:
    pooled, supported = confusions.pooled, confusions.supported
    lenient = confusions.lenient.sum(axis=1)
    values = {
        "macro_f1": macro_f1(pooled, labels=supported),
        "weighted_f1": weighted_f1(pooled),
        "accuracy": accuracy(pooled),
        "balanced_accuracy": balanced_accuracy(pooled),
        "mcc": matthews_corrcoef(pooled),
        "kappa": cohen_kappa(pooled),
        "lenient_macro_f1": macro_f1(lenient, labels=supported),
    }
    metrics = {name: float(value.mean()) for name, value in values.items()}
    if rows.has_probabilities:
        probabilities = rows.frame[list(rows.probability_columns)].to_numpy(dtype=np.float64)
        gold = rows.codes("label")
        repeat = rows.frame[REPEAT].to_numpy()
        for name, losses in (
            ("log_loss", log_losses(probabilities, gold)),
            ("brier", brier_scores(probabilities, gold)),
        ):
            metrics[name] = float(pd.Series(losses).groupby(repeat).mean().mean())
    f1 = f1_per_label(pooled).mean(axis=0)
    for label, value, counts in zip(confusions.labels, f1, supported, strict=True):
        if counts:
            metrics[f"f1/{label}"] = float(value)
    return metrics


def _intervals(confusions: DocumentConfusions) -> dict[str, tuple[float, float]]:
    supported = confusions.supported
    macro = partial(macro_f1, labels=supported)

    def interval(counts: Array, statistic: Statistic, effective: Array) -> tuple[Array, Array]:
        return proportion_interval(jackknife(counts, statistic, effective_documents=effective))

    strict, lenient = confusions.counts, confusions.lenient
    by_label = label_effective_documents(strict)
    lenient_by_label = label_effective_documents(lenient)
    sentences = strict.sum(axis=(0, 2, 3))
    ends = {
        "macro_f1": interval(strict, macro, by_label[supported].mean()),
        "accuracy": interval(strict, accuracy, effective_number(sentences)),
        "lenient_macro_f1": interval(lenient, macro, lenient_by_label[supported].mean()),
    }
    intervals = {name: (float(low), float(high)) for name, (low, high) in ends.items()}
    lows, highs = interval(strict, f1_per_label, by_label)
    for index, label in enumerate(confusions.labels):
        if supported[index]:
            intervals[f"f1/{label}"] = (float(lows[index]), float(highs[index]))
    return intervals


def _per_label(
    confusions: DocumentConfusions, intervals: dict[str, tuple[float, float]]
) -> pd.DataFrame:
    pooled, supported = confusions.pooled, confusions.supported
    nothing = (float("nan"), float("nan"))
    ends = [intervals.get(f"f1/{label}", nothing) for label in confusions.labels]

    def score(values: Array) -> Array:
        return np.where(supported, values.mean(axis=0), np.nan)

    return pd.DataFrame(
        {
            "label": list(confusions.labels),
            "precision": score(precision_per_label(pooled)),
            "recall": score(recall_per_label(pooled)),
            "f1": score(f1_per_label(pooled)),
            "f1_low": [low for low, _ in ends],
            "f1_high": [high for _, high in ends],
            "support": pooled.sum(axis=2).mean(axis=0),
            "predicted": pooled.sum(axis=1).mean(axis=0),
        }
    )


def _per_fold(rows: PredictionsTable, part: str) -> pd.DataFrame:
    keys, group, sizes = np.unique(
        rows.frame[[REPEAT, FOLD]].to_numpy(), axis=0, return_inverse=True, return_counts=True
    )
    matrices = grouped_confusions(
        group, rows.codes("label"), rows.codes(PREDICTED), (len(keys), len(rows.labels))
    )
    return pd.DataFrame(
        {
            "part": part,
            REPEAT: keys[:, 0],
            FOLD: keys[:, 1],
            "n": sizes,
            # A fold that lacks a label cannot be blamed for it: each is scored over its own.
            "macro_f1": [
                float(macro_f1(matrix, labels=matrix.sum(axis=1) > 0)) for matrix in matrices
            ],
            "accuracy": accuracy(matrices),
        }
    )


def _per_domain(rows: PredictionsTable) -> pd.DataFrame:
    columns = ["domain", "n", "documents", "labels", "macro_f1", "accuracy"]
    domain, names = pd.factorize(rows.frame["domain"].replace("", None), sort=True)
    repeat, repeats = pd.factorize(rows.frame[REPEAT])
    document, documents = pd.factorize(rows.frame["document_id"])
    named = domain >= 0
    n_labels = len(rows.labels)
    pooled = grouped_confusions(
        (domain * len(repeats) + repeat)[named],
        rows.codes("label")[named],
        rows.codes(PREDICTED)[named],
        (len(names) * len(repeats), n_labels),
    ).reshape(len(names), len(repeats), n_labels, n_labels)
    both = np.unique((domain * len(documents) + document)[named])
    n_documents = np.bincount(both // max(1, len(documents)), minlength=len(names))
    result = []
    for index, name in enumerate(names):
        matrices = pooled[index]
        n = float(matrices.sum() / len(repeats))
        enough = matrices.sum(axis=2).mean(axis=0) >= DOMAIN_LABEL_SENTENCES
        scored = n >= DOMAIN_SENTENCES and enough.sum() >= 2
        score = float(macro_f1(matrices, labels=enough).mean()) if scored else float("nan")
        result.append(
            (
                str(name),
                n,
                int(n_documents[index]),
                int(enough.sum()),
                score,
                float(accuracy(matrices).mean()),
            )
        )
    result.sort(key=lambda row: (-row[1], row[0]))
    return pd.DataFrame(result, columns=columns)


def _notes(confusions: DocumentConfusions) -> tuple[str, ...]:
    notes = []
    n_documents = len(confusions.documents)
    if n_documents == 1:
        notes.append(
            "One document: no interval, for documents are what an interval is computed over."
        )
    elif n_documents < CHECKED_DOCUMENTS:
        notes.append(
            f"{n_documents} documents: the intervals are rough; their coverage was checked by "
            f"simulation from {CHECKED_DOCUMENTS} documents on."
        )
    predicted = confusions.counts.sum(axis=(0, 1, 2)) > 0
    each = list(zip(confusions.labels, confusions.supported, predicted, strict=True))
    absent = [name for name, is_supported, _ in each if not is_supported]
    if absent:
        notes.append(
            f"No sentence is labelled {', '.join(absent)}: macro-F1 is over the other "
            f"{len(each) - len(absent)} labels."
        )
    never = [name for name, is_supported, is_given in each if is_supported and not is_given]
    if never:
        notes.append(f"Never predicted: {', '.join(never)}.")
    return tuple(notes)
