"""Many runs: what one more costs, issuing a finished sweep again, a store with thousands."""

from __future__ import annotations

import copy
import json
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep_ways.processes import WAYS, spread, tell, timed
from sweep_ways.program import (
    CHEAP_MODEL,
    PROGRAM,
    TEST_SENTENCES,
    TRAIN_SENTENCES,
    make_database,
    sweep,
    sweep_command,
    write_models,
    write_sentences,
)

from sitrepbench.config.key import content_key

FEW_TRAIN, FEW_TEST = 300, 150
REISSUE_TARGET = 5.0
STORE_TARGET = 3.0


class Scale:
    """Sweeps of a trivial model, ``model.alpha=range(1, N + 1)``, in a folder."""

    def __init__(self, folder: Path, *, executor: str) -> None:
        self.folder = folder
        self.executor = executor
        self.config = folder / "conf"
        write_models(self.config)
        self.sentences = folder / "few.csv"
        self.counts = write_sentences(self.sentences, train=FEW_TRAIN, test=FEW_TEST)

    def command(
        self, runs: int, results: Path, *, sentences: Path | None = None, tracked: bool = True
    ) -> list[str]:
        """Return the command of a sweep of so many runs."""
        return sweep_command(
            ["features=word", f"model={CHEAP_MODEL}", f"model.alpha=range(1,{runs + 1})"],
            results=results,
            config=self.config,
            sentences=sentences or self.sentences,
            executor=self.executor,
            tracked=tracked,
        )

    def results(self, runs: int) -> Path:
        """Return the results store of the sweep of so many runs."""
        return self.folder / f"results-{runs}"

    def growth(self, sizes: Sequence[int]) -> None:
        """Run sweeps of several sizes, each in a fresh store, and print what a run costs."""
        print(
            f"\nA trivial model on {self.counts['train']} + {self.counts['dev']} sentences, "
            f"executor={self.executor}, fully tracked.\n"
            "each more: growth of the wall time per further run since the line above; all of it\n"
            "counts, the imports in the first line and the runs' own fits\n\n"
            f"{'runs':>6}{'wall s':>10}{'ms per run':>13}{'ms each more':>15}"
        )
        before: tuple[int, float] | None = None
        for runs in sizes:
            results = self.results(runs)
            make_database("sitrepbench", results)
            tell(f"{runs} runs of a trivial model")
            done = sweep(
                self.command(runs, results), folder=self.folder, expected=runs, results=results
            )
            more = ""
            if before is not None and runs > before[0]:
                more = f"{1000 * (done.seconds - before[1]) / (runs - before[0]):.1f}"
            each = 1000 * done.seconds / runs
            print(f"{runs:>6}{done.seconds:>10.1f}{each:>13.1f}{more:>15}", flush=True)
            before = (runs, done.seconds)

    def reissue(self, runs: int, *, times: int) -> None:
        """Issue a finished sweep again, and print its wall time with and without imports."""
        results = self.results(runs)
        command = self.command(runs, results)
        modules = self.folder / "modules.json"
        timed([WAYS / "imports.py", "--record", modules, *command], folder=self.folder)
        whole, imports = [], []
        for number in range(times):
            tell(f"issuing the finished sweep of {runs} runs again, {number + 1} of {times}")
            whole.append(sweep(command, folder=self.folder, expected=runs, results=results).seconds)
            imports.append(timed([WAYS / "imports.py", modules], folder=self.folder).seconds)
        beyond = [each - import_ for each, import_ in zip(whole, imports, strict=True)]
        print(f"\nA finished sweep of {runs:,} runs issued again\n"
              f"  wall                                        {spread(whole)} s\n"
              f"  a process that only imports the same        {spread(imports)} s\n"
              f"  after imports                               {spread(beyond)} s   "
              f"{_verdict(beyond, REISSUE_TARGET)}")  # fmt: skip

    def store(self, runs: int, *, times: int) -> None:
        """Fill a store with copies of one run, and print the time of what lists them."""
        results = self.folder / "store"
        sentences = self.folder / "sentences.csv"
        write_sentences(sentences, train=TRAIN_SENTENCES, test=TEST_SENTENCES)
        one = self.command(1, results, sentences=sentences, tracked=False)
        sweep(one, folder=self.folder, expected=1, results=results)
        tell(f"making {runs} runs of one")
        _multiply(results, runs)
        (results / "index.db").unlink(missing_ok=True)
        first = timed([*PROGRAM, "list", "--results-dir", results], folder=self.folder).seconds
        # Of the copies' keys, so that all are found: now there is a sweep to tell about, too.
        all_ = self.command(runs, results, sentences=sentences, tracked=False)
        tell(f"issuing the sweep of the {runs} runs")
        issued = sweep(all_, folder=self.folder, expected=runs, results=results).seconds
        print(f"\n{runs:,} runs in the store, each with predictions of about "
              f"{TEST_SENTENCES} sentences; whole processes\n"
              f"  first list, which makes the index           {first:.2f} s\n"
              f"  a sweep of all of them issued, no tracking  {issued:.2f} s")  # fmt: skip
        # The ledger with the longest plan is that of the whole sweep.
        plans = results.glob("sweeps/*/plan.json")
        sweep_id = max(plans, key=lambda path: path.stat().st_size).parent.name
        for shown, arguments in (
            ("status", ["status"]),
            ("status SWEEP, with the ranked table", ["status", sweep_id]),
            ("list", ["list"]),
            ("list --top 30, the ranked table", ["list", "--top", "30"]),
        ):
            name = f"sitrepbench {shown}"
            command = [*PROGRAM, *arguments, "--results-dir", results]
            seconds = []
            for number in range(times):
                tell(f"{name}, {number + 1} of {times}")
                seconds.append(timed(command, folder=self.folder).seconds)
            print(f"  {name:<48}{spread(seconds)} s  {_verdict(seconds, STORE_TARGET)}", flush=True)


def _verdict(seconds: Sequence[float], target: float) -> str:
    met = sorted(seconds)[len(seconds) // 2] <= target
    return f"target {target:.0f} s: {'met' if met else 'MISSED'}"


def _multiply(results: Path, runs: int) -> None:
    """Copy the one run of a store under the keys of ``model.alpha`` from 2 to ``runs``."""
    (original,) = (results / "runs").iterdir()
    record: dict[str, Any] = json.loads((original / "record.json").read_bytes())
    if content_key(record["key_parts"]) != record["key"]:
        sys.exit("FAILED: a record's key is not the digest of its parts; look at config/key.py")
    draw = random.Random(0)
    for alpha in range(2, runs + 1):
        made = copy.deepcopy(record)
        made["key_parts"]["config"]["model"]["alpha"] = alpha
        made["key"] = content_key(made["key_parts"])
        made["config"]["model"]["alpha"] = alpha
        made["overrides"] = [
            f"model.alpha={alpha}" if text.startswith("model.alpha=") else text
            for text in record["overrides"]
        ]
        made["run_name"] = f"cnb alpha={alpha}"
        minute, second = divmod(alpha % 3600, 60)
        made["created"] = (
            f"{record['created'][:11]}{alpha // 3600:02}:{minute:02}:{second:02}+00:00"
        )
        # Other scores, so that there is something to rank.
        made["scores"]["dev"]["macro_f1"] = draw.random()
        folder = results / "runs" / made["key"]
        shutil.copytree(original, folder)
        (folder / "record.json").write_text(json.dumps(made, indent=1), encoding="utf-8")
