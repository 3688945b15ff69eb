"""Sweeps in MLflow: a parent run with the plan, the ledger, the ranked table and a figure.

A sweep that was killed and is started again finds its parent run by the sweep's id, takes it over
and ends it; its runs keep the parent under which they were logged.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from sitrepbench.tracking.content import MAX_NOTE_LENGTH, METRIC_DIGITS, without_credentials
from sitrepbench.tracking.entries import (
    CONTENT_KEY,
    NOTE_TAG,
    PARENT_TAG,
    RUN,
    SWEEP,
    SWEEP_ID,
    Entry,
    writer_tags,
)
from sitrepbench.tracking.ranking import RankedRow, ranking_csv, ranking_page, ranking_svg
from sitrepbench.tracking.stores import TrackingStore
from sitrepbench.wording import FailedLine

STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
#: How many of the ranked runs are linked, and how many the description shows.
LINKED = 100
_SHOWN = 20
_SHOWN_FAILURES = 10
_MAX_COMMAND = 2_000
_LEDGER_FILES = {"plan.json": "plan.json", "events.jsonl": "ledger.jsonl"}


@dataclass(frozen=True)
class SweepInfo:
    """What a sweep consists of.

    Parameters
    ----------
    id : str
        The same for every start of the same sweep.
    study : str
        The study or ``adhoc``.
    command : str
        The command line of the whole sweep.
    n_runs, n_cached : int
        How many runs it has, and how many of them the results store had at its start.
    folder : Path or None
        The ledger's folder with ``plan.json`` and ``events.jsonl``.
    """

    id: str
    study: str
    command: str
    n_runs: int
    n_cached: int = 0
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name of the parent run."""
        return f"sweep {self.id[:8]}"


@dataclass(frozen=True)
class SweepOutcome:
    """How a start of a sweep ended.

    Parameters
    ----------
    state : str
        ``done`` if all runs are, ``failed`` if all were tried and some failed, ``interrupted``
        if some were not tried.
    done, failed, cached, n_runs : int
        Runs computed now, failed, taken from the store, and all of them.
    seconds : float
        Wall time of this start.
    rows : sequence of RankedRow
        The finished runs, best first.
    failures : sequence of FailedLine
        All that failed.
    """

    state: Literal["done", "failed", "interrupted"]
    done: int
    failed: int
    cached: int
    n_runs: int
    seconds: float
    rows: Sequence[RankedRow] = ()
    failures: Sequence[FailedLine] = ()

    @property
    def left(self) -> int:
        """How many runs have not come to an end."""
        return self.n_runs - self.done - self.failed - self.cached


def child_tags(info: SweepInfo, parent: str) -> dict[str, str]:
    """Return the tags that make a run a child of the sweep."""
    return {PARENT_TAG: parent, SWEEP_ID: info.id}


@dataclass(frozen=True)
class SweepParent:
    """The parent run, and whether an earlier start had ended it with all runs done."""

    run_id: str
    was_done: bool


def begin_sweep(info: SweepInfo, store: TrackingStore) -> SweepParent:
    """Return the parent run, which is made, or taken over from an earlier start.

    The caller holds the tracking lock.
    """
    tags = {
        "kind": SWEEP,
        "state": "running",
        "study": info.study,
        SWEEP_ID: info.id,
        "command": without_credentials(info.command)[:_MAX_COMMAND],
        "runs": str(info.n_runs),
        "mlflow.source.name": "sitrepbench",
        "mlflow.source.type": "LOCAL",
        NOTE_TAG: running_note(info, 0, 0),
    }
    earlier = store.find(SWEEP, [info.id])
    if earlier:
        run = earlier[-1]
        starts = int(run.tags.get("starts") or 1) + 1
        tags = {**tags, "starts": str(starts), **writer_tags()}
        was_done = run.status == "FINISHED"
        if was_done:
            # What it says stays true unless something is computed now.
            del tags[NOTE_TAG]
        store.update(run.run_id, status="RUNNING", tags=tags)
        return SweepParent(run.run_id, was_done)
    moment = int(1000 * time.time())
    entry = Entry(
        kind=SWEEP,
        identity=info.id,
        name=info.name,
        status="RUNNING",
        start=moment,
        end=moment,
        tags={**tags, "starts": "1"},
        params={},
        metrics={},
        write_files=partial(_write_ledger, info),
    )
    (run_id,) = store.write([entry])
    return SweepParent(run_id, was_done=False)


def running_note(info: SweepInfo, done: int, failed: int) -> str:
    """Return what the parent run's page says while the sweep runs."""
    left = info.n_runs - info.n_cached - done - failed
    counts = _counts(done, failed, info.n_cached, left)
    return "\n".join([f"**{info.n_runs} runs**: {counts}.", "", *_commands(info)])


def end_sweep(
    parent: SweepParent,
    info: SweepInfo,
    outcome: SweepOutcome,
    *,
    store: TrackingStore,
    base: str,
    run_ids: Mapping[str, str],
) -> None:
    """Write the outcome into the parent run and end it; the caller holds the tracking lock.

    Parameters
    ----------
    parent : SweepParent
        As `begin_sweep` returned it.
    info, outcome : SweepInfo, SweepOutcome
        What was planned, and what became of it.
    store : TrackingStore
        Where it is.
    base : str
        The address of MLflow's UI, for links.
    run_ids : mapping
        MLflow's run ids by content key, as far as they are known.
    """
    if parent.was_done and outcome.state == "done" and not outcome.done:
        store.update(parent.run_id, status=STATUS["done"], tags={"state": "done"})
        return
    linked = [row.key for row in outcome.rows[:LINKED] if row.key not in run_ids]
    found = {run.tags[CONTENT_KEY]: run.run_id for run in store.find(RUN, linked)}
    runs = f"#/experiments/{store.experiment_id}/runs/"
    links = {key: runs + child for key, child in {**run_ids, **found}.items()}
    addresses = {key: f"{base}/{link}" for key, link in links.items()}
    store.add_files(parent.run_id, partial(_write_outcome, info, outcome, addresses))
    metrics = {
        "done": float(outcome.done),
        "failed": float(outcome.failed),
        "cached": float(outcome.cached),
        "seconds": round(outcome.seconds, 1),
    }
    if outcome.rows and math.isfinite(outcome.rows[0].score):
        metrics["best_macro_f1"] = round(outcome.rows[0].score, METRIC_DIGITS)
    store.update(
        parent.run_id,
        status=STATUS[outcome.state],
        end=int(1000 * time.time()),
        tags={"state": outcome.state, NOTE_TAG: _ended_note(info, outcome, links)},
        metrics=metrics,
    )


def _write_outcome(
    info: SweepInfo, outcome: SweepOutcome, links: Mapping[str, str], folder: Path
) -> None:
    _write_ledger(info, folder)
    if outcome.rows:
        texts = {
            "ranking.csv": ranking_csv(outcome.rows),
            "ranking.svg": ranking_svg(outcome.rows),
            "ranking.html": ranking_page(outcome.rows, title=info.name, links=links),
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
    if outcome.failures:
        lines = [{"run": f.name, "cause": f.cause, "command": f.command} for f in outcome.failures]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "failures.jsonl").write_text(without_credentials(text), encoding="utf-8")


def _write_ledger(info: SweepInfo, folder: Path) -> None:
    for name, target in _LEDGER_FILES.items():
        if info.folder is not None and (info.folder / name).is_file():
            shutil.copyfile(info.folder / name, folder / target)


def _ended_note(info: SweepInfo, outcome: SweepOutcome, links: Mapping[str, str]) -> str:
    counts = _counts(outcome.done, outcome.failed, outcome.cached, outcome.left)
    lines = [f"**{outcome.n_runs} runs**: {counts}, in {outcome.seconds:,.0f} s.", ""]
    if outcome.state != "done":
        lines += ["The same command goes on where this one ended.", ""]
    lines += _commands(info)
    if outcome.rows:
        lines += [
            "| | run | scored | macro-F1 | 95 % interval |",
            "| --- | --- | --- | --- | --- |",
        ]
        for place, row in enumerate(outcome.rows[:_SHOWN], start=1):
            name = f"[{row.name}]({links[row.key]})" if row.key in links else row.name
            lines.append(
                f"| {place} | {name} | {row.scored} | **{row.score:.3f}** | {row.interval} |"
            )
        lines += ["", "All of them: *Artifacts*, ranking.html and ranking.csv.", ""]
    for failure in outcome.failures[:_SHOWN_FAILURES]:
        cause = " ".join(without_credentials(failure.cause).split())[:200]
        lines += [f"- Failed: **{failure.name}**: {cause}"]
        lines += [f"  `{without_credentials(failure.command)[:300]}`"]
    more = len(outcome.failures) - _SHOWN_FAILURES
    if more > 0:
        lines.append(f"- and {more} more: *Artifacts*, failures.jsonl.")
    text = "\n".join(lines)
    return text if len(text) <= MAX_NOTE_LENGTH else text[:MAX_NOTE_LENGTH] + "\n\n... (cut)"


def _counts(done: int, failed: int, cached: int, left: int) -> str:
    return f"{done} done, {failed} failed, {cached} from the store, {left} left"


def _commands(info: SweepInfo) -> list[str]:
    return ["```", without_credentials(info.command)[:_MAX_COMMAND], "```", ""]
