"""Random predictions tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from sitrepbench.predictions import PredictionsTable

MakeTable = Callable[..., PredictionsTable]


@pytest.fixture
def make_table() -> MakeTable:
    """Return a function that draws a table; ``use`` limits the labels that occur."""

    def make(
        *,
        n: int = 200,
        n_documents: int = 20,
        n_repeats: int = 1,
        labels: tuple[str, ...] = ("a", "b", "c", "d"),
        gold_use: Sequence[str] | None = None,
        predicted_use: Sequence[str] | None = None,
        domains: Sequence[str] = ("",),
        probabilities: bool = False,
        seed: int = 0,
    ) -> PredictionsTable:
        rng = np.random.default_rng(seed)
        document = rng.integers(0, n_documents, n)
        gold = rng.choice(gold_use or labels, n)
        secondary = np.array(["", "a", "b|c", "d|a"])[rng.integers(0, 4, n)]
        frames = []
        for repeat in range(n_repeats):
            right = rng.random(n) < 0.5
            drawn = rng.choice(predicted_use or labels, n)
            kept = right & np.isin(gold, list(predicted_use or labels))
            frame = pd.DataFrame(
                {
                    "sentence_id": [f"s{i}" for i in range(n)],
                    "document_id": [f"d{i:03}" for i in document],
                    "domain": [domains[i % len(domains)] for i in document],
                    "part": "cv",
                    "repeat": repeat,
                    "fold": document % 5,
                    "label": gold,
                    "secondary": secondary,
                    "predicted": np.where(kept, gold, drawn),
                }
            )
            given = rng.dirichlet(np.ones(len(labels)), n)
            for index, label in enumerate(labels):
                frame[f"p_{label}"] = given[:, index] if probabilities else np.nan
            frames.append(frame)
        return PredictionsTable(pd.concat(frames, ignore_index=True), labels)

    return make
