"""Ready-made views of an experiment: the leaderboard, and the mean over seeds.

MLflow's bare list of runs shows neither a metric nor a parameter. A shared view is an experiment
tag ``mlflow.sharedViewState.<key>`` that the UI writes when a user shares a view; its format is
not documented (seen in MLflow 3.17 and 3.18), so a view is a comfort that never fails a run.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from sitrepbench.errors import TrackingError
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.connection import Connection, open_experiment, tracking_errors
from sitrepbench.tracking.content import (
    development_part,
    is_seed,
    metric_name,
    run_params,
    run_tags,
    varied_params,
)
from sitrepbench.tracking.settings import EXPERIMENT_PREFIX, TrackingSettings

LEADERBOARD = "leaderboard"
OVER_SEEDS = "mean-over-seeds"

_TAG = "mlflow.sharedViewState."
_NOTE = "mlflow.note.content"
_PREFIX = "deflate;"
#: A label set of more is cut in the columns; the tables have them all.
_MAX_LABELS = 8
_NAME_COLUMN = "attributes.`Run Name`"
#: Pixels for the word "(average)" behind a number.
_AVERAGE_WIDTH = 60
#: Pixels for the sign of sorting in the header.
_SIGN_WIDTH = 20
_TAGS = ("model", "features", "protocol", "dataset", "looks")

_LOG = logging.getLogger(__name__)


def refresh_views(records: Iterable[RunRecord], settings: TrackingSettings) -> None:
    """Write the views of the experiment for the runs that it holds; best effort.

    Parameters
    ----------
    records : iterable of RunRecord
        The experiment's runs: their labels, parts and varied parameters become columns.
    settings : TrackingSettings
        Whose experiment it is.
    """
    runs = list(records)
    if not settings.enabled or not runs:
        return
    try:
        with tracking_errors(settings):
            _write(open_experiment(settings), runs, settings)
    except TrackingError as error:
        _LOG.info("the views of %s were not refreshed: %s", settings.experiment, error)


def leaderboard_url(base: str, experiment_id: str, *, view: str = LEADERBOARD) -> str:
    """Return the address at which MLflow's UI opens a view.

    Without the workflow type a browser that was never there greets with tracing onboarding.

    >>> leaderboard_url("http://127.0.0.1:5055", "1")
    'http://127.0.0.1:5055/#/experiments/1/runs?viewStateShareKey=leaderboard&workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/{_fragment(experiment_id, view)}"


def view_states(records: list[RunRecord]) -> dict[str, dict[str, Any]]:
    """Return the state of each view by its key, as MLflow's UI keeps it."""
    headline, intervals, details = _metric_columns(records)
    params = _param_columns(records)
    differing, others = _tag_columns(records)
    # What is on the left is seen first: MLflow's assistant takes a quarter of a new window.
    columns = [headline[0], *intervals, *differing, *params, *headline[1:], *others, *details]
    dropped = {*intervals, *(name for name in params if is_seed(name.split("`")[1]))}
    means = [name for name in columns if name not in dropped]
    texts = _longest_texts(records)
    grouped = {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "setup"}],
    }
    return {
        LEADERBOARD: _state({name: _width(name, texts) for name in columns}),
        OVER_SEEDS: {
            **_state({name: _width(name, texts, mean=True) for name in means}, name_width=300),
            "groupBy": grouped,
        },
    }


def _state(widths: dict[str, int], *, name_width: int = 190) -> dict[str, Any]:
    """Return the state with these columns and their widths (pixels), sorted by the first."""
    columns = list(widths)
    first = columns[0]
    return {
        "searchFilter": "tags.kind = 'run'",
        "orderByKey": first,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        # Without an order MLflow sorts by name, and the scores per label hide the headline;
        # widths count only for columns that the order names.
        "columnOrder": [_NAME_COLUMN, *columns],
        "columnWidths": {_NAME_COLUMN: name_width, **widths, first: widths[first] + _SIGN_WIDTH},
        "groupBy": None,
    }


def _metric_columns(records: list[RunRecord]) -> tuple[list[str], list[str], list[str]]:
    """Return the columns of macro-F1, the one to sort by first, of its interval, of the labels."""
    parts = dict.fromkeys(part for record in records for part in record.scores)
    development = development_part(parts)
    labels = list(dict.fromkeys(label for record in records for label in record.labels))
    headline = [f"{part}/macro_f1" for part in parts if part != development]
    intervals: list[str] = []
    details: list[str] = []
    if development is not None:
        headline = ["macro_f1", *headline]
        intervals = ["macro_f1_low", "macro_f1_high"]
        details = [f"f1/{label}" for label in labels[:_MAX_LABELS]]
    return _metrics(headline or ["macro_f1"]), _metrics(intervals), _metrics(details)


def _metrics(names: list[str]) -> list[str]:
    return [f"metrics.`{metric_name(name)}`" for name in names]


def _param_columns(records: list[RunRecord]) -> list[str]:
    return [f"params.`{name}`" for name in varied_params(records)]


def _tag_columns(records: list[RunRecord]) -> tuple[list[str], list[str]]:
    """Return the tags without which the scores cannot be compared, and the others.

    Scores on different data, or by different protocols, stand in one list; that must be seen.
    """
    tags = [run_tags(record) for record in records]
    differing = [
        name for name in ("dataset", "protocol") if len({found.get(name) for found in tags}) > 1
    ]
    others = [name for name in _TAGS if name not in differing]
    return [f"tags.`{name}`" for name in differing], [f"tags.`{name}`" for name in others]


def _longest_texts(records: list[RunRecord]) -> dict[str, int]:
    """Return the length of the longest value of every parameter and tag, by column."""
    lengths: dict[str, int] = {}
    for record in records:
        for kind, values in (("params", run_params(record)), ("tags", run_tags(record))):
            for name, value in values.items():
                column = f"{kind}.`{name}`"
                lengths[column] = max(lengths.get(column, 0), len(value))
    return lengths


def _width(column: str, texts: Mapping[str, int], *, mean: bool = False) -> int:
    """Return a width (pixels) at which the header and the values can be read."""
    letters = max(len(column.split("`")[1]), texts.get(column, 0))
    average = _AVERAGE_WIDTH if mean and column.startswith("metrics") else 0
    return min(max(70, 26 + 7 * letters), 160) + average


def _write(connection: Connection, records: list[RunRecord], settings: TrackingSettings) -> None:
    client, experiment_id = connection.client, connection.experiment_id
    tags: Mapping[str, str] = client.get_experiment(experiment_id).tags
    titles = {LEADERBOARD: "Leaderboard", OVER_SEEDS: "Mean over seeds"}
    for key, state in view_states(records).items():
        if _decoded(tags.get(_TAG + key)) != state:
            client.set_experiment_tag(experiment_id, _TAG + key, _encoded(titles[key], state))
    note = _experiment_note(experiment_id, settings)
    if tags.get(_NOTE) != note:
        client.set_experiment_tag(experiment_id, _NOTE, note)


def _encoded(title: str, state: Mapping[str, Any]) -> str:
    now = int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps(
        {"name": title, "createdAt": now, "updatedAt": now, "state": _PREFIX + packed}
    )


def _decoded(text: str | None) -> Any:
    try:
        packed = json.loads(text or "")["state"].removeprefix(_PREFIX)
        return json.loads(zlib.decompress(base64.b64decode(packed)))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return None


def _experiment_note(experiment_id: str, settings: TrackingSettings) -> str:
    study = settings.experiment.removeprefix(EXPERIMENT_PREFIX)
    return "\n".join(
        [
            f"Runs of **{study}**, macro-F1 with its 95 % interval by documents.",
            "",
            f"- [Leaderboard]({_fragment(experiment_id, LEADERBOARD)}): best on top",
            f"- [Mean over seeds]({_fragment(experiment_id, OVER_SEEDS)}): "
            "runs that differ in nothing but their seed",
            "",
            "Metrics without a prefix are of the development part (cross-validation, dev or "
            "everything), the others of the part they name. A run's page tells what was run and "
            "how to repeat it.",
        ]
    )


def _fragment(experiment_id: str, view: str) -> str:
    return (
        f"#/experiments/{quote(experiment_id)}/runs?viewStateShareKey={quote(view)}"
        "&workflowType=machine_learning"
    )
