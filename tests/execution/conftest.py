"""A small dataset whose labels can be learned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.table import load_frame
from sitrepbench.labels import LABELS

WORDS = {
    "casualty_report": "killed wounded toll",
    "denial": "denied rejected baseless",
    "negotiation": "talks truce envoy",
    "evacuation": "fled buses camp",
    "background": "army hill road",
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(5)
    rows = []
    for document in range(30):
        for position in range(5):
            label = LABELS[position]
            said = LABELS[rng.integers(5)] if rng.random() < 0.2 else label
            words = rng.choice(WORDS[said].split(), 2)
            filler = rng.choice(["the", "a", "of", "in", "on", "at"], 6)
            text = f"s{document} n{position} " + " ".join([*words, *filler])
            rows.append(
                {"document_id": f"d{document}", "position": position, "text": text, "label": label}
            )
    return load_frame(pd.DataFrame(rows), name="made")
