"""An error analysis beside its run in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.connection import open_experiment
from sitrepbench.tracking.error_pages import log_errors
from sitrepbench.tracking.log import log_record, summaries_of
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings

MakeRecord = Callable[..., RunRecord]


@pytest.fixture(autouse=True, params=["direct", "client"])
def way(request: pytest.FixtureRequest) -> None:
    """Everything holds for the file written directly and for the one that the client writes."""
    if request.param == "client":
        request.getfixturevalue("by_client")


def write(folder: Path) -> None:
    (folder / "errors.html").write_text("<p>all of them</p>\n", encoding="utf-8")


def listed(settings: TrackingSettings, run_id: str) -> list[str]:
    client = open_experiment(settings).client
    return sorted(item.path for item in client.list_artifacts(run_id, "errors/dev"))


def test_files_are_added_to_every_study_that_has_the_run(
    make_record: MakeRecord, results: Path
) -> None:
    record = make_record()
    both = [tracking_settings(results, study) for study in ("demo", "other")]
    ids = [log_record(record, summaries_of(record), settings) for settings in both]
    for _ in range(2):
        assert log_errors(record.key, both[0], write, part="dev") == 2
        for settings, run_id in zip(both, ids, strict=True):
            assert listed(settings, run_id) == ["errors/dev/errors.html"]
    client = open_experiment(both[0]).client
    run = client.get_run(ids[0])
    assert run.info.status == "FINISHED"
    assert len(client.search_runs([open_experiment(both[0]).experiment_id])) == 1


def test_a_run_that_is_not_there_makes_none(
    make_record: MakeRecord, settings: TrackingSettings, tmp_path: Path
) -> None:
    record = make_record()
    log_record(record, summaries_of(record), settings)
    assert log_errors("f" * 16, settings, write, part="dev") == 0
    assert log_errors(record.key, replace(settings, enabled=False), write, part="dev") == 0
    empty = tracking_settings(tmp_path / "nowhere", "demo")
    assert log_errors(record.key, empty, write, part="dev") == 0
    assert not (tmp_path / "nowhere").exists()
