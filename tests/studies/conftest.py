"""Small tables with all that the studies ask for: splits, conflicts, registers, documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitrepbench.labels import LABELS

SAID = {
    "casualty_report": "shelling killed {} people and wounded many others near the {}",
    "denial": "officials denied reports of {} strikes on the {} as baseless",
    "negotiation": "envoys met for {} hours of talks on a truce around the {}",
    "evacuation": "buses took {} families from the {} to a camp in the valley",
    "background": "the {} year old road passes an army hill beside the {}",
}
PLACES = ("bridge", "market", "harbour", "school", "mill", "station", "dam")


@pytest.fixture(scope="session")
def make_table(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a table of labelled documents and gives its path."""

    def make(name: str, *, n_documents: int, seed: int, splits: bool = True) -> Path:
        rng = np.random.default_rng(seed)
        rows = []
        for document in range(n_documents):
            split = ("train", "train", "train", "dev", "test", "test_ood")[document % 6]
            for position, label in enumerate(rng.permutation([*LABELS, *LABELS])):
                # Some sentences tell something else than their label, so that scores differ.
                told = label if rng.random() < 0.85 else rng.choice(LABELS)
                said = SAID[told].format(rng.integers(2, 999), rng.choice(PLACES))
                rows.append(
                    {
                        "document_id": f"{name}{document:03}",
                        "position": position,
                        "text": f"{said} on day {rng.integers(9_999)} of {name}",
                        "label": label,
                        "domain": ("north", "south")[document // 6 % 2],
                        "register": ("wire", "blog")[document % 2],
                        "split": split,
                    }
                )
        file = tmp_path_factory.mktemp("tables") / f"{name}.csv"
        table = pd.DataFrame(rows)
        (table if splits else table.drop(columns="split")).to_csv(file, index=False)
        return file

    return make
