"""Datasets and predictions that are made up, with errors where a test wants them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sitrepbench.data import load_frame
from sitrepbench.data.dataset import Dataset
from sitrepbench.predictions import PredictionsTable

NAMES = ("x", "y", "z")


def made_dataset(
    *, n_documents: int = 40, length: int = 12, seed: int = 0, labels: Sequence[str] = NAMES
) -> Dataset:
    """Return a dataset with a domain, an extra column ``source`` and secondary labels."""
    generator = np.random.default_rng(seed)
    rows = []
    for document in range(n_documents):
        for at in range(length):
            label = labels[generator.integers(len(labels))]
            other = labels[(labels.index(label) + 1) % len(labels)]
            rows.append(
                {
                    "doc_id": f"d{document:03d}",
                    "text": " ".join([f"word{document}-{at}"] * int(generator.integers(3, 40))),
                    "label": label,
                    "secondary": other if generator.random() < 0.3 else "",
                    "domain": ("city", "border")[document % 2],
                    "source": ("wire", "blog", "radio")[document % 3],
                    "outlet": f"outlet {document}",
                }
            )
    return load_frame(pd.DataFrame(rows), labels=list(labels), name="made up")


def made_predictions(
    dataset: Dataset,
    wrong: Sequence[bool] | np.ndarray,
    *,
    part: str = "dev",
    probabilities: bool = True,
    n_repeats: int = 1,
) -> PredictionsTable:
    """Return predictions that are wrong where ``wrong`` says so: the next label of the set."""
    labels = dataset.labels
    frame = dataset.frame
    gold = pd.Index(labels).get_indexer(pd.Index(frame["label"]))
    given = np.where(np.asarray(wrong), (gold + 1) % len(labels), gold)
    held = np.full((len(frame), len(labels)), 0.1)
    held[np.arange(len(frame)), given] = 1 - 0.1 * (len(labels) - 1)
    tables = []
    for repeat in range(n_repeats):
        table = pd.DataFrame(
            {
                "sentence_id": frame["sentence_id"],
                "document_id": frame["document_id"],
                "domain": frame["domain"],
                "part": part,
                "repeat": repeat,
                "fold": 0,
                "label": frame["label"],
                "secondary": frame["secondary"],
                "predicted": np.array(labels, dtype=object)[given].astype(str),
            }
        )
        for number, label in enumerate(labels):
            table[f"p_{label}"] = held[:, number] if probabilities else np.nan
        tables.append(table)
    return PredictionsTable(pd.concat(tables, ignore_index=True), tuple(labels))
