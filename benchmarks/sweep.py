"""How fast is a sweep, beside a bare loop over scikit-learn and what a user would write?

    python benchmarks/sweep.py [--rounds N] [--ways abcde]
    python benchmarks/sweep.py --ways "" --growth --reissue --store 5000

48 configurations (3 features x 4 models x 4 settings; about 2,000 sentences to train on and 680
to score) run in five ways, each a fresh process that is timed from start to exit:

a  the limit: a bare scikit-learn loop, features cached in memory, one process, nothing written
b  the naive way: Hydra -m with the basic launcher, MLflow's usual calls, a confusion matrix, no
   model logged
c  joblib.Parallel(n_jobs=2) over pipelines, without tracking
d  this program with two worker processes, records, predictions and MLflow
e  the same with the serial executor

Tracking databases (SQLite) exist beforehand; making one is timed apart. Bytecode is written once
before anything is timed. The order changes from round to round; ratios are taken within a round.
BLAS and OpenMP: this program limits itself to one thread; the other ways run as a user would
have them. The models' inner loops use no BLAS threads, so that this decides little. All ways
must come to the same macro-F1 of every configuration, or the benchmark fails.

--growth   d with 50, 200 and 1,000 runs of a trivial model on a few sentences: cost per run
--reissue  the sweep of 1,000 runs, finished, issued once more: wall time beyond imports
--store N  N runs in the store: status, list and the ranked table
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep_ways import at_scale
from sweep_ways.grid import configurations, sweep_overrides
from sweep_ways.processes import WAYS, spread, tell, timed
from sweep_ways.program import (
    TEST_SENTENCES,
    TRAIN_SENTENCES,
    check_logged,
    fit_and_predict,
    make_database,
    records,
    scores_of,
    sweep,
    sweep_command,
    write_models,
    write_naive_config,
    write_sentences,
)

TITLES = {
    "a": "bare scikit-learn loop, cached features",
    "b": "Hydra -m and MLflow, naive",
    "c": "joblib.Parallel(2), no tracking",
    "d": "sitrepbench, 2 workers, all tracked",
    "e": "sitrepbench, serial, all tracked",
}
EXECUTOR_OF = {"d": "local", "e": "serial"}
WORKERS = 2
#: Macro-F1 of the same configuration may differ by so much between the ways.
TOLERANCE = 1e-9
#: Two of the cheapest configurations: what remains is the cost of starting a sweep.
TWO_RUNS = (
    "features=word",
    "model=sweep_sgd",
    "model.class_weight=null,balanced",
    "model.fit_intercept=true",
)
TARGETS = (
    ("d / a", "at most", 1.0),
    ("b / d", "at least", 4.0),
    ("e / a", "at most", 1.3),
)
TARGET_MS_PER_RUN = 80.0


@dataclass
class Round:
    """What one round measured; seconds by way."""

    wall: dict[str, float] = field(default_factory=dict)
    #: The machine's load average before it began; what others do makes ratios unsure.
    load: float = 0.0
    scores: dict[str, Mapping[str, float]] = field(default_factory=dict)
    #: Seconds of making a tracking database, by kind.
    database: dict[str, float] = field(default_factory=dict)
    vectorising: float = 0.0
    fitting: float = 0.0
    #: Fit and predict by the records' own account, and the wall time of two runs without that.
    told: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)


class Ways:
    """The five ways on one set of sentences, each in a folder of its own per call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sentences = folder / "sentences.csv"
        self.counts = write_sentences(self.sentences, train=TRAIN_SENTENCES, test=TEST_SENTENCES)
        self.config = folder / "conf"
        write_models(self.config)
        self.calls = 0

    def run(self, way: str, measured: Round, *, warm: bool = False) -> None:
        """Run one way and note what it took; to warm up, only two configurations of it."""
        self.calls += 1
        place = self.folder / f"{self.calls}{way}"
        place.mkdir()
        if way in "ac":
            self._script("bare.py" if way == "a" else "pipelines.py", way, place, measured, warm)
        elif way == "b":
            self._naive(place, measured, warm)
        else:
            self._program(way, place, measured, warm)
        if not warm:
            tell(f"{way}  {TITLES[way]:<40} {measured.wall[way]:7.2f} s")

    def _script(self, script: str, way: str, place: Path, measured: Round, warm: bool) -> None:
        scores = place / "scores.json"
        command = [WAYS / script, self.sentences, scores, *(["2"] if warm else [])]
        measured.wall[way] = timed(command, folder=place).seconds
        told = json.loads(scores.read_bytes())
        measured.scores[way] = told["scores"]
        if way == "a":
            measured.vectorising = told["seconds"]["vectorising"]
            measured.fitting = told["seconds"]["fitting"]

    def _naive(self, place: Path, measured: Round, warm: bool) -> None:
        config, store, scores = place / "conf", place / "store", place / "scores.jsonl"
        write_models(config)
        write_naive_config(config, sentences=self.sentences, scores=scores, store=store)
        measured.database["MLflow"] = make_database("mlflow", store)
        overrides = TWO_RUNS if warm else sweep_overrides()
        command = [WAYS / "naive.py", "--config-path", config, "-m", *overrides]
        measured.wall["b"] = timed(command, folder=place).seconds
        lines = scores.read_text(encoding="utf-8").splitlines()
        measured.scores["b"] = {k: v for line in lines for k, v in json.loads(line).items()}
        check_logged(store / "mlflow.db", len(lines))

    def _program(self, way: str, place: Path, measured: Round, warm: bool) -> None:
        two, _, told = self._sweep(way, place / "two", TWO_RUNS, expected=2)
        # The two share their features, and so one worker computes them.
        measured.start[way] = two - told
        if warm:
            return
        results = place / "all"
        measured.wall[way], measured.database["this program"], measured.told[way] = self._sweep(
            way, results, sweep_overrides(), expected=len(list(configurations()))
        )
        measured.scores[way] = scores_of(records(results))

    def _sweep(
        self, way: str, results: Path, overrides: Sequence[str], *, expected: int
    ) -> tuple[float, float, float]:
        """Run a sweep; return its wall time, that of making the database, and fit and predict."""
        database = make_database("sitrepbench", results)
        command = sweep_command(
            overrides,
            results=results,
            config=self.config,
            sentences=self.sentences,
            executor=EXECUTOR_OF[way],
        )
        done = sweep(command, folder=results.parent, expected=expected, results=results)
        return done.seconds, database, fit_and_predict(records(results))


def compare_scores(measured: Round) -> None:
    """End the benchmark unless all ways come to the same scores."""
    first, reference = next(iter(measured.scores.items()))
    problems = []
    for way, scores in measured.scores.items():
        if set(scores) != set(reference):
            problems.append(f"{way} has other configurations than {first}")
            continue
        problems += [
            f"{name}: {first} {reference[name]:.12f}, {way} {scores[name]:.12f}"
            for name in reference
            if abs(scores[name] - reference[name]) > TOLERANCE
        ]
    if problems:
        sys.exit("FAILED: the ways come to different scores\n" + "\n".join(problems))


def run_rounds(ways: Ways, chosen: str, rounds: int) -> list[Round]:
    """Run the chosen ways, round by round, each time in another order."""
    tell("first, untimed: two runs in every way, so that bytecode is written and files are cached")
    for way in chosen:
        ways.run(way, Round(), warm=True)
    measured = []
    for number in range(rounds):
        start = number % len(chosen)
        order = chosen[start:] + chosen[:start]
        order = order[::-1] if number % 2 else order
        load = os.getloadavg()[0]
        tell(f"round {number + 1} of {rounds}, order {' '.join(order)}, load {load:.1f}")
        this = Round(load=load)
        for way in order:
            ways.run(way, this)
        compare_scores(this)
        measured.append(this)
    return measured


def print_ways(rounds: list[Round], chosen: str) -> None:
    """Print wall times and ratios."""
    print(f"{'way':<41}{'wall s, median (range)':>24}{'x bare':>15}")
    for way in chosen:
        walls = [each.wall[way] for each in rounds]
        ratio = (
            spread([each.wall[way] / each.wall["a"] for each in rounds]) if "a" in chosen else ""
        )
        print(f"{way}  {TITLES[way]:<38}{spread(walls, 1):>24}   {ratio}")
    print()
    for name, word, target in TARGETS:
        upper, lower = name.split(" / ")
        if upper in chosen and lower in chosen:
            values = [each.wall[upper] / each.wall[lower] for each in rounds]
            middle = statistics.median(values)
            met = middle <= target if word == "at most" else middle >= target
            verdict = "met" if met else "MISSED"
            print(f"{name}   {spread(values):<24} target: {word} {target}   {verdict}")
    for kind in rounds[0].database:
        seconds = [each.database[kind] for each in rounds]
        print(f"making a database for {kind}, not counted above: {spread(seconds, 1)} s")


def print_costs(rounds: list[Round], chosen: str) -> None:
    """Print what a run costs beyond fit and predict, and how that is defined."""
    runs = len(list(configurations()))
    if "a" in chosen:
        print(f"\nthe bare loop: vectorising {spread([r.vectorising for r in rounds])} s, "
              f"fit and predict {spread([r.fitting for r in rounds])} s")  # fmt: skip
    if "a" not in chosen or not set(chosen) & set(EXECUTOR_OF):
        return
    print(
        "\nCost per run beyond fit and predict:\n"
        "  (wall - start - work / processes) / (runs - 2)\n"
        "wall   of the whole process, from start to exit\n"
        "start  wall of the same command with two cheap runs, less their fit and predict\n"
        "work   what the bare loop of that round took to vectorise, fit and predict; so what\n"
        "       workers lose to each other and to the logging counts as cost\n"
        "all    (wall - work / processes) / runs: imports and all"
    )
    for way in chosen:
        if way not in EXECUTOR_OF:
            continue
        processes = WORKERS if EXECUTOR_OF[way] == "local" else 1
        work = {each: (r.vectorising + r.fitting) / processes for each, r in enumerate(rounds)}
        cost, whole, told = (
            [
                1000 * (r.wall[way] - r.start[way] - work[each]) / (runs - 2)
                for each, r in enumerate(rounds)
            ],
            [1000 * (r.wall[way] - work[each]) / runs for each, r in enumerate(rounds)],
            [
                1000 * (r.wall[way] - r.start[way] - r.told[way] / processes) / (runs - 2)
                for r in rounds
            ],
        )
        print(f"{way}: {spread(cost, 0)} ms per run; with start {spread(whole, 0)} ms; with the "
              f"records' own\n   fit and predict seconds as work {spread(told, 0)} ms; "
              f"start {spread([r.start[way] for r in rounds], 1)} s")  # fmt: skip
        if way == "d":
            verdict = "met" if statistics.median(cost) <= TARGET_MS_PER_RUN else "MISSED"
            print(f"   target: at most {TARGET_MS_PER_RUN:.0f} ms per run   {verdict}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="abcde", help="which of a b c d e; default all")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--reissue", action="store_true")
    parser.add_argument("--store", type=int, metavar="N")
    parser.add_argument("--runs", type=int, nargs="+", default=[50, 200, 1000], metavar="N",
                        help="the sizes of --growth; the last is that of --reissue")  # fmt: skip
    parser.add_argument("--executor", choices=["local", "serial"], default="local",
                        help="for --growth, --reissue and --store")  # fmt: skip
    parsed = parser.parse_args()
    if set(parsed.ways) - set(TITLES) or parsed.rounds < 1 or min(parsed.runs) < 2:
        parser.error("--ways takes letters of abcde; --rounds at least 1; --runs at least 2")
    return parsed


def main() -> None:
    """Run what was asked for."""
    parsed = parse()
    with tempfile.TemporaryDirectory(prefix="sweep-") as name:
        folder = Path(name).resolve()
        if parsed.ways:
            ways = Ways(folder)
            rounds = run_rounds(ways, "".join(sorted(set(parsed.ways))), parsed.rounds)
            chosen = "".join(sorted(set(parsed.ways)))
            print(f"{len(list(configurations()))} configurations, {ways.counts['train']:,} + "
                  f"{ways.counts['dev']:,} sentences, {os.cpu_count()} CPUs, "
                  f"{len(rounds)} rounds; same macro-F1 in all ways\n")  # fmt: skip
            print_ways(rounds, chosen)
            print(f"load average before each round: {', '.join(f'{r.load:.1f}' for r in rounds)}")
            print_costs(rounds, chosen)
        scale = at_scale.Scale(folder / "scale", executor=parsed.executor)
        if parsed.growth or parsed.reissue:
            sizes = parsed.runs if parsed.growth else parsed.runs[-1:]
            scale.growth(sizes)
            if parsed.reissue:
                scale.reissue(sizes[-1], times=parsed.rounds)
        if parsed.store:
            scale.store(parsed.store, times=parsed.rounds)


if __name__ == "__main__":
    main()
