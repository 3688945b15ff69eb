"""Commands that read the results store: list, show, looks; and the keyword rules' explanation."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sitrepbench.cli.lines import Column, command_lines, moment, print_lines, print_table
from sitrepbench.errors import StoreError, did_you_mean
from sitrepbench.report.ranking import ranked_rows
from sitrepbench.store.failures import FailedRun, FailedRuns
from sitrepbench.store.index import IndexRow
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import SweepPlan, SweepStatus, find_ledger, ledgers

if TYPE_CHECKING:
    from sitrepbench.metrics.calibration import Calibration
    from sitrepbench.metrics.selective import RiskCoverage
    from sitrepbench.store.record import RunRecord


def open_store(results_dir: str) -> ResultsStore:
    """Open a results store that exists.

    Raises
    ------
    StoreError
        When there is none; a command that only reads makes no folder.
    """
    folder = Path(results_dir).expanduser()
    if not (folder / "runs").is_dir():
        raise StoreError(
            f"{folder}: no results store here. Name it with --results-dir DIR, or start one with "
            "'sitrepbench run'"
        )
    return ResultsStore(folder)


@dataclass(frozen=True)
class Selection:
    """Which runs ``list`` shows.

    Parameters
    ----------
    study : str or None
        Only the runs of this study: those first computed for it, and those that its sweeps plan.
    sweep : str or None
        Only the runs that this sweep plans; the beginning of its id will do.
    state : str or None
        ``done`` or ``failed``; both by default.
    top : int or None
        Only so many, the best first.
    limit : int or None
        Only so many, the newest first.
    """

    study: str | None = None
    sweep: str | None = None
    state: str | None = None
    top: int | None = None
    limit: int | None = None


def list_runs(results_dir: str, selection: Selection, *, as_json: bool) -> int:
    """Print the finished and the failed runs, newest first."""
    store = open_store(results_dir)
    done, failed = _selected(store, selection)
    for message in store.unread:
        print(f"not listed: {message}", file=sys.stderr)
    if as_json:
        listed = [{"state": "done", **asdict(row), "scores": row.parts} for row in done]
        listed += [{"state": "failed", **asdict(note)} for note in failed]
        print(json.dumps(listed, indent=1, ensure_ascii=False))
        return 0
    if done:
        _print_done(done)
    if failed:
        _print_failed(failed)
    told = f", {len(failed):,} failed" if failed else ""
    print_lines([f"{len(done):,} run(s) in {Path(results_dir)}{told}"])
    if failed:
        command = f"sitrepbench explain{store_option(results_dir)} RUN"
        print_lines(["Why a run failed:", *command_lines(command)])
    return 0


def _selected(store: ResultsStore, selection: Selection) -> tuple[list[IndexRow], list[FailedRun]]:
    rows, notes = _of_study(store, selection)
    finished = {row.key for row in rows} | (store.finished() if notes else set())
    failed = sorted(
        (note for note in notes if note.key not in finished),
        key=lambda note: note.time,
        reverse=True,
    )
    if selection.top is not None:
        return ranked_rows(rows)[: selection.top], []
    done = [] if selection.state == "failed" else rows
    failed = [] if selection.state == "done" else failed
    if selection.limit is not None:
        times = [(row.created, row.key) for row in done]
        times += [(note.time, note.key) for note in failed]
        newest = {key for _, key in sorted(times, reverse=True)[: selection.limit]}
        done = [row for row in done if row.key in newest]
        failed = [note for note in failed if note.key in newest]
    return done, failed


def _of_study(store: ResultsStore, selection: Selection) -> tuple[list[IndexRow], list[FailedRun]]:
    """Return the runs and the failures of the sweep or study that is asked for."""
    notes = list(FailedRuns(store.folder).all()) if selection.state != "done" else []
    if selection.sweep is not None:
        status = find_ledger(store.folder, selection.sweep).status()
        return rows_of(status.plan, store), _failed_of(status, notes)
    rows = store.rows()
    if selection.study is None:
        return rows, notes
    study = selection.study
    plans = _plans(store)
    studies = {row.study for row in rows} | {note.study for note in notes}
    studies.update(plan.study for plan in plans)
    if study not in studies:
        raise StoreError(
            f"no run of the study {study!r} in {store.folder}.{did_you_mean(study, studies)} "
            f"It has: {', '.join(sorted(studies)) or 'none'}"
        )
    planned = {run.key: run.run_name for plan in plans if plan.study == study for run in plan.runs}
    chosen = [
        row.named(planned.get(row.key, row.run_name), study)
        for row in rows
        if row.study == study or row.key in planned
    ]
    return chosen, [note for note in notes if note.study == study or note.key in planned]


def _failed_of(status: SweepStatus, notes: list[FailedRun]) -> list[FailedRun]:
    """Return the failures of a sweep; what could not even be prepared stands in its ledger only."""
    noted = {note.key: note for note in notes}
    found = {}
    for run in status.plan.runs:
        if run.key in noted:
            found[run.key] = noted[run.key]
        elif status.states.get(run.key) is State.failed:
            kind, _, message = status.notes.get(run.key, "").partition(": ")
            found[run.key] = FailedRun(
                key=run.key,
                run_name=run.run_name,
                study=status.plan.study,
                command=run.command,
                kind=kind,
                message=message,
                details="",
                time=status.updated,
                seconds=0.0,
                where="",
            )
    return list(found.values())


def rows_of(plan: SweepPlan, store: ResultsStore) -> list[IndexRow]:
    """Return the finished runs of a sweep, newest first, under the names that it has for them."""
    names = {run.key: run.run_name for run in reversed(plan.runs)}
    return [row.named(names[row.key], plan.study) for row in store.rows() if row.key in names]


def _plans(store: ResultsStore) -> list[SweepPlan]:
    plans = []
    for ledger in ledgers(store.folder):
        try:
            plans.append(ledger.plan())
        except StoreError as error:
            store.unread.append(str(error))
    return plans


def _print_done(rows: list[IndexRow]) -> None:
    columns = (
        Column("key", 8),
        Column("run", 18),
        Column("dataset", 9),
        Column("study", 10),
        Column("part", 7),
        Column("macro-F1", 8, numbers=True),
        Column("finished", 11),
    )
    cells = []
    for row in rows:
        score = row.score()
        shown = "" if score is None else f"{score:.3f}"
        named = (row.key[:8], row.run_name, row.dataset, row.study, row.part)
        cells.append((*named, shown, moment(row.created)))
    print_table(columns, cells)


def _print_failed(notes: list[FailedRun]) -> None:
    columns = (
        Column("key", 8),
        Column("run", 18),
        Column("study", 10),
        Column("failed by", 18),
        Column("attempts", 8, numbers=True),
        Column("failed", 11),
    )
    print_table(
        columns,
        [
            (note.key[:8], note.run_name, note.study, note.kind, str(note.attempts),
             moment(note.time))
            for note in notes
        ],
    )  # fmt: skip


def store_option(results_dir: str) -> str:
    """Return what names this store in a command; nothing for the default."""
    return "" if results_dir == "results" else f" --results-dir {shlex.quote(results_dir)}"


def show_run(results_dir: str, name: str, *, as_json: bool) -> int:
    """Print the scores of one run."""
    from sitrepbench.cli.outcome import print_record
    from sitrepbench.report.calibration import calibration_dict, print_calibration
    from sitrepbench.report.terminal import summary_dict
    from sitrepbench.told import summarise_parts

    record = open_store(results_dir).resolve(name)
    calibrations = _calibrations(record)
    if as_json:
        content: dict[str, Any] = {
            "key": record.key,
            "run_name": record.run_name,
            "names": record.names,
            "study": record.study,
            "dataset": record.dataset,
            "created": record.created,
            "seconds": record.seconds,
            "looks": record.looks,
            "notes": record.notes,
            "predictions_digest": record.predictions_digest,
            "parts": {
                part: {
                    **summary_dict(summary),
                    "calibration": calibration_dict(*calibrations[part])
                    if part in calibrations
                    else None,
                }
                for part, summary in summarise_parts(record.predictions()).items()
            },
        }
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return 0
    console = Console()
    print_record(record, console=console, cached=True)
    for part, (calibration, risk) in calibrations.items():
        print_calibration(part, calibration, risk, console=console)
    return 0


def _calibrations(record: RunRecord) -> dict[str, tuple[Calibration, RiskCoverage]]:
    """Return calibration and risk-coverage of every part that has probabilities."""
    from sitrepbench.metrics.calibration import calibration_of
    from sitrepbench.metrics.selective import risk_coverage

    table = record.predictions()
    found = {}
    for part in table.parts:
        rows = table.part(part)
        calibration, risk = calibration_of(rows), risk_coverage(rows)
        if calibration is not None and risk is not None:
            found[part] = (calibration, risk)
    return found


def explain_keywords(text: str, *, lexicon: str) -> int:
    """Print the label that the keyword rules give a sentence, and which rules fired."""
    from sitrepbench.models.keywords import KeywordRules

    explanation = KeywordRules(lexicon=lexicon).explain(text)
    print(explanation.label)
    for label, score in explanation.scores.items():
        if explanation.fired[label]:
            print(f"  {label} {score}: {', '.join(explanation.fired[label])}")
    return 0
