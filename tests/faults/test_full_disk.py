"""A full disk in the middle of a sweep: a small tmpfs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Ground

pytestmark = [pytest.mark.fault, pytest.mark.slow]

Watch = Callable[..., object]


@pytest.fixture
def small(tmp_path: Path, require: Callable[[bool, str], None]) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    require(done.returncode == 0, f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("wb", buffering=0) as opened:
        for size in (65536, 4096, 1):
            try:
                while True:
                    opened.write(b"x" * size)
            except OSError:
                continue


def test_a_sweep_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    ground: Ground, small: Path, wait_for: Watch
) -> None:
    ground = replace(ground, results=small / "results")
    free = [ground.behaving(alpha) for alpha in (0.1, 0.2, 0.3)]
    gated = [ground.behaving(alpha, f"model.gate={ground.gate}") for alpha in (0.4, 0.5, 0.6, 0.7)]
    runs = [*free, *gated]
    sweep = ground.start(runs)
    # Two runs stand at the gate, the others before them are done.
    wait_for(lambda: len(ground.fitted()) == 5)
    wait_for(lambda: len(ground.records()) == 3)
    before = ground.records()
    fill(small / "filler")
    assert os.statvfs(small).f_bavail == 0
    ground.gate.touch()
    assert sweep.wait() == 8, sweep.log
    assert sweep.states().count("done") == 3
    assert sweep.states().count("failed") in (1, 2)
    assert "waiting" in sweep.states()
    # One clear message with what to do, and no traceback.
    fatal = sweep.outcome["fatal"]
    assert "No space left on device" in fatal
    assert "Free some space" in fatal
    assert "run the same command again" in fatal
    assert "Traceback" not in sweep.log
    assert sweep.log.count("The ledger could not be written") <= 1
    # No record is visible that is not whole.
    assert ground.records() == before

    (small / "filler").unlink()
    again = ground.start(runs)
    assert again.wait() == 0, again.log
    assert again.states().count("cached") == 3
    ground.check_each_is_there_once([run["key"] for run in again.outcome["runs"]])
    after = ground.records()
    assert {key: after[key] for key in before} == before
    assert not list((ground.results / "failed").glob("*"))


def test_a_sweep_cannot_begin_on_a_full_disk(ground: Ground, small: Path) -> None:
    ground = replace(ground, results=small / "results")
    fill(small / "filler")
    runs = [ground.behaving(0.1), ground.behaving(0.2)]
    sweep = ground.start(runs)
    assert sweep.wait() == 8, sweep.log
    assert "No space left on device" in sweep.log
    assert "Traceback" not in sweep.log
    assert ground.fitted() == {}
    (small / "filler").unlink()
    again = ground.start(runs)
    assert again.wait() == 0, again.log
    ground.check_each_is_there_once([run["key"] for run in again.outcome["runs"]])
