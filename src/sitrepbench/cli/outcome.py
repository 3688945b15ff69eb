"""What ``sitrepbench run`` prints and logs once its runs are computed, and its exit code."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sitrepbench.cli.run import Outcome
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.targets import TARGET
from sitrepbench.errors import TrackingError
from sitrepbench.report.ranking import print_ranking
from sitrepbench.report.terminal import print_summary
from sitrepbench.store.index import row_of
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ResultsStore
from sitrepbench.told import ADHOC, summarise_parts
from sitrepbench.tracking.settings import TrackingSettings

INCOMPLETE = 1
#: Earlier runs of a study that are looked through: for what is not logged, and what varies.
VIEWED = 200


@dataclass(frozen=True)
class Finished:
    """A job that came to a record."""

    config: RunConfig
    record: RunRecord
    cached: bool


def report(outcomes: Sequence[Outcome], *, swept: bool) -> int:
    """Log what is finished, print tables and errors, and return the exit code."""
    done = [
        Finished(outcome.config, outcome.record, outcome.cached)
        for outcome in outcomes
        if outcome.config is not None and outcome.record is not None
    ]
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not swept and failed and failed[0].error is not None:
        raise failed[0].error
    console = Console()
    untracked = _track(done)
    if swept:
        _print_sweep(done, failed, console)
    else:
        print_record(done[0].record, console=console, cached=done[0].cached)
    if done and untracked is None:
        _print_next(done[-1], console)
    if failed:
        return INCOMPLETE
    if untracked is not None:
        raise untracked
    return 0


def _print_sweep(done: list[Finished], failed: list[Outcome], console: Console) -> None:
    if done:
        print_ranking([row_of(job.record) for job in done], console=console)
    cached = sum(job.cached for job in done)
    console.print(
        f"{len(done)} of {len(done) + len(failed)} runs done, {cached} of them taken from the "
        "store.",
        highlight=False,
    )
    for outcome in failed:
        command = shlex.join(["sitrepbench", "run", *outcome.overrides])
        print(f"\nfailed: {command}\n  {outcome.error}", file=sys.stderr)


def print_record(record: RunRecord, *, console: Console, cached: bool) -> None:
    """Print a run's scores, part by part, and where it lies."""
    for part, summary in summarise_parts(record.predictions()).items():
        print_summary(summary, title=_title(record, part), console=console)
    for look in record.looks:
        text = f"Test split {look['split']!r} was read: {look['reason']} ({look['by']})"
        console.print(Text(text, style="yellow"))
    for note in record.notes:
        console.print(Text(f"Note: {note}", style="yellow"))
    if record.tuning:
        console.print(Text(tuning_line(record.tuning)))
    seconds = record.seconds
    taken = "taken from the store; it took" if cached else "computed in"
    console.print(
        Text(
            f"Run {record.key} {taken} {seconds['total']:.1f} s "
            f"(fit {seconds['fit']:.1f} s, predict {seconds['predict']:.1f} s)."
        )
    )


def tuning_line(tuning: Mapping[str, Any]) -> str:
    """Return what a tuner did: its budget, what it tried, and what it chose in most cells."""
    chosen = tuning["chosen"]
    settings = Counter(
        ", ".join(
            f"{path}={value:.4g}" if isinstance(value, float) else f"{path}={value}"
            for path, value in cell["settings"].items()
        )
        for cell in chosen
    )
    most, times = settings.most_common(1)[0]
    where = f" ({times} of {len(chosen)} cells)" if len(settings) > 1 else ""
    name = str(tuning["search"].get("_target_", "")).rpartition(".")[2]
    trials = sum(cell["trials"] for cell in chosen)
    if not trials:
        return f"Settings given: {most}{where}"
    scores = [cell["score"] for cell in chosen if cell["score"] is not None]
    inner = f"inner macro-F1 {sum(scores) / len(scores):.3f}" if scores else ""
    return (
        f"Tuned by {name}: {trials} trials in {tuning['seconds']:.1f} s, {inner}; "
        f"chosen {most}{where}"
    )


def _title(record: RunRecord, part: str) -> str:
    names = record.names
    features = "" if record.key_parts["config"]["features"] is None else f" on {names['features']}"
    data = record.dataset["name"]
    if "trained_on" in record.dataset:
        data = f"{data}, trained on {record.dataset['trained_on']['name']}"
    return f"{names['model']}{features}: {data}, {names['protocol']} ({part})"


def log_finished(done: Sequence[Finished]) -> int:
    """Log finished runs, and return how many earlier ones were missing in MLflow and are not now.

    What an earlier start computed but could not log, because it was killed or MLflow was not
    there, is logged now.

    Raises
    ------
    TrackingError
        When that fails: the records are safe.
    """
    settings = settings_of(done[-1].config) if done else None
    if settings is None:
        return 0
    # mlflow takes a second and a half to import: only where something is logged.
    from sitrepbench.tracking.log import reconcile
    from sitrepbench.tracking.views import refresh_views

    now = [job.record for job in done]
    records = [*_earlier(done[-1], {record.key for record in now}), *now]
    try:
        logged = reconcile(records, settings)
        refresh_views(records, settings)
    except TrackingError as error:
        raise TrackingError(
            f"{error}\nNothing is lost: the runs are in the results store, and the next run "
            "logs them."
        ) from error
    return len(set(logged) - {record.key for record in now})


def _track(done: Sequence[Finished]) -> TrackingError | None:
    """Log finished runs, tell of earlier ones, and return the error if that fails."""
    try:
        made_up = log_finished(done)
    except TrackingError as error:
        return error
    if made_up:
        print(f"{made_up} earlier run(s) were not in MLflow yet and are now.", file=sys.stderr)
    return None


def _earlier(job: Finished, known: set[str]) -> list[RunRecord]:
    """Return the study's stored runs that were meant for MLflow, newest first."""
    store = ResultsStore(job.config.results_dir)
    study = job.record.study
    keys = [row.key for row in store.rows() if row.study == study and row.key not in known]
    found = [store.find(key) for key in keys[:VIEWED]]
    return [
        record
        for record in found
        if record is not None and record.config["tracking"].get(TARGET) is not None
    ]


def settings_of(config: RunConfig) -> TrackingSettings | None:
    """Return where a run is logged, None where it is not."""
    made = config.build("tracking")
    if made is None:
        return None
    settings: TrackingSettings = made(config.results_dir, config.study or ADHOC)
    return settings


def _print_next(job: Finished, console: Console) -> None:
    if settings_of(job.config) is None:
        return
    store = job.config.results_dir
    here = store == Path("results").resolve()
    option = "" if here else f" --results-dir {shlex.quote(str(store))}"
    command = f"sitrepbench ui{option} --study {job.record.study}"
    console.print(Text(f"Open in MLflow: {command}"), soft_wrap=True)
