"""The audit finds planted near-duplicates, telling words and conflicts, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sitrepbench.data.audit import audit_dataset, jaccard, near_duplicates, shingles
from sitrepbench.data.statistics import describe_dataset
from sitrepbench.data.table import load_frame

WORDS = [f"w{i}" for i in range(400)]


def made(*extra: dict[str, str]) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = [
        {
            "document_id": f"d{i // 5}",
            "text": " ".join(rng.choice(WORDS, 12)) + (" zebra" if i % 5 == 1 else ""),
            "label": "denial" if i % 5 == 1 else "background",
            "split": "train" if i < 100 else "test",
        }
        for i in range(200)
    ]
    return pd.DataFrame([*rows, *extra])


def test_exact_similarity_by_hand() -> None:
    assert shingles("abcdef") == {"abcde", "bcdef"}
    assert shingles("ab") == {"ab"}
    assert jaccard(shingles("abcdef"), shingles("abcdeX")) == pytest.approx(1 / 3)


def test_all_pairs_of_a_brute_force_search_are_found() -> None:
    rng = np.random.default_rng(4)
    texts = [" ".join(rng.choice(WORDS, 14)) for _ in range(150)]
    for i in range(0, 60, 2):
        words = texts[i].split()
        words[rng.integers(14)] = "changed"
        texts[i + 1] = " ".join(words)
    sets = [shingles(text) for text in texts]
    expected = {
        (i, j) for i in range(150) for j in range(i + 1, 150) if jaccard(sets[i], sets[j]) >= 0.6
    }
    found = {(i, j) for i, j, _ in near_duplicates(texts, threshold=0.6)}
    assert len(expected) >= 25
    assert found <= expected
    assert len(found) >= 0.97 * len(expected)


def test_planted_findings_are_told_apart() -> None:
    text = "the two sides agreed to a truce of two days in the old town on monday"
    frame = made(
        {"document_id": "x", "text": text, "label": "negotiation", "split": "train"},
        {"document_id": "y", "text": text.replace("monday", "tuesday"), "label": "background",
         "split": "test"},
    )  # fmt: skip
    audit = audit_dataset(load_frame(frame), threshold=0.6)
    (pair,) = audit.pairs.to_dict("records")
    assert {pair["first"], pair["second"]} == {"x:0", "y:0"}
    assert len(audit.across_splits) == len(audit.conflicts) == len(audit.unclustered) == 1
    best = audit.words[audit.words["label"] == "denial"].iloc[0]
    assert best["word"] == "zebra"


def test_pairs_within_a_document_do_not_count() -> None:
    text = "the two sides agreed to a truce of two days in the old town on monday"
    twice = [{"document_id": "x", "text": text + end, "label": "negotiation", "split": "train"}
             for end in ("", " again")]  # fmt: skip
    assert audit_dataset(load_frame(made(*twice))).pairs.empty


def test_statistics_add_up() -> None:
    statistics = describe_dataset(load_frame(made()))
    assert (statistics.n_sentences, statistics.n_documents) == (200, 40)
    assert statistics.labels["sentences"].sum() == 200
    assert statistics.labels.set_index("label").loc["denial", "share"] == pytest.approx(0.2)
    assert statistics.by["split"]["sentences"].sum() == 200
    assert statistics.per_document == (5, 5, 5)
    assert statistics.lengths.loc[0, "median"] == 12
