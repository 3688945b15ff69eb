"""How fast `sitrepbench predict` labels a CSV file, and how its memory grows with the file.

    python benchmarks/predict.py [--rows 1000000] [--repeats 2] [--memory 10000 2000000]

Generated sentences (20 words from a Zipf vocabulary of 50,000). Models are fitted on 5,000 of them.
Bare is the fitted pipeline's ``predict`` in one call on a table of all sentences that is in memory
already, with one thread; where probabilities are written, also ``predict_proba``. Script is that
with reading the same file by pandas before and writing the labels after it. Ours reads the file,
labels it in two processes and writes the file, from the start of the command to its end; start is
what the command takes for a single row. They are measured in turn; ratios are those of medians.
CPU is user and system time of all processes: on a machine that others use, it says more than the
wall does. Memory is the most that the command and its workers hold together (resident set, sampled
ten times a second; what forked workers share is counted once per process), at two lengths.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
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
WORDS_PER_SENTENCE, VOCABULARY, N_TRAIN = 20, 50_000, 5_000
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


@dataclass(frozen=True)
class Taken:
    """What something took: seconds by the wall and of processors, and the most memory, MiB."""

    wall: float
    cpu: float
    mib: float = 0.0


def in_process(work: Callable[[], object]) -> Taken:
    """Return what a function takes with one thread."""
    with threadpool_limits(limits=1):
        started, used = time.perf_counter(), time.process_time()
        work()
        return Taken(time.perf_counter() - started, time.process_time() - used)


def bare(pipeline: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """Ask the pipeline itself."""
    labels = pipeline.predict(frame)
    if hasattr(pipeline, "predict_proba"):
        pipeline.predict_proba(frame)
    return labels


def script(pipeline: Pipeline, file: Path, output: Path) -> None:
    """Do what a user would write instead of the command."""
    frame = pd.read_csv(file, dtype={"text": object})
    frame.assign(predicted=bare(pipeline, frame)).to_csv(output, index=False)


def ours(model: Path, file: Path, output: Path, processes: int) -> Taken:
    """Return what the command takes, start and all."""
    start = [sys.executable, "-m", "sitrepbench", "predict", str(model), str(file)]
    started = time.perf_counter()
    process = psutil.Popen(
        [*start, "--output", str(output), "--processes", str(processes)], stderr=subprocess.DEVNULL
    )
    used: dict[int, float] = {}
    most = 0.0
    while process.poll() is None:
        held = 0
        with contextlib.suppress(psutil.Error):
            for one in (process, *process.children(recursive=True)):
                times = one.cpu_times()
                used[one.pid] = times.user + times.system
                held += one.memory_info().rss
        most = max(most, held / 2**20)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return Taken(time.perf_counter() - started, sum(used.values()), most)


def median(taken: Sequence[Taken]) -> Taken:
    """Return the medians."""
    wall, cpu = (statistics.median(getattr(one, name) for one in taken) for name in ("wall", "cpu"))
    return Taken(wall, cpu)


def measure_speed(folder: Path, file: Path, pipeline: Pipeline, model: Path, repeats: int) -> bool:
    """Print the ratios of a model; return whether they are as wanted."""
    frame = pd.read_csv(file, dtype={"text": object})
    n_rows = len(frame)
    single, output = folder / "single.csv", folder / "labelled.csv"
    write_sentences(single, 1)
    kinds: dict[str, Callable[[], Taken]] = {
        "bare": lambda: in_process(lambda: bare(pipeline, frame)),
        "script": lambda: in_process(lambda: script(pipeline, file, output)),
        "start": lambda: ours(model, single, output, PROCESSES),
        "ours": lambda: ours(model, file, output, PROCESSES),
    }
    found: dict[str, list[Taken]] = {name: [] for name in kinds}
    for _ in range(repeats):
        for name, kind in kinds.items():
            found[name].append(kind())
    taken = {name: median(values) for name, values in found.items()}
    if pd.read_csv(output)["predicted"].tolist() != pipeline.predict(frame).tolist():
        raise SystemExit("the labels differ")
    start, all_of = taken["start"], taken["ours"]
    taken["ours, started"] = Taken(all_of.wall - start.wall, all_of.cpu - start.cpu)
    print(f"{model.name}, {n_rows:,} sentences, {PROCESSES} processes, medians of {repeats}")
    wall, cpu = taken["bare"].wall, taken["bare"].cpu
    for name, one in taken.items():
        rate = "" if name == "start" else f"{n_rows / one.wall:10,.0f} rows/s"
        print(
            f"  {name:14} {one.wall:7.1f} s {rate:>17}   CPU {one.cpu:7.1f} s   "
            f"bare/this {wall / one.wall:5.2f} (CPU {cpu / one.cpu:.2f})"
        )
    ratio = taken["bare"].wall / all_of.wall
    print(f"  ratio {ratio:.2f}, wanted {WANTED}", flush=True)
    return ratio >= WANTED


def measure_memory(folder: Path, file: Path, sizes: list[int], model: Path) -> bool:
    """Print the memory at the sizes; return whether it is flat."""
    peaks = []
    print(f"memory, {model.name}: the command with its {PROCESSES} workers")
    for n_rows in sizes:
        taken = ours(model, first_rows(folder, file, n_rows), folder / "labelled.csv", PROCESSES)
        peaks.append(taken.mib)
        print(f"  {n_rows:9,} rows   {taken.mib:7.0f} MiB   ({taken.wall:.0f} s)", flush=True)
    return max(peaks) - min(peaks) <= WANTED_GROWTH_MIB * (PROCESSES + 1)


def first_rows(folder: Path, file: Path, n_rows: int) -> Path:
    """Return a file of the first rows of one."""
    part = folder / f"{n_rows}.csv"
    with file.open("rb") as lines, part.open("wb") as chosen:
        chosen.writelines(islice(lines, n_rows + 1))
    return part


def main() -> int:
    """Measure, and return 0 where everything is as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--memory", type=int, nargs="*", default=[10_000, 2_000_000])
    parser.add_argument("--models", nargs="*", default=["word-svm"])
    given = parser.parse_args()
    models: dict[str, Callable[[], Pipeline]] = {
        "word-svm": lambda: build_pipeline(word_tfidf(), LinearSVC()),
        "word-logreg": lambda: build_pipeline(word_tfidf(), LogisticRegression()),
        "word_char-svm": lambda: build_pipeline(word_char_tfidf(), LinearSVC()),
    }
    good = True
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as name:
        folder, file = Path(name), Path(name) / "sentences.csv"
        write_sentences(file, max([given.rows, *given.memory]))
        some = first_rows(folder, file, given.rows)
        frame = pd.read_csv(file, dtype={"text": object}, nrows=N_TRAIN)
        for model in given.models:
            pipeline = saved(folder / model, models[model](), frame)
            good &= measure_speed(folder, some, pipeline, folder / model, given.repeats)
        if given.memory:
            good &= measure_memory(folder, file, given.memory, folder / given.models[0])
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
