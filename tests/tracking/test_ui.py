"""MLflow's server for real: logging over HTTP, `serve_ui`, and what a browser shows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sitrepbench.errors import TrackingError
from sitrepbench.metrics.summary import summarise
from sitrepbench.store.record import RunRecord
from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking import ui
from sitrepbench.tracking.background import Tracker
from sitrepbench.tracking.connection import open_client
from sitrepbench.tracking.log import log_record, reconcile
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings
from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome
from sitrepbench.tracking.ui import leaderboard_link, running_server, serve_ui
from sitrepbench.tracking.views import (
    FAILURES,
    LATEST_SWEEP,
    SWEEPS,
    leaderboard_url,
    refresh_views,
    sweep_url,
)

MakeRecord = Callable[..., RunRecord]


def logged(record: RunRecord, settings: TrackingSettings) -> str:
    predictions = record.predictions()
    found = {part: summarise(predictions, part) for part in predictions.parts}
    return log_record(record, found, settings)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_link_leads_to_the_study_or_to_the_latest(make_record: MakeRecord, results: Path) -> None:
    assert leaderboard_link(tracking_settings(results, "x"), "b", study=None) == "b/"
    for key, study, day in (("1", "late", "2026-11-22"), ("2", "early", "2025-01-01")):
        record = make_record(key=key * 16, study=study, created=f"{day}T00:00:00+00:00")
        logged(record, tracking_settings(results, study))
    settings = tracking_settings(results, "adhoc")
    late = leaderboard_link(settings, "b", study="late")
    assert leaderboard_link(settings, "b", study=None) == late
    assert leaderboard_link(settings, "b", study="early") != late
    with pytest.raises(TrackingError, match=r"study 'lat' .* Did you mean 'late'\?"):
        leaderboard_link(settings, "b", study="lat")


@pytest.mark.fault
def test_server_that_dies_is_told_with_its_last_lines(
    settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "print('first'); raise SystemExit('cannot go on')"
    monkeypatch.setattr(ui, "_command", lambda *_: [sys.executable, "-c", program])
    with pytest.raises(TrackingError, match=r"(?s)ended with status 1.*cannot go on"):
        serve_ui(settings, port=free_port())


def test_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        assert ui._free_port(wanted) != wanted
    port = free_port()
    assert ui._free_port(port) == port


@pytest.mark.slow
def test_logging_over_http(make_record: MakeRecord, results: Path, tmp_path: Path) -> None:
    with running_server(tracking_settings(results, "demo"), port=free_port()) as server:
        settings = tracking_settings(tmp_path / "elsewhere", "team", uri=server.url)
        records = [make_record(key="1" * 16), make_record(key="2" * 16, run_name="second")]
        run_id = logged(records[0], settings)
        assert logged(records[0], settings) == run_id
        assert reconcile(records, settings) == [records[1].key]
        assert reconcile(records, settings) == []
        refresh_views(records, settings)
        run = open_client(settings).get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.inputs.dataset_inputs[0].dataset.name == "sentences"
        names = {item.path for item in open_client(settings).list_artifacts(run_id)}
        assert "report.html" in names
        # An unknown host name is turned away, so no web page can reach the server by DNS.
        request = urllib.request.Request(
            f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0",
            headers={"Host": "evil.example"},
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)
        link = leaderboard_link(settings, settings.uri, study="team")
        assert link.startswith(f"{server.url}/#/experiments/")
    assert server.process.poll() is not None


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_serving_stops_cleanly(
    make_record: MakeRecord, settings: TrackingSettings, results: Path, sign: signal.Signals
) -> None:
    logged(make_record(), settings)
    program = (
        "import signal, sys; from pathlib import Path\n"
        # Where the tests run in the background it is ignored, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sitrepbench.tracking.settings import tracking_settings\n"
        "from sitrepbench.tracking.ui import serve_ui\n"
        "serve_ui(tracking_settings(Path(sys.argv[1]), 'demo'), port=int(sys.argv[2]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(results), str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    link = process.stdout.readline()
    assert re.match(r"http://127\.0\.0\.1:\d+/#/experiments/\d+/runs\?viewState", link)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(sign)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "MLflow is stopped." in errors
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


@pytest.mark.slow
def test_browser_shows_the_leaderboard_best_on_top(
    make_record: MakeRecord, results: Path, tmp_path: Path, chromium: str
) -> None:
    settings = tracking_settings(results, "demo")
    names = {"weak": (0.2, 0.1), "strong": (0.9, 1.0), "middling": (0.5, 10.0)}
    records = [
        make_record(
            key=str(number) * 16, run_name=f"{name} runner", skill=skill, model_config={"C": c}
        )
        for number, (name, (skill, c)) in enumerate(names.items())
    ]
    sweep = SweepInfo("0123456789ab", "demo", "sitrepbench run -m model.C=0.1,1,10", n_runs=3)
    with Tracker(settings, sweep) as tracker:
        tracker.log_missing([record.key for record in records[:2]], {r.key: r for r in records}.get)
        job = Job("9" * 16, "broken try", records[0].config, records[0].names)
        tracker.fail(job, Failure("ModelError", "it raised"))
        tracker.finish(SweepOutcome("failed", 2, 1, 0, 3, 1.0))
        report = tracker.close(60)
    assert report.error is None
    assert len(reconcile(records, settings)) == 1, "one that is of no sweep"
    refresh_views(records, settings)
    with running_server(settings, port=free_port()) as server:
        link = leaderboard_link(settings, server.url, study="demo")
        page = rendered(chromium, link, tmp_path / "browser")
        of_sweep, latest, sweeps, failed = (
            rendered(chromium, link, tmp_path / "browser")
            for link in (
                sweep_url(server.url, report.experiment_id, sweep.id),
                leaderboard_url(server.url, report.experiment_id, view=LATEST_SWEEP),
                leaderboard_url(server.url, report.experiment_id, view=SWEEPS),
                leaderboard_url(server.url, report.experiment_id, view=FAILURES),
            )
        )
    rows = [row_of(page, f"{name} runner") for name in ("strong", "middling", "weak")]
    assert rows == [rows[0], rows[0] + 1, rows[0] + 2]
    heads = re.findall(
        r'aria-colindex="(\d+)" col-id="(?:metrics|params)\.`([^`]+)`".{0,120}?left: (\d+)px', page
    )
    shown = [name for _, name, _ in sorted(heads, key=lambda head: int(head[2]))]
    assert shown[:4] == ["macro_f1", "macro_f1_low", "macro_f1_high", "model.C"]
    for listed in (of_sweep, latest):
        assert row_of(listed, "strong runner") + 1 == row_of(listed, "weak runner")
        assert "middling runner" not in listed
    assert "sweep 01234567" in sweeps
    assert "broken try" in failed, "and not folded away below its sweep"
    for listed in (sweeps, failed):
        assert " runner" not in listed


def row_of(page: str, text: str) -> int:
    """Return the number of the table's row in which a text stands."""
    return int(re.findall(r'aria-rowindex="(\d+)"', page[: page.index(text)])[-1])


def rendered(chromium: str, link: str, profile: Path) -> str:
    """Return the page as the browser has built it."""
    switches = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--window-size=1600,1000 --virtual-time-budget=30000"
    )
    done = subprocess.run(
        [chromium, *switches.split(), f"--user-data-dir={profile}", "--dump-dom", link],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "HOME": str(profile)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
