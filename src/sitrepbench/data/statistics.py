"""What a dataset consists of: counts, lengths and the label mix, by split, domain and register."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.data.dataset import CLUSTER, DOCUMENT_ID, DOMAIN, LABEL, SPLIT, TEXT, Dataset

REGISTER = "register"
#: Columns by which a dataset is broken down, where it has them.
BREAKDOWNS = (SPLIT, DOMAIN, REGISTER)


@dataclass(frozen=True)
class DatasetStatistics:
    """Counts and shares.

    Parameters
    ----------
    n_sentences, n_documents, n_clusters : int
        Near-duplicate clusters of at least two sentences.
    labels : DataFrame
        ``label, sentences, share, documents, with_secondary``.
    lengths : DataFrame
        Words per sentence (separated by white space) as ``p10, median, p90``, and ``sentences``:
        overall and per register.
    by : dict
        Per breakdown that the dataset has: a table of ``sentences, documents`` and each label's
        share.
    per_document : tuple of float
        The 10th percentile, median and 90th percentile of sentences per document.
    distinct_openings : float
        Different first three words per sentence, near-duplicates counted once: 1 if no two
        sentences open alike.
    """

    n_sentences: int
    n_documents: int
    n_clusters: int
    labels: pd.DataFrame
    lengths: pd.DataFrame
    by: dict[str, pd.DataFrame]
    per_document: tuple[float, float, float]
    distinct_openings: float


def describe_dataset(dataset: Dataset) -> DatasetStatistics:
    """Return the statistics of a dataset."""
    frame = dataset.frame
    clusters = frame.loc[frame[CLUSTER] != "", CLUSTER].value_counts()
    sizes = frame[DOCUMENT_ID].value_counts()
    # What is reprinted opens alike by nature: each near-duplicate cluster counts once.
    once = frame[(frame[CLUSTER] == "") | ~frame.duplicated(CLUSTER)]
    openings = once[TEXT].map(lambda text: " ".join(text.casefold().split()[:3]))
    return DatasetStatistics(
        n_sentences=len(frame),
        n_documents=dataset.n_documents,
        n_clusters=int((clusters > 1).sum()),
        labels=_labels(dataset),
        lengths=_lengths(frame),
        by={
            column: _breakdown(dataset, column)
            for column in BREAKDOWNS
            if column in frame.columns and (frame[column] != "").any()
        },
        per_document=_percentiles(sizes.to_numpy(dtype=float)),
        distinct_openings=openings.nunique() / len(once),
    )


def _labels(dataset: Dataset) -> pd.DataFrame:
    frame = dataset.frame
    rows = []
    for label in dataset.labels:
        chosen = frame[frame[LABEL] == label]
        rows.append(
            {
                "label": label,
                "sentences": len(chosen),
                "share": len(chosen) / len(frame),
                "documents": chosen[DOCUMENT_ID].nunique(),
                "with_secondary": int((chosen["secondary"] != "").sum()),
            }
        )
    return pd.DataFrame(rows)


def _lengths(frame: pd.DataFrame) -> pd.DataFrame:
    words = frame[TEXT].map(lambda text: len(text.split()))
    groups = {"all": words}
    if REGISTER in frame.columns:
        groups |= {str(name): words[rows] for name, rows in frame.groupby(REGISTER).groups.items()}
    rows = []
    for name, values in groups.items():
        p10, median, p90 = _percentiles(values.to_numpy(dtype=float))
        rows.append(
            {"register": name, "p10": p10, "median": median, "p90": p90, "sentences": len(values)}
        )
    return pd.DataFrame(rows)


def _breakdown(dataset: Dataset, column: str) -> pd.DataFrame:
    frame = dataset.frame
    grouped = frame.groupby(column)
    table = pd.DataFrame({"sentences": grouped.size(), "documents": grouped[DOCUMENT_ID].nunique()})
    shares = pd.crosstab(frame[column], frame[LABEL], normalize="index")
    return table.join(shares.reindex(columns=list(dataset.labels), fill_value=0.0)).reset_index()


def _percentiles(values: npt.NDArray[Any]) -> tuple[float, float, float]:
    p10, median, p90 = np.percentile(values, [10, 50, 90])
    return float(p10), float(median), float(p90)
