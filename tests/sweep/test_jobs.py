"""Jobs and their states: plain values that survive the way to another process."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from errands import errand, job

from sitrepbench.sweep.jobs import Failure, Job, Reply, State


@pytest.mark.parametrize("state", State)
def test_only_a_run_with_a_record_is_finished(state: State) -> None:
    assert state.finished == (state in (State.done, State.cached))


def test_the_command_repeats_the_run_in_a_shell() -> None:
    made = Job("k", "n", {}, {}, ("model=linear_svm", "dataset.path=my file.csv"))
    assert made.command == "sitrepbench run model=linear_svm 'dataset.path=my file.csv'"


def test_an_errand_and_a_reply_can_be_sent(tmp_path: Path) -> None:
    sent = errand(tmp_path, "a", "b", time_limit=2.0)
    assert pickle.loads(pickle.dumps(sent)) == sent
    reply = Reply("a", State.failed, 1.0, "host:1", Failure("ModelError", "no"))
    assert pickle.loads(pickle.dumps(reply)) == reply
    assert job("a").shares == ""


def test_a_run_that_needs_a_sweeps_time_limit_is_repeated_as_one() -> None:
    made = Job("k", "n", {}, {}, ("model=x", "executor=local", "executor.time_limit=5"))
    assert made.command == "sitrepbench run -m model=x executor=local executor.time_limit=5"
