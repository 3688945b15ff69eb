"""SIGKILL of a worker, of the parent and of both: every run is there once, whenever it comes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Ground, RunningSweep

pytestmark = [pytest.mark.fault, pytest.mark.slow]

RUNS = 6
WORKERS = 2
FOLDS = 2
Watch = Callable[..., object]
Lives = Callable[[psutil.Process], bool]


def kill_worker(sweep: RunningSweep, draw: random.Random) -> list[psutil.Process]:
    """Kill one of the workers, and return it; none where there are none any more."""
    while not sweep.ended():
        workers = sweep.workers()
        if workers:
            return _kill([draw.choice(workers)])
    return []


def kill_parent(sweep: RunningSweep, draw: random.Random) -> list[psutil.Process]:
    """Kill the parent alone, and return who should end by that."""
    family = sweep.family()
    _kill([sweep.process])
    return [sweep.process, *family]


def kill_both(sweep: RunningSweep, draw: random.Random) -> list[psutil.Process]:
    """Kill the parent and all workers in one go."""
    family = sweep.family()
    _kill([sweep.process, *sweep.workers()])
    return [sweep.process, *family]


def _kill(victims: list[psutil.Process]) -> list[psutil.Process]:
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    return victims


@pytest.fixture
def runs(ground: Ground) -> list[list[str]]:
    """Runs in two groups that share features."""
    made = [ground.behaving(0.1 * (number + 1)) for number in range(RUNS)]
    return [[*run, "features=char"] if number % 3 == 2 else run for number, run in enumerate(made)]


@pytest.mark.parametrize(("kill", "moments"), [(kill_worker, 7), (kill_parent, 7), (kill_both, 6)])
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    ground: Ground,
    runs: list[list[str]],
    lives: Lives,
    wait_for: Watch,
    kill: Callable[[RunningSweep, random.Random], list[psutil.Process]],
    moments: int,
) -> None:
    measured = ground.start(runs)
    assert measured.wait() == 0
    duration = time.monotonic() - measured.started
    keys = [run["key"] for run in measured.outcome["runs"]]
    draw = random.Random(f"{kill.__name__}")
    hits = 0
    for number in range(moments):
        shutil.rmtree(ground.results)
        ground.fits.unlink()
        moment = duration * (number + draw.random()) / moments
        sweep = ground.start(runs)
        wait_for(lambda sweep=sweep, moment=moment: time.monotonic() - sweep.started > moment)
        victims = kill(sweep, draw)
        if kill is kill_worker:
            wait_for(lambda victims=victims: not any(map(lives, victims)))
        else:
            sweep.wait()
            # The store takes what a process writes for abandoned when its number is free.
            wait_for(lambda victims=victims: not any(map(psutil.Process.is_running, victims)))
        finished = ground.records() if ground.results.exists() else {}
        hits += len(finished) < RUNS
        if kill is kill_worker:
            assert sweep.wait() == 0, sweep.log
            assert set(sweep.states()) == {"done"}
        again = ground.start(runs)
        assert again.wait() == 0, again.log
        # After a kill of a worker the next start has nothing to do.
        assert kill is not kill_worker or set(again.states()) == {"cached"}
        ground.check_each_is_there_once(keys)
        after = ground.records()
        assert {key: after[key] for key in finished} == finished, "a finished run was computed"
        fitted = ground.fitted()
        assert len(fitted) == RUNS
        # What was under way is fitted anew, and nothing else.
        assert sum(fitted.values()) <= FOLDS * (RUNS + WORKERS), fitted
        assert max(fitted.values()) <= 2 * FOLDS
    assert hits >= moments // 2, "the kills came too late to prove anything"


def test_a_parent_that_is_killed_takes_runs_without_end_along(
    ground: Ground, lives: Lives, wait_for: Watch
) -> None:
    runs = [ground.behaving(alpha, f"model.gate={ground.gate}") for alpha in (0.1, 0.2, 0.3)]
    sweep = ground.start(runs)
    wait_for(lambda: len(ground.fitted()) == WORKERS)
    family = sweep.family()
    assert len(sweep.workers()) == WORKERS
    sweep.process.kill()
    wait_for(lambda: not any(map(lives, family)))
    assert sweep.wait() == -signal.SIGKILL
    ground.gate.touch()
    again = ground.start(runs)
    assert again.wait() == 0
    assert again.states() == ["done"] * 3
    ground.check_each_is_there_once([run["key"] for run in again.outcome["runs"]])


def test_what_a_kill_left_half_written_goes_at_the_next_start(ground: Ground) -> None:
    first = ground.start([ground.behaving(0.1)])
    assert first.wait() == 0
    partial = ground.results / "partial"
    host = os.uname().nodename.replace(".", "-")
    left = partial / f"0123456789abcdef.{host}.{first.pid}.00000000"
    left.mkdir()
    (left / "predictions.parquet").write_bytes(b"PAR1")
    elsewhere = partial / f"0123456789abcdef.elsewhere.{first.pid}.00000000"
    elsewhere.mkdir()
    again = ground.start([ground.behaving(0.1)])
    assert again.wait() == 0
    assert again.states() == ["cached"]
    assert list(partial.iterdir()) == [elsewhere]
    assert len(list((ground.results / "runs").iterdir())) == 1
