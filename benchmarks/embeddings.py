"""What do kept embeddings cost beside a bare encoder, and do halves of their digits matter?

    pip install 'sitrepbench[embeddings]'
    python benchmarks/embeddings.py [SENTENCES]

Cold: bare `SentenceTransformer.encode`, and `Embeddings` into an empty store, turn by turn on the
same sentences of the corpus, after one unmeasured turn each. Warm: the same again from the store.
The ratio cold / bare is what counts (at most 1.05); seconds depend on the machine. Then, with
vectors kept as float16 instead of float32: how many dev labels of two models differ.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from importlib import util
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from sitrepbench.data import load_shipped
from sitrepbench.encoders import EMBEDDING
from sitrepbench.features import Embeddings
from sitrepbench.reuse.embeddings import embeddings_kept_in

ROUNDS = 5
SENTENCES = 500
BATCH_SIZE = 32
LIMIT = 1.05


def main() -> None:
    """Print seconds, ratios and differing labels."""
    if util.find_spec("sentence_transformers") is None:
        print(f"needs: {EMBEDDING.install}")
        return
    from sentence_transformers import SentenceTransformer

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else SENTENCES
    frame = load_shipped("sitrep").frame.drop_duplicates("text")
    frame = frame[frame["split"].isin(["train", "dev"])]
    frame = frame.iloc[np.linspace(0, len(frame) - 1, wanted).astype(int)].reset_index(drop=True)
    texts = list(frame["text"])
    bare = SentenceTransformer(str(EMBEDDING.folder("packaged")), device="cpu")
    features = Embeddings(device="cpu", batch_size=BATCH_SIZE).fit(frame)
    times: dict[str, list[float]] = {"bare": [], "cold": [], "warm": []}
    for turn in range(ROUNDS + 1):
        with tempfile.TemporaryDirectory() as folder, embeddings_kept_in(Path(folder)) as tally:
            marks = [time.perf_counter()]
            bare.encode(texts, batch_size=BATCH_SIZE, show_progress_bar=False)
            marks.append(time.perf_counter())
            vectors = features.transform(frame)
            marks.append(time.perf_counter())
            features.transform(frame)
            marks.append(time.perf_counter())
        assert (tally.computed, tally.taken) == (len(texts), len(texts))
        if turn:
            for name, seconds in zip(times, np.diff(marks), strict=True):
                times[name].append(float(seconds))
    for name, seconds in times.items():
        print(f"{name}: median {statistics.median(seconds):.3f} s for {len(texts)} sentences")
    ratios = [cold / one for cold, one in zip(times["cold"], times["bare"], strict=True)]
    shown = " ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"cold / bare: median {statistics.median(ratios):.3f} ({shown}); limit {LIMIT}")
    _halves(vectors, frame["label"].to_numpy(), (frame["split"] == "dev").to_numpy())


def _halves(vectors: np.ndarray, labels: np.ndarray, dev: np.ndarray) -> None:
    half = vectors.astype(np.float16).astype(np.float64)
    for model in (
        LogisticRegression(C=5.0, class_weight="balanced", max_iter=1000),
        LinearSVC(C=0.3, class_weight="balanced"),
    ):
        said = [model.fit(v[~dev], labels[~dev]).predict(v[dev]) for v in (vectors, half)]
        differ = int((said[0] != said[1]).sum())
        print(f"float16: {type(model).__name__}: {differ} of {dev.sum()} dev labels differ")


if __name__ == "__main__":
    main()
