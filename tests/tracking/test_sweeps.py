"""The parent run of a sweep: begun, taken over after a kill, ended with table and figure."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sitrepbench.processes import this_host
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.connection import open_client
from sitrepbench.tracking.entries import SWEEP
from sitrepbench.tracking.log import reconcile, tidy_up
from sitrepbench.tracking.ranking import RankedRow, ranking_csv, ranking_page, ranking_svg
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import FoundRun, TrackingStore, open_store
from sitrepbench.tracking.sweeps import (
    SweepInfo,
    SweepOutcome,
    SweepParent,
    begin_sweep,
    end_sweep,
)
from sitrepbench.wording import FailedLine

MakeRecord = Callable[..., RunRecord]
ENDED = "999999999@1"
ROWS = [
    RankedRow("1" * 16, "svm <best>", "sitrep cv", 0.71, 0.68, 0.74, {"accuracy": 0.8}),
    RankedRow("2" * 16, "nb", "sitrep cv", 0.61234567, math.nan, math.nan, {"accuracy": math.nan}),
]


@pytest.fixture(autouse=True, params=["direct", "client"])
def way(request: pytest.FixtureRequest) -> None:
    if request.param == "client":
        request.getfixturevalue("by_client")


@pytest.fixture
def sweep(tmp_path: Path) -> SweepInfo:
    folder = tmp_path / "sweeps" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text('{"id": "0123456789ab"}')
    (folder / "events.jsonl").write_text('{"what": "started"}\n')
    command = "sitrepbench run -m model=a,b tracking.uri=http://me:hunter2@host"
    return SweepInfo("0123456789ab", "demo", command, 3, 1, folder)


def the_sweep(store: TrackingStore) -> FoundRun:
    (run,) = store.find(SWEEP)
    return run


def ended(
    parent: SweepParent, sweep: SweepInfo, outcome: SweepOutcome, store: TrackingStore
) -> None:
    end_sweep(parent, sweep, outcome, store=store, base="http://ui", run_ids={"2" * 16: "abc"})


def artifact(settings: TrackingSettings, run_id: str, name: str) -> str:
    return Path(open_client(settings).download_artifacts(run_id, name)).read_text()


def test_a_sweep_is_there_from_the_start_and_told_at_the_end(
    settings: TrackingSettings, sweep: SweepInfo
) -> None:
    failure = FailedLine("rf", "ModelError", "it\nraised", "sitrepbench run model=rf")
    with open_store(settings) as store:
        parent = begin_sweep(sweep, store)
        run = the_sweep(store)
        assert (run.run_id, run.status, run.tags["state"]) == (parent.run_id, "RUNNING", "running")
        assert run.tags["mlflow.note.content"].startswith("**3 runs**: 0 done, 0 failed, 1 from")
        assert "hunter2" not in str(run.tags)
        ended(parent, sweep, SweepOutcome("failed", 1, 1, 1, 3, 7.25, ROWS, [failure]), store)
        assert the_sweep(store).status == "FAILED"
    shown = open_client(settings).get_run(parent.run_id)
    assert shown.info.run_name == "sweep 01234567"
    assert shown.data.metrics == {
        "done": 1,
        "failed": 1,
        "cached": 1,
        "seconds": 7.2,
        "best_macro_f1": 0.71,
    }
    note = shown.data.tags["mlflow.note.content"]
    assert "[nb](#/experiments/1/runs/abc)" in note
    assert "ModelError: it raised" in note
    assert "`sitrepbench run model=rf`" in note
    assert json.loads(artifact(settings, parent.run_id, "plan.json"))["id"] == sweep.id
    assert "started" in artifact(settings, parent.run_id, "ledger.jsonl")
    assert "rf" in artifact(settings, parent.run_id, "failures.jsonl")
    page = artifact(settings, parent.run_id, "ranking.html")
    assert 'href="http://ui/#/experiments/1/runs/abc"' in page
    assert "&lt;best&gt;" in page
    assert artifact(settings, parent.run_id, "ranking.svg").startswith("<svg ")


@pytest.mark.fault
def test_a_killed_sweep_is_taken_over_by_its_next_start(
    settings: TrackingSettings, sweep: SweepInfo
) -> None:
    with open_store(settings) as store:
        first = begin_sweep(sweep, store)
        store.update(first.run_id, tags={"process": ENDED})
        second = begin_sweep(replace(sweep, n_cached=2), store)
        assert second == SweepParent(first.run_id, was_done=False)
        assert the_sweep(store).tags["starts"] == "2"
        ended(second, sweep, SweepOutcome("done", 1, 0, 2, 3, 1.0), store)
        assert the_sweep(store).status == "FINISHED"


@pytest.mark.fault
def test_other_sweeps_that_were_killed_are_closed_and_living_ones_left_alone(
    settings: TrackingSettings, sweep: SweepInfo
) -> None:
    with open_store(settings) as store:
        dead = begin_sweep(replace(sweep, id="dead"), store)
        far = begin_sweep(replace(sweep, id="far"), store)
        begin_sweep(sweep, store)
        store.update(dead.run_id, tags={"process": ENDED})
        store.update(far.run_id, tags={"host": f"not-{this_host()}", "process": ENDED})
        tidy_up(store)
        states = {run.tags["sweep"]: (run.status, run.tags["state"]) for run in store.find(SWEEP)}
    assert states == {
        "dead": ("KILLED", "killed"),
        "far": ("RUNNING", "running"),
        sweep.id: ("RUNNING", "running"),
    }


def test_starting_a_finished_sweep_again_changes_nothing_of_what_it_says(
    settings: TrackingSettings, sweep: SweepInfo
) -> None:
    with open_store(settings) as store:
        ended(begin_sweep(sweep, store), sweep, SweepOutcome("done", 2, 0, 1, 3, 9.0, ROWS), store)
        before = the_sweep(store)
        again = begin_sweep(replace(sweep, n_cached=3), store)
        assert again.was_done
        assert the_sweep(store).status == "RUNNING"
        ended(again, sweep, SweepOutcome("done", 0, 0, 3, 3, 0.1, ROWS), store)
        after = the_sweep(store)
    assert after.status == "FINISHED"
    assert after.tags["starts"] == "2"
    note = "mlflow.note.content"
    assert after.tags[note] == before.tags[note]
    assert open_client(settings).get_run(after.run_id).data.metrics["done"] == 2


def test_a_sweep_deleted_in_mlflow_is_begun_anew(
    settings: TrackingSettings, sweep: SweepInfo
) -> None:
    with open_store(settings) as store:
        first = begin_sweep(sweep, store)
        store.delete([first.run_id])
        assert begin_sweep(sweep, store).run_id != first.run_id


def test_runs_that_were_there_before_are_linked_from_the_table(
    make_record: MakeRecord, settings: TrackingSettings, sweep: SweepInfo
) -> None:
    record = make_record(key="1" * 16)
    reconcile([record], settings)
    with open_store(settings) as store:
        parent = begin_sweep(sweep, store)
        ended(parent, sweep, SweepOutcome("done", 1, 0, 2, 3, 1.0, ROWS), store)
        assert the_sweep(store).tags["mlflow.note.content"].count("](#/experiments/") == 2


def test_csv_and_figure_say_what_the_rows_say() -> None:
    rows = list(csv.DictReader(ranking_csv(ROWS).splitlines()))
    assert [row["run"] for row in rows] == ["svm <best>", "nb"]
    assert rows[0]["macro_f1_high"] == "0.74"
    assert (rows[1]["macro_f1"], rows[1]["macro_f1_low"]) == ("0.6123", "")
    picture = ElementTree.fromstring(ranking_svg(ROWS))
    circles = picture.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 2
    assert float(circles[0].attrib["cx"]) > float(circles[1].attrib["cx"])


@pytest.mark.parametrize("scores", [[], [math.nan], [0.0], [1.0], [0.5, 0.5], [0.0, 1.0]])
def test_any_scores_can_be_drawn(scores: list[float]) -> None:
    rows = [RankedRow(str(n), f"r{n}", "x", score, score, score) for n, score in enumerate(scores)]
    picture = ElementTree.fromstring(ranking_svg(rows))
    for circle in picture.iter("{http://www.w3.org/2000/svg}circle"):
        assert 190 <= float(circle.attrib["cx"]) <= 710
    assert f"{len(rows)} runs" in ranking_page(rows, title="sweep")
