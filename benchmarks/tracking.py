"""What does logging a run to MLflow cost, beside the run itself?

    python benchmarks/tracking.py

Runs on 400 made-up sentences in 40 documents (five folds, word and character n-grams, linear
SVM) are computed without tracking and logged afterwards, each by itself. MLflow's import and its
first touch of the store, which a process pays once, are shown apart. The target is 0.5 s.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.labels import LABELS
from sitrepbench.runs import obtain, prepare, summarise_parts
from sitrepbench.store.results import ResultsStore
from sitrepbench.tracking.connection import open_experiment
from sitrepbench.tracking.log import log_record, reconcile
from sitrepbench.tracking.mlflow_import import import_mlflow
from sitrepbench.tracking.settings import tracking_settings
from sitrepbench.tracking.views import refresh_views

RUNS = 7
SENTENCES = 400
TARGET_SECONDS = 0.5


def write_sentences(path: Path) -> None:
    """Write sentences of ten random words, a third of them drawn from the label's own."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(SENTENCES):
        label = LABELS[number % len(LABELS)]
        words = [
            f"{label[:3]}{generator.integers(30)}"
            if generator.random() < 0.3
            else f"word{generator.integers(800)}"
            for _ in range(10)
        ]
        text = f"{' '.join(words)} {number}."
        rows.append({"doc_id": f"d{number // 10}", "text": text, "label": label})
    pd.DataFrame(rows).to_csv(path, index=False)


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Append the seconds that the block takes."""
    start = time.perf_counter()
    yield
    into.append(time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        sentences = Path(folder) / "sentences.csv"
        write_sentences(sentences)
        store = ResultsStore(Path(folder) / "results")
        settings = tracking_settings(store.folder, "benchmark")
        once: dict[str, list[float]] = {"import": [], "create": [], "views": [], "nothing": []}
        with timed(once["import"]):
            import_mlflow()
        with timed(once["create"]):
            open_experiment(settings)
        computed: list[float] = []
        logged: list[float] = []
        records = []
        for number in range(RUNS + 1):
            overrides = [f"dataset.path={sentences}", f"model.C={0.1 * (number + 1):.1f}"]
            with timed(computed):
                record, _ = obtain(prepare(check_config(compose(overrides))), store)
                summaries = summarise_parts(record.predictions())
            with timed(logged):
                log_record(record, summaries, settings)
            records.append(record)
        with timed(once["views"]):
            refresh_views(records, settings)
        with timed(once["nothing"]):
            reconcile(records, settings)
    # The first run warms the caches.
    run, log = statistics.median(computed[1:]), statistics.median(logged[1:])
    print(f"once per process: import of MLflow          {once['import'][0]:7.3f} s")
    print(f"once per store:   making the database       {once['create'][0]:7.3f} s")
    print(f"a run without tracking (median of {RUNS})        {run:7.3f} s")
    print(f"logging it (median of {RUNS}; worst {max(logged[1:]):.3f} s)    {log:7.3f} s")
    print(f"refreshing the views                        {once['views'][0]:7.3f} s")
    print(f"a start with nothing to log                 {once['nothing'][0]:7.3f} s")
    print(f"ratio of a tracked run to an untracked one  {(run + log) / run:7.3f}")
    verdict = "within" if log <= TARGET_SECONDS else "OVER"
    print(f"{verdict} the target of {TARGET_SECONDS} s per run")


if __name__ == "__main__":
    main()
