"""What does it save to fit features once?

    python benchmarks/reuse.py

Eight linear models on word and character TF-IDF of the corpus (train and dev, one cell), with and
without reuse, turn by turn; then latent semantic analysis computed and taken from the disk. The
predictions are compared on the way. Ratios are what counts: seconds depend on the machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from sklearn.linear_model import RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from sitrepbench.data import load_shipped
from sitrepbench.execution import RunResult, execute
from sitrepbench.features import lsa, word_char_tfidf
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.protocols import Official, Plan
from sitrepbench.reuse import FittedFeatures

ROUNDS = 3
MODELS = [
    LinearSVC(C=0.1),
    LinearSVC(C=0.3),
    LinearSVC(C=0.3, class_weight="balanced"),
    ComplementNB(alpha=0.3),
    ComplementNB(alpha=1.0),
    SGDClassifier(max_iter=20, tol=None),
    SGDClassifier(loss="log_loss", max_iter=20, tol=None),
    RidgeClassifier(solver="sparse_cg"),
]


def timed_run(
    plan: Plan, pipeline: Pipeline, fitted: FittedFeatures | None, *, dear: bool = False
) -> tuple[float, RunResult]:
    """Return the seconds of a run and its result."""
    start = time.perf_counter()
    result = execute(plan, pipeline, seed=1, fitted=fitted, features_key="benchmark", dear=dear)
    return time.perf_counter() - start, result


def linear_models(plan: Plan) -> None:
    """Print the times of all models with and without reuse."""
    alone, together, features = [], [], []
    for _ in range(ROUNDS):
        fitted = FittedFeatures()
        one, other = 0.0, 0.0
        for model in MODELS:
            pipeline = build_pipeline(word_char_tfidf(), model)
            seconds, expected = timed_run(plan, pipeline, None)
            one += seconds
            features.append(float(expected.timings["features_seconds"].sum()))
            seconds, found = timed_run(plan, pipeline, fitted)
            other += seconds
            if found.predictions.digest() != expected.predictions.digest():
                raise SystemExit(f"{model}: reuse changed the predictions")
        alone.append(one)
        together.append(other)
    without, with_it = statistics.median(alone), statistics.median(together)
    ratio = statistics.median(b / a for a, b in zip(alone, together, strict=True))
    print(f"{len(MODELS)} linear models, features fitted for each   {without:8.2f} s")
    print(f"{len(MODELS)} linear models, features fitted once       {with_it:8.2f} s")
    print(f"fitting the features once                   {statistics.median(features):8.2f} s")
    print(f"ratio with reuse to without                 {ratio:8.2f}")


def latent_semantics(plan: Plan) -> None:
    """Print the times of LSA computed and read back from the disk."""
    pipeline = build_pipeline(lsa(), LinearSVC())
    computed, kept, read = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            # Memory keeps nothing here, so every hit is the disk's.
            fitted = FittedFeatures(0, folder=Path(folder) / str(number))
            for times, cache in ((computed, None), (kept, fitted), (read, fitted)):
                seconds, result = timed_run(plan, pipeline, cache, dear=True)
                times.append(seconds)
        if not result.timings["reused"].all():
            raise SystemExit("the disk cache was not hit")
    first, written, again = map(statistics.median, (computed, kept, read))
    ratio = statistics.median(b / a for a, b in zip(computed, read, strict=True))
    print(f"LSA and a linear SVM, computed              {first:8.2f} s")
    print(f"the same, and written to the disk           {written:8.2f} s")
    print(f"the same, LSA read from the disk            {again:8.2f} s")
    print(f"ratio of a hit to computing                 {ratio:8.2f}")


def main() -> None:
    """Print both tables."""
    plan = Official().plan(load_shipped("sitrep"))
    cell = plan.cells[0]
    print(f"{len(cell.train)} sentences to fit, {len(cell.test)} to predict")
    with threadpool_limits(limits=1):
        linear_models(plan)
        latent_semantics(plan)


if __name__ == "__main__":
    main()
