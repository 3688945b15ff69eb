"""A finished run as MLflow has it: for whoever has the server but not the results store."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import yaml

from sitrepbench.errors import DataError, TrackingError
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.record import PREDICTIONS_FILE
from sitrepbench.tracking.connection import open_client, tracking_errors
from sitrepbench.tracking.content import CHOICES
from sitrepbench.tracking.entries import CONTENT_KEY, RUN
from sitrepbench.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_FILES = ("config.yaml", "environment.json", PREDICTIONS_FILE)
_PROBABILITY = "p_"
_MOST = 1000


@dataclass(frozen=True)
class LoggedRun:
    """What MLflow's artifacts and tags tell of a run.

    Parameters
    ----------
    key, name : str
        Its content key and its name.
    config, environment : dict
        As in its record.
    names : dict
        Its choices, as far as they are tagged.
    dataset_digest : str
        Of what it scored.
    predictions : PredictionsTable
        Its predictions.
    """

    key: str
    name: str
    config: dict[str, Any]
    environment: dict[str, Any]
    names: dict[str, str]
    dataset_digest: str
    predictions: PredictionsTable


def fetch_run(settings: TrackingSettings, name: str) -> LoggedRun:
    """Return the one finished run whose key begins with ``name`` or whose name it is.

    Raises
    ------
    TrackingError
        When there is none or several, or its artifacts cannot be read.
    """
    database = settings.database
    if database is not None and not database.exists():
        raise TrackingError(f"{database}: no MLflow database here")
    with tracking_errors(settings):
        client = open_client(settings)
        # Three small files: bars would be all that people see.
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        run = _found(client, settings, name)
        with tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
            files = {}
            for file in _FILES:
                files[file] = Path(client.download_artifacts(run.info.run_id, file, folder))
            return _read(run, files)


def _found(client: MlflowClient, settings: TrackingSettings, name: str) -> Run:
    experiments = [item.experiment_id for item in client.search_experiments(max_results=_MOST)]
    runs = client.search_runs(experiments, f"tags.kind = '{RUN}'", max_results=_MOST)
    finished = [run for run in runs if run.info.status == "FINISHED"]
    # A run that several studies have is logged for each; any of them will do.
    found = {
        run.data.tags[CONTENT_KEY]: run
        for run in finished
        if run.data.tags.get(CONTENT_KEY, "").startswith(name) or run.info.run_name == name
    }
    if len(found) != 1:
        listed = f": {', '.join(sorted(found)[:5])}" if found else ""
        count = "no run" if not found else f"{len(found)} runs"
        raise TrackingError(
            f"{settings.shown_uri} has {count} {name!r}{listed}. Give the beginning of a content "
            "key: 'sitrepbench ui' shows it"
        )
    return next(iter(found.values()))


def _read(run: Run, files: dict[str, Path]) -> LoggedRun:
    try:
        config = yaml.safe_load(files["config.yaml"].read_text(encoding="utf-8"))
        environment = json.loads(files["environment.json"].read_text(encoding="utf-8"))
        columns = pq.read_schema(files[PREDICTIONS_FILE]).names
        labels = tuple(n.removeprefix(_PROBABILITY) for n in columns if n.startswith(_PROBABILITY))
        predictions = PredictionsTable.read(files[PREDICTIONS_FILE], labels)
    except (OSError, ValueError, yaml.YAMLError, DataError) as error:
        raise TrackingError(
            f"run {run.info.run_id}: its artifacts cannot be read: {error}"
        ) from error
    tags = run.data.tags
    return LoggedRun(
        key=tags[CONTENT_KEY],
        name=str(run.info.run_name),
        config=config,
        environment=environment,
        names={kind: tags[kind] for kind in CHOICES if kind in tags},
        dataset_digest=tags.get("dataset_digest", ""),
        predictions=predictions,
    )
