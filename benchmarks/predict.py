"""How fast `sitrepbench predict` labels a CSV file, and how its memory grows with the file.

    python benchmarks/predict.py [--rows 100000] [--memory 10000 2000000]

Generated sentences (20 words from a Zipf vocabulary of 50,000). Models are fitted on 5,000 of them.
Bare is what a user would write instead: the fitted pipeline's ``predict`` on a table of all
sentences that is in memory already, with one thread; where probabilities are written, also
``predict_proba``. Ours reads the file, labels it in two processes and writes the file, from the
start of the command to its end. Both are measured in turn, three times; the ratio is that of the
medians. Memory is the most that the command and its workers hold together (resident set, sampled
ten times a second), at two lengths of the file.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from sitrepbench.features import word_char_tfidf, word_tfidf
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.trained.folder import write_folder
from sitrepbench.trained.serialised import SKOPS_FILE, to_skops

LABELS = ("casualty_report", "denial", "negotiation", "evacuation", "background")
WORDS_PER_SENTENCE, VOCABULARY, N_TRAIN, REPEATS = 20, 50_000, 5_000, 3
PROCESSES = 2
WANTED, WANTED_GROWTH_MIB = 1.7, 50


def write_sentences(file: Path, n_sentences: int) -> None:
    """Write a table of generated sentences."""
    rng = np.random.default_rng(n_sentences)
    words = np.array([f"w{number:x}" for number in range(VOCABULARY)])
    zipf = 1.0 / np.arange(1, VOCABULARY + 1)
    bounds = np.cumsum(zipf / zipf.sum())
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["document_id", "position", "text"])
        for first in range(0, n_sentences, 10_000):
            count = min(10_000, n_sentences - first)
            drawn = np.searchsorted(bounds, rng.random((count, WORDS_PER_SENTENCE)))
            for row in range(count):
                text = " ".join(words[np.minimum(drawn[row], VOCABULARY - 1)])
                table.writerow([f"d{(first + row) // 20}", (first + row) % 20, f"{text}."])


def saved(folder: Path, pipeline: Pipeline, frame: pd.DataFrame) -> Pipeline:
    """Fit a pipeline, write it as a model's folder, and return it."""
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array(LABELS, dtype=object), len(frame))
    pipeline.fit(frame, labels)
    manifest = {
        "name": folder.name,
        "labels": list(LABELS),
        "columns": [],
        "reads_documents": False,
        "has_probabilities": hasattr(pipeline, "predict_proba"),
        "key": "0" * 16,
        "serialization": "skops",
        "versions": {"scikit-learn": version("scikit-learn")},
        "calibrator": None,
    }
    write_folder(folder, manifest, {SKOPS_FILE: to_skops(pipeline)}, replace=False)
    return pipeline


def bare_seconds(pipeline: Pipeline, frame: pd.DataFrame) -> float:
    """Return what the pipeline itself takes for all rows."""
    with threadpool_limits(limits=1):
        started = time.perf_counter()
        pipeline.predict(frame)
        if hasattr(pipeline, "predict_proba"):
            pipeline.predict_proba(frame)
        return time.perf_counter() - started


def command(model: Path, file: Path, output: Path) -> list[str]:
    """Return the command that labels a file."""
    start = [sys.executable, "-m", "sitrepbench", "predict", str(model), str(file)]
    return [*start, "--output", str(output), "--processes", str(PROCESSES)]


def our_seconds(model: Path, file: Path, output: Path) -> float:
    """Return what the command takes, start and all."""
    started = time.perf_counter()
    subprocess.run(command(model, file, output), check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def peak_mib(model: Path, file: Path, output: Path) -> tuple[float, float]:
    """Return the most memory of the command alone, and with its workers, MiB."""
    process = psutil.Popen(command(model, file, output), stderr=subprocess.DEVNULL)
    alone = family = 0.0
    while process.poll() is None:
        try:
            own = process.memory_info().rss
            workers = sum(child.memory_info().rss for child in process.children(recursive=True))
            alone, family = max(alone, own), max(family, own + workers)
        except psutil.Error:
            continue
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return alone / 2**20, family / 2**20


def measure_speed(folder: Path, n_rows: int, models: dict[str, Callable[[], Pipeline]]) -> bool:
    """Print the ratio of each model; return whether all are as wanted."""
    file = folder / "sentences.csv"
    write_sentences(file, n_rows)
    frame = pd.read_csv(file, usecols=["text"], dtype={"text": object})
    good = True
    print(f"{n_rows:,} sentences, {PROCESSES} processes; sentences per second, medians")
    for name, build in models.items():
        pipeline = saved(folder / name, build(), frame.head(N_TRAIN))
        bare, ours = [], []
        for _ in range(REPEATS):
            bare.append(bare_seconds(pipeline, frame))
            ours.append(our_seconds(folder / name, file, folder / "labelled.csv"))
        ratio = statistics.median(bare) / statistics.median(ours)
        good &= ratio >= WANTED
        print(
            f"  {name:22} bare {n_rows / statistics.median(bare):8,.0f}   predict "
            f"{n_rows / statistics.median(ours):8,.0f}   ratio {ratio:.2f} (wanted {WANTED})",
            flush=True,
        )
    return good


def measure_memory(folder: Path, sizes: list[int], model: str) -> bool:
    """Print the memory at two sizes; return whether it is flat."""
    peaks = []
    print(f"memory, {model}, {PROCESSES} processes: the command alone, and with its workers, MiB")
    for n_rows in sizes:
        file = folder / f"{n_rows}.csv"
        write_sentences(file, n_rows)
        started = time.perf_counter()
        alone, family = peak_mib(folder / model, file, folder / "labelled.csv")
        seconds = time.perf_counter() - started
        peaks.append(family)
        print(f"  {n_rows:9,} rows   {alone:7.0f}   {family:7.0f}   ({seconds:.0f} s)", flush=True)
        file.unlink()
    return max(peaks) - min(peaks) <= WANTED_GROWTH_MIB * (PROCESSES + 1)


def main() -> int:
    """Measure, and return 0 where everything is as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--memory", type=int, nargs="*", default=[10_000, 2_000_000])
    parser.add_argument("--models", nargs="*", help="only these")
    given = parser.parse_args()
    models: dict[str, Callable[[], Pipeline]] = {
        "word-svm": lambda: build_pipeline(word_tfidf(), LinearSVC()),
        "word-logreg": lambda: build_pipeline(word_tfidf(), LogisticRegression()),
        "word_char-svm": lambda: build_pipeline(word_char_tfidf(), LinearSVC()),
    }
    chosen = {name: models[name] for name in given.models or models}
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as name:
        good = measure_speed(Path(name), given.rows, chosen)
        if given.memory:
            good &= measure_memory(Path(name), given.memory, next(iter(chosen)))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
