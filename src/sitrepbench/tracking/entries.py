"""A run as MLflow shows it, whole, before it is written down; pure."""

from __future__ import annotations

import getpass
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sitrepbench.metrics.summary import Summary
from sitrepbench.processes import this_host, this_process
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.artifacts import write_artifacts
from sitrepbench.tracking.columns import ShownRun
from sitrepbench.tracking.content import (
    run_description,
    run_metrics,
    run_params,
    run_tags,
    run_times,
)
from sitrepbench.tracking.training_curves import LiveRun, Point, curve_points

#: The tags by which a run, a failed attempt and a sweep are found again.
RUN, ATTEMPT, SWEEP = "run", "attempt", "sweep"
CONTENT_KEY = "content_key"
ATTEMPT_ID = "attempt_id"
SWEEP_ID = "sweep"
IDENTITY_TAGS = {RUN: CONTENT_KEY, ATTEMPT: ATTEMPT_ID, SWEEP: SWEEP_ID}

NOTE_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"
#: Of a run under way: the finished run is written into it.
LIVE_TAG, LIVE, NOT_LIVE = "live", "yes", "no"
NAME_TAG = "mlflow.runName"
#: The length of MLflow's digest field; the whole sha256 is in the tag ``dataset_digest``.
_DIGEST_LENGTH = 36


@dataclass(frozen=True)
class DatasetUse:
    """A dataset that a run used; ``context`` is ``evaluation`` or ``training``."""

    name: str
    digest: str
    source: str
    profile: str
    context: str


@dataclass(frozen=True)
class Entry:
    """One run of MLflow, whole.

    Parameters
    ----------
    kind : str
        `RUN`, `ATTEMPT` or `SWEEP`; also a tag.
    identity : str
        What makes it one and the same: the content key, the attempt's or the sweep's id.
    name : str
        The run's name.
    status : str
        ``FINISHED``, ``FAILED``, or ``RUNNING`` for what is ended later.
    start, end : int
        Milliseconds since 1970.
    tags, params, metrics : dict
        What lists show.
    datasets : tuple of DatasetUse
        What it read.
    write_files : callable or None
        Writes the artifacts into an existing folder; it may be called again after a failure.
    shown : ShownRun or None
        What decides on the columns of lists.
    history : tuple of Point
        Metrics by steps, in the order of the steps.
    """

    kind: str
    identity: str
    name: str
    status: str
    start: int
    end: int
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    datasets: tuple[DatasetUse, ...] = ()
    write_files: Callable[[Path], None] | None = None
    shown: ShownRun | None = None
    history: tuple[Point, ...] = ()

    @property
    def identity_tag(self) -> str:
        """The tag that holds the identity."""
        return IDENTITY_TAGS[self.kind]

    def run_id(self, experiment: str, generation: int = 0) -> str:
        """Return an id that every process comes to, 32 hexadecimal digits.

        ``generation`` counts the runs of this identity that were deleted in MLflow, whose ids
        are not free.
        """
        text = json.dumps([experiment, self.kind, self.identity, generation])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def run_entry(
    record: RunRecord,
    summaries: Mapping[str, Summary],
    *,
    more_tags: Mapping[str, str] | None = None,
) -> Entry:
    """Return the entry of a finished run.

    Parameters
    ----------
    record : RunRecord
        As the results store returns it.
    summaries : mapping
        The summary of each of its parts.
    more_tags : mapping, optional
        Such as those that name the sweep it belongs to.
    """
    start, end = run_times(record)
    params = run_params(record)
    tags = run_tags(record, params)
    shown = ShownRun(params, tags, tuple(record.scores), tuple(record.labels))
    return Entry(
        kind=RUN,
        identity=record.key,
        name=record.run_name,
        status="FINISHED",
        start=start,
        end=end,
        tags={**tags, NOTE_TAG: run_description(record, summaries), **(more_tags or {})},
        params=params,
        metrics=run_metrics(record, summaries),
        datasets=_datasets(record),
        write_files=partial(write_artifacts, record, summaries),
        shown=shown,
        history=curve_points(record.curves()),
    )


def live_entry(run: LiveRun, points: tuple[Point, ...]) -> Entry:
    """Return the entry of a run under way, with the points of its curves so far."""
    start = min(point.time for point in points)
    return Entry(
        kind=RUN,
        identity=run.key,
        name=run.name,
        status="RUNNING",
        start=start,
        end=start,
        tags={**run.tags, "kind": RUN, "state": "running", CONTENT_KEY: run.key, LIVE_TAG: LIVE},
        params={},
        metrics={},
        history=points,
    )


def writer_tags() -> dict[str, str]:
    """Return the tags that say who writes, so that what a killed process left can be told."""
    return {
        "host": this_host(),
        "process": this_process(),
        "logged_since": str(int(time.time())),
        "mlflow.user": _user(),
    }


def _datasets(record: RunRecord) -> tuple[DatasetUse, ...]:
    uses = [_dataset(record.dataset, "evaluation")]
    if record.dataset.get("trained_on"):
        uses.append(_dataset(record.dataset["trained_on"], "training"))
    # MLflow keeps one of two that are the same.
    return tuple({(use.name, use.digest): use for use in reversed(uses)}.values())[::-1]


def _dataset(data: Mapping[str, Any], context: str) -> DatasetUse:
    # MLflow's own digest covers the first 10,000 rows only, so it gets ours.
    return DatasetUse(
        name=str(data.get("name") or "dataset"),
        digest=str(data.get("digest", ""))[:_DIGEST_LENGTH],
        source=json.dumps({"uri": str(data.get("source", ""))}),
        profile=json.dumps(
            {"num_rows": data.get("sentences"), "num_documents": data.get("documents")}
        ),
        context=context,
    )


@lru_cache(maxsize=1)
def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
