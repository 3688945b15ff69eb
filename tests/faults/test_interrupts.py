"""Ctrl-C as a terminal sends it, to the whole process group: once, twice, and orders to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Ground, RunningSweep

pytestmark = [pytest.mark.fault, pytest.mark.slow]

RUNS = 5
WORKERS = 2
Watch = Callable[..., object]
Lives = Callable[[psutil.Process], bool]


@pytest.fixture
def runs(ground: Ground) -> list[list[str]]:
    """Runs that wait at the gate."""
    return [
        ground.behaving(0.1 * (number + 1), f"model.gate={ground.gate}") for number in range(RUNS)
    ]


@pytest.fixture
def sweep(ground: Ground, runs: list[list[str]], wait_for: Watch) -> RunningSweep:
    """A sweep whose workers all stand at the gate."""
    started = ground.start(runs)
    wait_for(lambda: len(ground.fitted()) == WORKERS)
    return started


def test_ctrl_c_finishes_what_is_under_way_and_the_next_start_the_rest(
    ground: Ground, sweep: RunningSweep, runs: list[list[str]], wait_for: Watch, lives: Lives
) -> None:
    family = sweep.family()
    os.killpg(sweep.pid, signal.SIGINT)
    wait_for(lambda: "said Stopping when the 2 runs under way end" in sweep.log)
    assert not sweep.ended()
    ground.gate.touch()
    assert sweep.wait() == 130
    assert sorted(sweep.states()) == ["done"] * WORKERS + ["waiting"] * (RUNS - WORKERS)
    assert "Traceback" not in sweep.log
    wait_for(lambda: not any(map(lives, family)))
    before = ground.records()
    assert len(before) == WORKERS
    again = ground.start(runs)
    assert again.wait() == 0
    assert again.states().count("cached") == WORKERS
    ground.check_each_is_there_once([run["key"] for run in again.outcome["runs"]])
    after = ground.records()
    assert {key: after[key] for key in before} == before
    assert set(ground.fitted().values()) == {2}, "each model is fitted once per fold"


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGHUP], 129)],
)
def test_ending_at_once_leaves_no_process_and_loses_no_run(
    ground: Ground,
    sweep: RunningSweep,
    runs: list[list[str]],
    wait_for: Watch,
    lives: Lives,
    signals: list[signal.Signals],
    code: int,
) -> None:
    family = sweep.family()
    for number in signals:
        if number is signal.SIGINT:
            os.killpg(sweep.pid, number)
            wait_for(lambda: "said Stopping" in sweep.log or sweep.ended())
        else:
            sweep.process.send_signal(number)
    assert sweep.wait() == code
    wait_for(lambda: not any(map(lives, family)))
    assert ground.records() == {}
    assert "Traceback" not in sweep.log
    ground.gate.touch()
    again = ground.start(runs)
    assert again.wait() == 0
    ground.check_each_is_there_once([run["key"] for run in again.outcome["runs"]])


def test_ctrl_c_while_helpers_start_says_nothing_strange(
    ground: Ground, runs: list[list[str]], wait_for: Watch, lives: Lives
) -> None:
    ground.gate.touch()
    sweep = ground.start(runs)
    family = wait_for(sweep.family)
    os.killpg(sweep.pid, signal.SIGINT)
    assert sweep.wait() in (130, -signal.SIGINT)
    wait_for(lambda: not any(map(lives, family)))
    again = ground.start(runs)
    assert again.wait() == 0
    ground.check_each_is_there_once([run["key"] for run in again.outcome["runs"]])
