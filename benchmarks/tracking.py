"""What does logging a run to MLflow cost, beside the run itself, and how does it grow?

    python benchmarks/tracking.py [RUNS]

One real run of the released corpus (5,802 sentences, five folds, complement naive Bayes on words)
is computed without tracking. Its record is then logged under RUNS (1,000) different content keys:
one by one as when a sweep hands them over, in groups, and through MLflow's client, which is what
any other store than an SQLite file of a known schema gets. Wall time waits for the disk; the
processor time is what logging takes from runs that are being computed. The target is 45 ms.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.preparing import prepare
from sitrepbench.runs import obtain
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ResultsStore
from sitrepbench.tracking.client_store import ClientStore
from sitrepbench.tracking.connection import open_experiment
from sitrepbench.tracking.entries import run_entry
from sitrepbench.tracking.log import log_entries, log_missing, summaries_of
from sitrepbench.tracking.mlflow_import import import_mlflow
from sitrepbench.tracking.ranking import RankedRow
from sitrepbench.tracking.session import TrackingSession
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings
from sitrepbench.tracking.stores import open_store
from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome

RUNS = 1_000
BY_CLIENT = 20
TARGET_MS = 45.0
_EDGE = 50


@dataclass
class Times:
    """Wall and processor time of repeated steps, seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Measure the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def show(self, name: str, *, share: float = 1.0) -> None:
        """Print the medians, ms, of one ``share`` of a step."""
        wall, cpu = (1000 * share * statistics.median(all_) for all_ in (self.wall, self.cpu))
        print(f"{name:<52} {wall:9.1f} ms wall {cpu:9.1f} ms processor")


def main(n_runs: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        record = real_record(results)
        settings = tracking_settings(results, "benchmark")
        show_once(record, settings)
        records = [
            replace(record, key=f"{n:016x}", run_name=f"run {n}", study="benchmark")
            for n in range(n_runs + 10 * 32 + BY_CLIENT)
        ]
        keys = [item.key for item in records[:n_runs]]
        single = show_sweep(records[:n_runs], settings)
        show_groups(records[n_runs : n_runs + 10 * 32], settings)
        show_client(records[n_runs + 10 * 32 :], settings)
        nothing = Times()
        with nothing.once():
            log_missing(keys, lambda key: None, settings)
        nothing.show(f"a start with {n_runs} runs and nothing to log")
        cost = 1000 * statistics.median(single.wall)
        verdict = "within" if cost <= TARGET_MS else "OVER"
        print(f"{cost:.0f} ms a run: {verdict} the target of {TARGET_MS:g} ms")


def real_record(results: Path) -> RunRecord:
    """Compute a run of the released corpus."""
    overrides = ["dataset=sitrep", "model=complement_nb", "features=word", f"results_dir={results}"]
    record = obtain(prepare(check_config(compose(overrides))), ResultsStore(results)).record
    print(f"a run: fit {record.seconds['fit']:.1f} s, predict {record.seconds['predict']:.1f} s")
    return record


def show_once(record: RunRecord, settings: TrackingSettings) -> None:
    """Print what is paid once per process and per store."""
    steps = {"import of MLflow (where it is needed)": Times(), "making the database": Times()}
    loaded, made = steps.values()
    with loaded.once():
        import_mlflow()
    with made.once():
        open_experiment(settings)
    for name, times in steps.items():
        times.show(name)
    computed = Times()
    for _ in range(7):
        with computed.once():
            summaries_of(record)
    computed.show("reading and scoring a record that came without scores")


def show_sweep(records: Sequence[RunRecord], settings: TrackingSettings) -> Times:
    """Log as a sweep does, one by one, and print how it grows."""
    found = summaries_of(records[0])
    sweep = SweepInfo("0123456789ab", "benchmark", "sitrepbench run -m ...", len(records))
    session = TrackingSession(settings, sweep)
    begun, single, ended = Times(), Times(), Times()
    with begun.once():
        session.open()
    for record in records:
        with single.once():
            session.log([run_entry(record, found)])
    rows = [RankedRow(r.key, r.run_name, "sitrep cv", 0.7, 0.68, 0.72) for r in records]
    with ended.once():
        session.finish(SweepOutcome("done", len(rows), 0, 0, len(rows), 1.0, rows))
    session.drop()
    begun.show("beginning a sweep")
    single.show("a run, logged by itself")
    Times(single.wall[:_EDGE], single.cpu[:_EDGE]).show(f"  the first {_EDGE}")
    Times(single.wall[-_EDGE:], single.cpu[-_EDGE:]).show(f"  the last {_EDGE} of {len(records)}")
    ended.show("ending a sweep: views, ranked table, figure")
    return single


def show_groups(records: Sequence[RunRecord], settings: TrackingSettings) -> None:
    """Log in groups, as when runs are waiting."""
    found = summaries_of(records[0])
    groups = Times()
    with open_store(settings) as store:
        store.find("run", [records[0].key])
        for start in range(0, len(records), store.group):
            with groups.once():
                some = records[start : start + store.group]
                log_entries([run_entry(record, found) for record in some], store)
        groups.show(f"a run, {store.group} at once", share=1 / store.group)


def show_client(records: Sequence[RunRecord], settings: TrackingSettings) -> None:
    """Log through MLflow's client, into the same file."""
    found = summaries_of(records[0])
    store = ClientStore.open(settings)
    by_client = Times()
    for record in records:
        with by_client.once():
            log_entries([run_entry(record, found)], store)
    by_client.show("a run, by MLflow's client")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
