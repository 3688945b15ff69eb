"""Runs written through MLflow's client: to a server, or to a database that is not written directly.

A server may be killed between two requests, and an answer may get lost. So a run becomes FINISHED
in the last step, what is half there is deleted before it is logged anew, and MLflow's client,
which repeats a request without knowing whether the first one arrived, is told not to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sitrepbench.processes import this_host
from sitrepbench.tracking.connection import Connection, open_experiment
from sitrepbench.tracking.entries import (
    IDENTITY_TAGS,
    LIVE_TAG,
    NAME_TAG,
    NOT_LIVE,
    RUN,
    DatasetUse,
    Entry,
    writer_tags,
)
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import FoundRun
from sitrepbench.tracking.training_curves import Point

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

_PAGE = 1000
#: One search takes about as long as listing so many runs.
_FEW = 10
#: The most metrics that a server takes at once.
_POINTS = 1000


class ClientStore:
    """The runs of one experiment, by MLflow's client; see `TrackingStore`."""

    group = 4

    def __init__(self, connection: Connection) -> None:
        self.experiment_id = connection.experiment_id
        self._client = connection.client
        #: The finished runs that were there when many were asked for.
        self._listed: dict[str, FoundRun] | None = None

    @classmethod
    def open(cls, settings: TrackingSettings) -> Self:
        """Open the experiment, which is created where it is missing."""
        return cls(open_experiment(settings))

    def close(self) -> None:
        """Do nothing: the client is used again."""

    def find(self, kind: str, identities: Collection[str] | None = None) -> list[FoundRun]:
        """Return the runs of a kind; with ``identities`` those alone."""
        tag = IDENTITY_TAGS[kind]
        of_kind = f"tags.kind = '{kind}'"
        if identities is None:
            return self._search(of_kind)
        wanted = dict.fromkeys(identities)
        found: list[FoundRun] = []
        if kind == RUN and self._listed is None and len(wanted) > _FEW:
            self._listed = {run.tags[tag]: run for run in self._search(of_kind) if run.whole}
        for name in wanted:
            known = (self._listed or {}).get(name) if kind == RUN else None
            found += [known] if known else self._search(f"{of_kind} AND tags.{tag} = '{name}'")
        return found

    def running(self) -> list[FoundRun]:
        """Return what has the status RUNNING and was begun on this host."""
        return self._search(f"attributes.status = 'RUNNING' AND tags.host = '{this_host()}'")

    def _search(self, condition: str) -> list[FoundRun]:
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment_id],
                filter_string=condition,
                max_results=_PAGE,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                break
        return [FoundRun(run.info.run_id, run.info.status, dict(run.data.tags)) for run in found]

    def write(self, entries: Sequence[Entry]) -> list[str]:
        """Write new runs down one after the other, and return their ids."""
        return [self._write(entry) for entry in entries]

    def _write(self, entry: Entry) -> str:
        client = self._client
        run = client.create_run(
            self.experiment_id,
            start_time=entry.start,
            tags={**entry.tags, **writer_tags()},
            run_name=entry.name,
        )
        run_id = str(run.info.run_id)
        self._fill(run_id, entry)
        if entry.status != "RUNNING":
            client.set_terminated(run_id, status=entry.status, end_time=entry.end)
        return run_id

    def _fill(self, run_id: str, entry: Entry) -> None:
        from mlflow.entities import Metric, Param

        client = self._client
        if entry.metrics or entry.params:
            client.log_batch(
                run_id,
                metrics=[
                    Metric(name, value, entry.end, 0) for name, value in entry.metrics.items()
                ],
                params=[Param(name, value) for name, value in entry.params.items()],
            )
        self._add_history(run_id, entry.history)
        if entry.datasets:
            client.log_inputs(run_id, [_dataset_input(use) for use in entry.datasets])
        if entry.write_files is not None:
            self.add_files(run_id, entry.write_files)

    def _add_history(self, run_id: str, history: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        for start in range(0, len(history), _POINTS):
            self._client.log_batch(
                run_id,
                metrics=[
                    Metric(point.name, point.value, point.time, point.step)
                    for point in history[start : start + _POINTS]
                ],
            )

    def complete(self, run_id: str, entry: Entry) -> None:
        """Write a finished run into the one that showed it under way; the status comes last."""
        tags = {**entry.tags, **writer_tags(), LIVE_TAG: NOT_LIVE, NAME_TAG: entry.name}
        self.update(run_id, tags=tags)
        self._fill(run_id, entry)
        self._client.set_terminated(run_id, status=entry.status, end_time=entry.end)
        self._listed = None

    def update(
        self,
        run_id: str,
        *,
        status: str | None = None,
        end: int | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        history: Sequence[Point] = (),
    ) -> None:
        """Change a run; what is None stays as it is, and the status is set last."""
        from mlflow.entities import Metric, RunTag

        if tags or metrics:
            self._client.log_batch(
                run_id,
                metrics=[
                    Metric(name, value, end or 0, 0) for name, value in (metrics or {}).items()
                ],
                tags=[RunTag(name, value) for name, value in (tags or {}).items()],
            )
        self._add_history(run_id, history)
        if status is not None and end is not None:
            self._client.set_terminated(run_id, status=status, end_time=end)
        elif status is not None:
            self._client.update_run(run_id, status=status)

    def add_files(self, run_id: str, write: Callable[[Path], None]) -> None:
        """Let ``write`` put artifacts into a folder, and upload them."""
        with tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
            write(Path(folder))
            self._client.log_artifacts(run_id, folder)

    def delete(self, run_ids: Collection[str], *, files: bool = False) -> None:
        """Mark runs as deleted; their files are the server's (``mlflow gc``)."""
        for run_id in run_ids:
            self._client.delete_run(run_id)
        self._listed = None

    def experiment_tags(self) -> dict[str, str]:
        """Return the tags of the experiment."""
        return dict(self._client.get_experiment(self.experiment_id).tags)

    def set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment."""
        for key, value in tags.items():
            self._client.set_experiment_tag(self.experiment_id, key, value)


def _dataset_input(use: DatasetUse) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    dataset = Dataset(
        name=use.name,
        digest=use.digest,
        source_type="local",
        source=use.source,
        profile=use.profile,
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, use.context)])
