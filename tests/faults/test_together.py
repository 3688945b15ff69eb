"""The same sweep started many times at once, and by a plain script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Ground

pytestmark = [pytest.mark.fault, pytest.mark.slow]

PROCESSES = 8
FOLDS = 2


def test_eight_processes_share_a_sweep(ground: Ground) -> None:
    runs = [ground.behaving(0.1 * (number + 1)) for number in range(4)]
    sweeps = [
        ground.start(runs, *ground.common(("local", "serial")[number % 2], workers=1))
        for number in range(PROCESSES)
    ]
    codes = [sweep.wait() for sweep in sweeps]
    assert codes == [0] * PROCESSES, [sweep.log for sweep in sweeps]
    states = [state for sweep in sweeps for state in sweep.states()]
    assert set(states) <= {"done", "cached"}
    # Somebody computed each, once.
    assert states.count("done") == len(runs)
    assert ground.fitted() == dict.fromkeys(ground.fitted(), FOLDS)
    assert len(ground.fitted()) == len(runs)
    ground.check_each_is_there_once([run["key"] for run in sweeps[0].outcome["runs"]])
    assert all("Traceback" not in sweep.log for sweep in sweeps)


def test_a_plain_script_starts_and_takes_up_the_same_sweep(ground: Ground) -> None:
    """Without the server of these tests: new interpreters, with multiprocessing as it is."""
    here = Path(__file__).resolve().parent
    runs = [ground.behaving(0.1), ground.behaving(0.2)]
    first = ground.start(runs[:1])
    assert first.wait() == 0
    request = ground.request(runs, *ground.common())
    file = ground.folder / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    path = os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(here / "driver.py"), str(file)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    outcome = json.loads(Path(request["outcome"]).read_text(encoding="utf-8"))
    assert [run["state"] for run in outcome["runs"]] == ["cached", "done"]
    assert len(ground.records()) == 2
