"""Logging records to MLflow: each once, whole or not at all, and what was missed later."""

from __future__ import annotations

import getpass
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.artifacts import write_artifacts
from sitrepbench.tracking.connection import (
    Connection,
    open_experiment,
    tracking_errors,
    tracking_lock,
)
from sitrepbench.tracking.content import (
    run_description,
    run_metrics,
    run_params,
    run_tags,
    run_times,
)
from sitrepbench.tracking.processes import is_alive, this_host, this_process
from sitrepbench.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

#: The length of MLflow's digest field; the whole sha256 is in the tag ``dataset_digest``.
_DIGEST_LENGTH = 36
#: A run of another host that is still being logged after so long was left behind.
_ABANDONED_SECONDS = 3600
_PAGE = 1000


def log_record(
    record: RunRecord, summaries: Mapping[str, Summary], settings: TrackingSettings
) -> str:
    """Log one finished run, unless it is in MLflow already.

    What a killed process left half logged is deleted and logged anew, so that a run in MLflow
    with status FINISHED is whole.

    Parameters
    ----------
    record : RunRecord
        As the results store returns it.
    summaries : mapping
        The summary of each of its parts.
    settings : TrackingSettings
        Where to log to.

    Returns
    -------
    str
        The MLflow run's id; empty where tracking is off.

    Raises
    ------
    TrackingError
        When MLflow refuses, its database is locked or damaged, or its server does not answer.
        The record is not touched by it.
    """
    if not settings.enabled:
        return ""
    with tracking_errors(settings), tracking_lock(settings):
        return _log_once(record, summaries, open_experiment(settings))


def reconcile(records: Iterable[RunRecord], settings: TrackingSettings) -> list[str]:
    """Log the records that are not in MLflow yet, and close what killed processes left open.

    Returns
    -------
    list of str
        The content keys that were logged now.

    Raises
    ------
    TrackingError
        As `log_record` does.
    """
    if not settings.enabled:
        return []
    logged = []
    with tracking_errors(settings), tracking_lock(settings):
        connection = open_experiment(settings)
        there = _finished_keys(connection, settings)
        for record in records:
            if record.key in there:
                continue
            predictions = record.predictions()
            summaries = {part: summarise(predictions, part) for part in predictions.parts}
            _log_once(record, summaries, connection)
            logged.append(record.key)
        _close_abandoned(connection)
    return logged


def _log_once(record: RunRecord, summaries: Mapping[str, Summary], connection: Connection) -> str:
    for run in _search(connection, f"tags.content_key = '{record.key}'"):
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        if _is_abandoned(run):
            connection.client.delete_run(run.info.run_id)
    return _log(record, summaries, connection)


def _log(record: RunRecord, summaries: Mapping[str, Summary], connection: Connection) -> str:
    from mlflow.entities import Metric, Param

    client = connection.client
    start, end = run_times(record)
    tags = run_tags(record)
    tags["mlflow.user"] = _user()
    tags["mlflow.note.content"] = run_description(record, summaries)
    tags["logged_since"] = str(int(time.time()))
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
        write_artifacts(record, summaries, Path(folder))
        run = client.create_run(
            connection.experiment_id, start_time=start, tags=tags, run_name=record.run_name
        )
        run_id = str(run.info.run_id)
        client.log_batch(
            run_id,
            metrics=[
                Metric(name, value, end, 0)
                for name, value in run_metrics(record, summaries).items()
            ],
            params=[Param(name, value) for name, value in run_params(record).items()],
        )
        client.log_inputs(run_id, _dataset_inputs(record))
        client.log_artifacts(run_id, folder)
    client.set_terminated(run_id, status="FINISHED", end_time=end)
    return run_id


def _dataset_inputs(record: RunRecord) -> list[DatasetInput]:
    inputs = [_dataset_input(record.dataset, "evaluation")]
    if record.dataset.get("trained_on"):
        inputs.append(_dataset_input(record.dataset["trained_on"], "training"))
    return inputs


def _dataset_input(data: Mapping[str, Any], context: str) -> DatasetInput:
    # MLflow's own digest covers the first 10,000 rows only, so it gets ours.
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    dataset = Dataset(
        name=str(data.get("name") or "dataset"),
        digest=str(data.get("digest", ""))[:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": str(data.get("source", ""))}),
        profile=json.dumps(
            {"num_rows": data.get("sentences"), "num_documents": data.get("documents")}
        ),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)])


def _search(connection: Connection, condition: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = connection.client.search_runs(
            [connection.experiment_id],
            filter_string=condition,
            max_results=_PAGE,
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def _finished_keys(connection: Connection, settings: TrackingSettings) -> set[str]:
    """Return the content keys of the experiment's finished runs."""
    if settings.database is None:
        runs = _search(connection, "attributes.status = 'FINISHED' AND tags.kind = 'run'")
        return {run.data.tags.get("content_key", "") for run in runs}
    # MLflow's search costs 3 ms per run, and every start asks this.
    with closing(sqlite3.connect(settings.database, timeout=settings.patience_seconds)) as base:
        rows = base.execute(
            "SELECT tags.value FROM tags JOIN runs ON tags.run_uuid = runs.run_uuid "
            "WHERE runs.experiment_id = ? AND runs.status = 'FINISHED' "
            "AND runs.lifecycle_stage = 'active' AND tags.key = 'content_key'",
            (int(connection.experiment_id),),
        )
        return {str(row[0]) for row in rows}


def _close_abandoned(connection: Connection) -> None:
    """Mark as KILLED what runs for ever: MLflow has no heartbeat."""
    for run in _search(
        connection, f"attributes.status = 'RUNNING' AND tags.host = '{this_host()}'"
    ):
        if _is_abandoned(run):
            connection.client.set_terminated(run.info.run_id, status="KILLED")


def _is_abandoned(run: Run) -> bool:
    tags = run.data.tags
    if tags.get("host") == this_host():
        # This very process holds the lock, so what it left open is a failed attempt of its own.
        process = tags.get("process", "")
        return process == this_process() or not is_alive(process)
    since = float(tags.get("logged_since", 0))
    return run.info.status != "RUNNING" or time.time() - since > _ABANDONED_SECONDS


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
