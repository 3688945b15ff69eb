"""Do time and memory of a run grow linearly with the data, up to a million sentences?

    python benchmarks/scale.py [N ...]            # by default 10000 100000 1000000

Generated sentences (20 words from a Zipf vocabulary of 50,000, some of which depend on the label;
20 sentences per document) are written to a CSV file; each size is then run in a process of its
own: `dataset=table features=hashing model=sgd protocol=official`, from reading the file to the
stored record. Seconds of its steps, and the highest resident set of the process.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LABELS = ("casualty_report", "denial", "negotiation", "evacuation", "background")
SIZES = (10_000, 100_000, 1_000_000)
SENTENCES_PER_DOCUMENT, WORDS_PER_SENTENCE, VOCABULARY = 20, 20, 50_000
LIMIT_GIB = 4.0


def write_sentences(file: Path, n_sentences: int) -> None:
    """Write a table of generated sentences, nine documents of ten in ``train``."""
    rng = np.random.default_rng(n_sentences)
    words = np.array([f"w{number:x}" for number in range(VOCABULARY)])
    zipf = 1.0 / np.arange(1, VOCABULARY + 1)
    bounds = np.cumsum(zipf / zipf.sum())
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["doc_id", "position", "text", "label", "split"])
        for first in range(0, n_sentences, 10_000):
            count = min(10_000, n_sentences - first)
            labels = rng.integers(len(LABELS), size=count)
            drawn = np.searchsorted(bounds, rng.random((count, WORDS_PER_SENTENCE)))
            drawn = np.minimum(drawn, VOCABULARY - 1)
            # One word in five is drawn from the label's own share of the vocabulary.
            telling = rng.random(drawn.shape) < 0.2
            drawn = np.where(telling, drawn - drawn % len(LABELS) + labels[:, None], drawn)
            for row in range(count):
                document, position = divmod(first + row, SENTENCES_PER_DOCUMENT)
                text = " ".join(words[np.minimum(drawn[row], VOCABULARY - 1)])
                split = "dev" if document % 10 == 0 else "train"
                table.writerow([f"d{document}", position, text, LABELS[labels[row]], split])


def run_one(file: Path, store: Path) -> dict[str, float]:
    """Run the table in this process; return seconds by step, the score and the memory, MiB."""
    from sitrepbench.config.compose import compose
    from sitrepbench.config.run_config import check_config
    from sitrepbench.preparing import prepare
    from sitrepbench.runs import obtain
    from sitrepbench.store.results import ResultsStore

    given = ["dataset=table", f"dataset.path={file}", "protocol=official", "executor=serial"]
    config = check_config(compose([*given, "features=hashing", "model=sgd", "tracking=none"]))
    started = time.perf_counter()
    prepared = prepare(config)
    loaded = time.perf_counter()
    after_loading = peak_mib()
    record = obtain(prepared, ResultsStore(store)).record
    done = time.perf_counter()
    return {
        "load": loaded - started,
        "fit": record.seconds["fit"],
        "predict": record.seconds["predict"],
        "rest": done - loaded - record.seconds["fit"] - record.seconds["predict"],
        "total": done - started,
        "loading_mib": after_loading,
        # A run counts its own peak anew, so that the one of loading is not in it.
        "peak_mib": max(after_loading, peak_mib()),
        "macro_f1": record.scores["dev"]["macro_f1"],
    }


def peak_mib() -> float:
    """Return the highest resident set of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Print a line per size, and fail where the memory is above the limit."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(run_one(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    sizes = [int(text) for text in sys.argv[1:]] or list(SIZES)
    steps = ("load", "fit", "predict", "rest", "total")
    print(f"{'sentences':>10s} " + " ".join(f"{step:>8s}" for step in steps), end=" ")
    print(f"{'us each':>8s} {'loading':>8s} {'peak MiB':>8s} macro-F1")
    worst = 0.0
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "table.csv"
            write_sentences(file, size)
            command = [sys.executable, __file__, "--one", str(file), f"{folder}/results"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        worst = max(worst, found["peak_mib"])
        each = found["total"] / size * 1e6
        print(f"{size:10,d} " + " ".join(f"{found[step]:8.1f}" for step in steps), end=" ")
        print(f"{each:8.0f} {found['loading_mib']:8.0f} {found['peak_mib']:8.0f}", end=" ")
        print(f"{found['macro_f1']:8.3f}", flush=True)
    if worst > LIMIT_GIB * 1024:
        raise SystemExit(f"{worst / 1024:.1f} GiB; the limit is {LIMIT_GIB:.0f} GiB")


if __name__ == "__main__":
    main()
