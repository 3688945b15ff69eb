"""Models that raise, answer nonsense, exit, are killed or never end: the others are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import pytest

from sitrepbench.store.failures import FailedRuns

if TYPE_CHECKING:
    from conftest import Ground

pytestmark = [pytest.mark.fault, pytest.mark.slow]

GOOD = 3
#: Seconds; enough for the good ones where the machine has much else to do.
LIMIT = 5
DEEDS = {
    "raise": ("ModelError", "RuntimeError: the matrix is odd ?"),
    "no numbers": ("ModelError", "predict_proba gave NaN or infinite values"),
    "exit": ("ModelError", "SystemExit: 3"),
    "leave": ("killed", "2 times, the last time: its process ended with exit code 4"),
    "kill": ("killed", "2 times, the last time: killed by signal 9 (SIGKILL)"),
    "loop": ("time limit", f"it did not end within {LIMIT} s (executor.time_limit)"),
    "match": ("time limit", f"it did not end within {LIMIT} s (executor.time_limit)"),
}
#: How often a model is fitted: a run whose worker died is tried again once.
FITS = {"leave": 2, "kill": 2}


def test_broken_models_fail_with_their_cause_and_the_others_are_done(
    ground: Ground, wait_for: Callable[..., object], lives: Callable[[psutil.Process], bool]
) -> None:
    bad = [ground.behaving(number + 1.0, f"model.deed={deed}") for number, deed in enumerate(DEEDS)]
    good = [ground.behaving(0.1 * (number + 1)) for number in range(GOOD)]
    runs = [bad[0], good[0], *bad[1:4], good[1], *bad[4:], good[2]]
    sweep = ground.start(
        runs, *ground.common(), f"executor.time_limit={LIMIT}", "executor.retries=1"
    )
    # On the way, nothing is left running that was given up.
    workers: dict[int, psutil.Process] = {}

    def look() -> bool:
        workers.update((worker.pid, worker) for worker in sweep.workers())
        return sweep.ended()

    wait_for(look)
    assert sweep.wait() == 1, sweep.log
    wait_for(lambda: not any(map(lives, workers.values())))
    told = {run["command"]: run for run in sweep.outcome["runs"]}
    failed = {failure.command: failure for failure in FailedRuns(ground.results).all()}
    assert len(failed) == len(DEEDS)
    for number, (deed, (kind, message)) in enumerate(DEEDS.items()):
        (command,) = [text for text in told if f"model.deed={deed}" in text]
        assert command.startswith("sitrepbench run -m model=behaving ")
        run, kept = told[command], failed[command]
        assert run["state"] == "failed"
        assert run["failure"]["kind"] == kept.kind == kind
        assert message in run["failure"]["message"]
        assert kept.message == run["failure"]["message"]
        assert kept.attempts == 1
        assert ground.fitted()[f"{number + 1.0}"] == FITS.get(deed, 1)
    for deed, where in (("loop", "_never_end"), ("match", "in match")):
        (command,) = [text for text in told if f"model.deed={deed}" in text]
        assert where in failed[command].details
        assert "Timeout" in failed[command].details
    done = [run["key"] for run in sweep.outcome["runs"] if run["state"] == "done"]
    assert len(done) == GOOD
    assert set(ground.records()) == set(done)
    assert not sweep.family()


def test_models_that_break_do_so_in_this_process_too(ground: Ground) -> None:
    deeds = ("raise", "no numbers", "exit")
    runs = [ground.behaving(number + 1.0, f"model.deed={d}") for number, d in enumerate(deeds)]
    sweep = ground.start([*runs, ground.behaving(0.1)], *ground.common("serial"))
    assert sweep.wait() == 1
    assert sweep.states() == ["failed"] * 3 + ["done"]
    kinds = [run["failure"]["kind"] for run in sweep.outcome["runs"][:3]]
    assert kinds == [DEEDS[deed][0] for deed in deeds]
