"""What a fit costs, where vectors come from a store: as if each text had been encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sitrepbench.calibration import Temperature
from sitrepbench.data.dataset import TEXT, Dataset
from sitrepbench.execution import execute
from sitrepbench.models import LabelDescription
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.protocols import GroupedCV
from sitrepbench.reuse.embeddings import (
    EMBEDDINGS_CACHE,
    embeddings_kept_in,
    vectors_of,
)
from sitrepbench.reuse.vector_stores import VectorStore
from sitrepbench.watching import stopwatch, timed_together

#: What encoding a text is said to have taken, seconds: no test takes as long.
SECONDS = 10_000.0
DESCRIPTIONS = 5


def vectors(texts: Sequence[str]) -> Any:
    """Return made-up vectors from the store."""
    return vectors_of(texts, name="made", encode=encode, dtype="float32", batch_size=8)


def encode(texts: list[str]) -> Any:
    digests = [hashlib.sha256(text.encode()).digest()[:8] for text in texts]
    return np.array([list(digest) for digest in digests], dtype=np.float32)


def fill(results_dir: Path, texts: Sequence[str]) -> None:
    """Put the texts' vectors in a results store, as if an earlier run had encoded them."""
    store = VectorStore(results_dir / EMBEDDINGS_CACHE / "made.sqlite", "float32")
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    assert not store.keep(keys, encode(list(texts)), SECONDS)


class Encoder:
    """Stands for `Embeddings`."""

    def vectors(self, texts: Sequence[str]) -> Any:
        return vectors(texts).astype(float)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}


def test_stopwatches_together_count_a_text_once(tmp_path: Path) -> None:
    fill(tmp_path, ["one", "two"])
    told = []
    with embeddings_kept_in(tmp_path), timed_together():
        for texts in (["one"], ["one", "two"], ["two"]):
            with stopwatch() as now:
                started = now()
                vectors(texts)
                told.append(round((now() - started) / SECONDS))
    assert told == [1, 1, 0]
    with embeddings_kept_in(tmp_path), stopwatch() as now:
        started = now()
        vectors(["one"])
        assert round((now() - started) / SECONDS) == 1


@pytest.mark.parametrize("calibrator", [None, Temperature(n_folds=3)], ids=["plain", "calibrated"])
def test_a_calibrator_does_not_have_texts_encoded_again(
    dataset: Dataset, tmp_path: Path, calibrator: Any
) -> None:
    model = LabelDescription(Encoder())
    fill(tmp_path, [*dataset.frame[TEXT].unique(), *model._described().values()])
    plan = GroupedCV(n_folds=3).plan(dataset)
    with embeddings_kept_in(tmp_path):
        result = execute(plan, build_pipeline(None, model), calibrator=calibrator)
    predicting = result.timings["predict_seconds"].tolist()
    fitting = result.timings["fit_seconds"].tolist()
    for cell, asked, taught in zip(plan.cells, predicting, fitting, strict=True):
        texts = dataset.frame[TEXT].iloc[cell.test].nunique() + DESCRIPTIONS
        assert round(asked / SECONDS) == texts
        learned = dataset.frame[TEXT].iloc[cell.train].nunique() if calibrator else 0
        assert round(taught / SECONDS) == learned
