from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.store.record import RunRecord
from sitrepbench.tracking import views
from sitrepbench.tracking.columns import shown_run
from sitrepbench.tracking.connection import open_experiment
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings
from sitrepbench.tracking.views import (
    LEADERBOARD,
    OVER_SEEDS,
    decoded_state,
    refresh_views,
    sweep_url,
    view_states,
)

MakeRecord = Callable[..., RunRecord]


def tags_of(settings: TrackingSettings) -> dict[str, str]:
    connection = open_experiment(settings)
    return dict(connection.client.get_experiment(connection.experiment_id).tags)


def states(records: Iterable[RunRecord]) -> dict[str, dict[str, Any]]:
    return view_states([shown_run(record) for record in records])


def test_leaderboard_shows_headline_and_varied_params_first(make_record: MakeRecord) -> None:
    records = [
        make_record(key="1" * 16, model_config={"C": 0.1}),
        make_record(key="2" * 16, model_config={"C": 1.0}, parts=("cv", "test")),
    ]
    state = states(records)[LEADERBOARD]
    assert state["selectedColumns"][:5] == [
        "metrics.`macro_f1`",
        "metrics.`macro_f1_low`",
        "metrics.`macro_f1_high`",
        "params.`model.C`",
        "metrics.`test/macro_f1`",
    ]
    assert {"metrics.`f1/denial`", "tags.`model`"} <= set(state["selectedColumns"])
    assert state["orderByKey"] == "metrics.`macro_f1`"
    assert state["orderByAsc"] is False
    assert set(state["columnWidths"]) == set(state["columnOrder"])


def test_dataset_stands_beside_scores_that_cannot_be_compared(make_record: MakeRecord) -> None:
    other = {"name": "seeds", "digest": "c" * 64, "sentences": 20, "documents": 1}
    records = [make_record(key="1" * 16), make_record(key="2" * 16, dataset=other)]
    assert states(records[:1])[LEADERBOARD]["selectedColumns"][3] == "tags.`model`"
    assert states(records)[LEADERBOARD]["selectedColumns"][3] == "tags.`dataset`"


def test_mean_over_seeds_groups_by_setup_and_hides_the_seed(make_record: MakeRecord) -> None:
    records = [make_record(key="1" * 16, seed=0), make_record(key="2" * 16, seed=1)]
    found = states(records)
    assert "params.`seed`" in found[LEADERBOARD]["selectedColumns"]
    assert "params.`seed`" not in found[OVER_SEEDS]["selectedColumns"]
    assert found[OVER_SEEDS]["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "setup"}]


def test_runs_of_test_parts_alone_are_sorted_by_those(make_record: MakeRecord) -> None:
    state = states([make_record(parts=("test",))])[LEADERBOARD]
    assert state["orderByKey"] == "metrics.`test/macro_f1`"
    assert "metrics.`macro_f1`" not in state["selectedColumns"]


def test_views_are_written_once_and_follow_the_runs(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make_record(key="1" * 16)]
    refresh_views(records, settings)
    first = tags_of(settings)
    assert (
        decoded_state(first[f"mlflow.sharedViewState.{LEADERBOARD}"])
        == (states(records)[LEADERBOARD])
    )
    assert "[Leaderboard](#/experiments/" in first["mlflow.note.content"]
    monkeypatch.setattr(views.time, "time", lambda: 1e12)
    refresh_views(records, settings)
    assert tags_of(settings) == first
    refresh_views([*records, make_record(key="2" * 16, seed=5)], settings)
    assert tags_of(settings) != first


def test_a_view_that_the_ui_broke_is_written_anew(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    records = [make_record()]
    connection = open_experiment(settings)
    key = f"mlflow.sharedViewState.{LEADERBOARD}"
    connection.client.set_experiment_tag(connection.experiment_id, key, '{"state": 1}')
    refresh_views(records, settings)
    assert decoded_state(tags_of(settings)[key]) == states(records)[LEADERBOARD]


@pytest.mark.fault
def test_views_never_fail_a_run(make_record: MakeRecord, tmp_path: Path) -> None:
    settings = tracking_settings(tmp_path, "demo", uri="http://127.0.0.1:9")
    refresh_views([make_record()], replace(settings, patience_seconds=0.1))


def test_columns_that_earlier_runs_made_necessary_are_kept(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    refresh_views([make_record(key=f"{c}" * 16, model_config={"C": c}) for c in (1, 2)], settings)
    refresh_views([make_record(key=f"{seed}" * 16, seed=seed) for seed in (3, 4)], settings)
    shown = decoded_state(tags_of(settings)[f"mlflow.sharedViewState.{LEADERBOARD}"])
    assert [name for name in shown["selectedColumns"] if name.startswith("params.")] == [
        "params.`seed`",
        "params.`model.C`",
    ]


def test_sweeps_and_failed_attempts_have_views_of_their_own(make_record: MakeRecord) -> None:
    found = states([make_record()])
    assert found["sweeps"]["searchFilter"] == "tags.kind = 'sweep'"
    assert found["failed-attempts"]["searchFilter"] == "tags.kind = 'attempt'"
    for state in (found["sweeps"], found["failed-attempts"]):
        assert state["orderByKey"] == "tags.`logged_since`", "by time they would be folded away"
        assert state["orderByAsc"] is False
    assert found[LEADERBOARD]["searchFilter"] == "tags.kind = 'run'"


def test_a_sweep_has_its_own_address() -> None:
    url = sweep_url("http://here:1/", "7", "abc")
    assert url.startswith(
        "http://here:1/#/experiments/7/runs?searchFilter=tags.kind%20%3D%20%27run"
    )
    assert "tags.sweep%20%3D%20%27abc%27" in url
