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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sitrepbench.errors import TrackingError
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.columns import (
    ShownRun,
    column_width,
    longest_texts,
    metric_columns,
    shown_run,
    tag_columns,
    varied_params,
)
from sitrepbench.tracking.connection import tracking_errors
from sitrepbench.tracking.content import is_seed
from sitrepbench.tracking.entries import ATTEMPT, NOTE_TAG, RUN, SWEEP, SWEEP_ID
from sitrepbench.tracking.settings import EXPERIMENT_PREFIX, TrackingSettings
from sitrepbench.tracking.stores import TrackingStore, open_store

LEADERBOARD = "leaderboard"
OVER_SEEDS = "mean-over-seeds"
SWEEPS = "sweeps"
FAILURES = "failed-attempts"
LATEST_SWEEP = "latest-sweep"
TITLES = {
    LEADERBOARD: "Leaderboard",
    OVER_SEEDS: "Mean over seeds",
    SWEEPS: "Sweeps",
    FAILURES: "Failed attempts",
    LATEST_SWEEP: "Latest sweep",
}
VIEW_TAG = "mlflow.sharedViewState."

_PREFIX = "deflate;"
#: Columns of parameters, with those that earlier runs made necessary.
_MAX_PARAMS = 8
_NAME_COLUMN = "attributes.`Run Name`"
#: Sorted by the time of creation, MLflow folds children away below their parents.
_NEWEST = "tags.`logged_since`"
#: Pixels for the sign of sorting in the header.
_SIGN_WIDTH = 20
_SWEEP_COLUMNS = {
    "tags.`state`": 110,
    "metrics.`done`": 80,
    "metrics.`failed`": 80,
    "metrics.`cached`": 80,
    "tags.`runs`": 80,
    "metrics.`best_macro_f1`": 140,
    "metrics.`seconds`": 100,
    "tags.`starts`": 80,
    "tags.`command`": 400,
}
_ATTEMPT_COLUMNS = {
    "tags.`reason`": 400,
    "tags.`superseded`": 110,
    "tags.`model`": 150,
    "tags.`features`": 110,
    "tags.`where`": 140,
    "tags.`command`": 400,
}

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
    runs = [shown_run(record) for record in records]
    if not settings.enabled or not runs:
        return
    try:
        with tracking_errors(settings), open_store(settings) as store:
            write_views(runs, store, settings)
    except TrackingError as error:
        _LOG.info("the views of %s were not refreshed: %s", settings.experiment, error)


def write_views(
    runs: Sequence[ShownRun],
    store: TrackingStore,
    settings: TrackingSettings,
    *,
    sweep: str | None = None,
) -> None:
    """Write what changed of the views and of the experiment's note.

    Columns of parameters that earlier runs made necessary are kept; the runs of ``sweep`` get a
    view in place of that of the sweep before.
    """
    tags = store.experiment_tags()
    kept = _varied_columns(decoded_state(tags.get(VIEW_TAG + LEADERBOARD)))
    changed: dict[str, str] = {}
    states = view_states(runs, kept=kept)
    if sweep is not None:
        own = f"tags.kind = '{RUN}' and tags.{SWEEP_ID} = '{sweep}'"
        states[LATEST_SWEEP] = {**view_states(runs)[LEADERBOARD], "searchFilter": own}
    for key, state in states.items():
        if decoded_state(tags.get(VIEW_TAG + key)) != state:
            changed[VIEW_TAG + key] = _encoded(TITLES[key], state)
    note = _experiment_note(
        store.experiment_id,
        settings,
        swept=sweep is not None or VIEW_TAG + LATEST_SWEEP in tags,
    )
    if tags.get(NOTE_TAG) != note:
        changed[NOTE_TAG] = note
    if changed:
        store.set_experiment_tags(changed)


def leaderboard_url(base: str, experiment_id: str, *, view: str = LEADERBOARD) -> str:
    """Return the address at which MLflow's UI opens a view.

    Without the workflow type a browser that was never there greets with tracing onboarding.

    >>> leaderboard_url("http://127.0.0.1:5055", "1")
    'http://127.0.0.1:5055/#/experiments/1/runs?viewStateShareKey=leaderboard&workflowType=machine_learning'
    """
    return f"{base.rstrip('/')}/{_fragment(experiment_id, view)}"


def sweep_url(base: str, experiment_id: str, sweep_id: str) -> str:
    """Return the address at which MLflow's UI lists the runs of one sweep, best first."""
    wanted = {
        "searchFilter": f"tags.kind = '{RUN}' and tags.{SWEEP_ID} = '{sweep_id}'",
        "orderByKey": "metrics.`macro_f1`",
        "orderByAsc": "false",
        "workflowType": "machine_learning",
    }
    query = "&".join(f"{name}={quote(value)}" for name, value in wanted.items())
    return f"{base.rstrip('/')}/#/experiments/{quote(experiment_id)}/runs?{query}"


def view_states(runs: Sequence[ShownRun], *, kept: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the state of each view by its key, as MLflow's UI keeps it.

    Parameters
    ----------
    runs : sequence of ShownRun
        The runs that decide on the columns.
    kept : sequence of str
        Columns of parameters to show beside those in which the runs differ.
    """
    headline, intervals, details = metric_columns(runs)
    params = [f"params.`{name}`" for name in varied_params(runs)]
    params += [name for name in kept if name not in params][: _MAX_PARAMS - len(params)]
    differing, others = tag_columns(runs)
    # What is on the left is seen first: MLflow's assistant takes a quarter of a new window.
    columns = [headline[0], *intervals, *differing, *params, *headline[1:], *others, *details]
    dropped = {*intervals, *(name for name in params if is_seed(name.split("`")[1]))}
    means = [name for name in columns if name not in dropped]
    texts = longest_texts(runs)
    grouped = {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "setup"}],
    }
    return {
        LEADERBOARD: _state(RUN, {name: column_width(name, texts) for name in columns}),
        OVER_SEEDS: {
            **_state(
                RUN,
                {name: column_width(name, texts, mean=True) for name in means},
                name_width=300,
            ),
            "groupBy": grouped,
        },
        SWEEPS: _state(SWEEP, _SWEEP_COLUMNS, order=_NEWEST),
        FAILURES: _state(ATTEMPT, _ATTEMPT_COLUMNS, order=_NEWEST),
    }


def _state(
    kind: str, widths: Mapping[str, int], *, name_width: int = 190, order: str | None = None
) -> dict[str, Any]:
    """Return the state with these columns and their widths (pixels), sorted by the first."""
    columns = list(widths)
    first = columns[0]
    return {
        "searchFilter": f"tags.kind = '{kind}'",
        "orderByKey": order or first,
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


def _varied_columns(state: Any) -> list[str]:
    """Return the columns of parameters in a view; none in one that is not ours."""
    columns = state.get("selectedColumns") if isinstance(state, dict) else None
    if not isinstance(columns, list):
        return []
    return [name for name in columns if isinstance(name, str) and name.startswith("params.")]


def _encoded(title: str, state: Mapping[str, Any]) -> str:
    now = int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps(
        {"name": title, "createdAt": now, "updatedAt": now, "state": _PREFIX + packed}
    )


def decoded_state(text: str | None) -> Any:
    """Return the state in a view's tag, None where there is none that can be read."""
    try:
        packed = json.loads(text or "")["state"].removeprefix(_PREFIX)
        return json.loads(zlib.decompress(base64.b64decode(packed)))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return None


def _experiment_note(experiment_id: str, settings: TrackingSettings, *, swept: bool) -> str:
    latest = f"; [runs of the latest]({_fragment(experiment_id, LATEST_SWEEP)})" if swept else ""
    study = settings.experiment.removeprefix(EXPERIMENT_PREFIX)
    return "\n".join(
        [
            f"Runs of **{study}**, macro-F1 with its 95 % interval by documents.",
            "",
            f"- [Leaderboard]({_fragment(experiment_id, LEADERBOARD)}): best on top",
            f"- [Mean over seeds]({_fragment(experiment_id, OVER_SEEDS)}): "
            "runs that differ in nothing but their seed",
            f"- [Sweeps]({_fragment(experiment_id, SWEEPS)}): what was run together, newest "
            f"first{latest}",
            f"- [Failed attempts]({_fragment(experiment_id, FAILURES)}): causes, and the commands "
            "that repeat them; those that were made up for are marked as superseded",
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
