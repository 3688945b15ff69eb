"""One start of a sweep, in this process: planning, the store, the ledger, ending early."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sitrepbench import preparing
from sitrepbench.config.run_config import RunConfig
from sitrepbench.errors import ConfigError, DataError, LockedSplitError, StoreError
from sitrepbench.preparing import forget_data
from sitrepbench.processes import this_host, this_process
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.index import IndexRow
from sitrepbench.store.record import PREDICTIONS_FILE
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep import worker
from sitrepbench.sweep.interruption import Terminated
from sitrepbench.sweep.jobs import Reply, State
from sitrepbench.sweep.ledger import ATTEMPTS_FOLDER, SWEEPS_FOLDER, SweepLedger
from sitrepbench.sweep.planning import (
    Planner,
    SweepRun,
    check_common,
    check_looks,
    expected_seconds,
    study_of,
)
from sitrepbench.sweep.session import SweepSession

Compose = Callable[..., RunConfig]
NB = ("model=complement_nb", "features=word")


@pytest.fixture(autouse=True)
def _leave_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_limit_threads", lambda _: None)


class Watcher:
    """A view that writes down what it sees, and can do something at each end of a run."""

    def __init__(self) -> None:
        self.todo: list[int] = []
        self.ended: list[tuple[str, State]] = []
        self.replies: list[str] = []
        self.said_: list[str] = []
        self.prepared: list[tuple[int, int]] = []
        self.on_end: Callable[[], object] = lambda: None
        self.on_prepare: Callable[[int], object] = lambda done: None

    def preparing(self, done: int, total: int) -> None:
        self.prepared.append((done, total))
        self.on_prepare(done)

    def planned(self, session: SweepSession, todo: Sequence[SweepRun]) -> None:
        self.todo.append(len(todo))

    def finished(self, run: SweepRun, reply: Reply | None = None) -> None:
        self.ended.append((run.key, run.state))
        self.replies += [reply.key] if reply is not None else []
        self.on_end()

    def looked(self, session: SweepSession) -> None:
        assert sum(session.counts.values()) == len(session.runs)

    def said(self, message: str) -> None:
        self.said_.append(message)


class Started:
    """What is left of a start: its session, its watcher and what it raised."""

    def __init__(self, configs: Sequence[RunConfig], watcher: Watcher, **changes: Any) -> None:
        self.watcher = watcher
        self.raised: BaseException | None = None
        self.session = SweepSession(
            configs[0].results_dir, "adhoc", "sitrepbench run -m x=1", watcher, **changes
        )
        try:
            with self.session:
                self.session.launch(configs)
        except (KeyboardInterrupt, Terminated) as error:
            self.raised = error

    @property
    def states(self) -> list[State]:
        return [run.state for run in self.session.runs]

    @property
    def status(self) -> str:
        assert self.session.ledger is not None
        return self.session.ledger.status().state


def start(configs: Sequence[RunConfig], watcher: Watcher | None = None, **changes: Any) -> Started:
    return Started(configs, watcher or Watcher(), **changes)


@pytest.fixture
def three(compose: Compose) -> list[RunConfig]:
    return [compose(*NB, f"model.alpha={alpha}") for alpha in (0.1, 0.2, 0.3)]


def with_resume(configs: Sequence[RunConfig], how: str) -> list[RunConfig]:
    return [replace(config, tree={**config.tree, "resume": how}) for config in configs]


def breaking(monkeypatch: pytest.MonkeyPatch, *alphas: float) -> None:
    """Have the runs of these alphas raise."""
    real = worker._obtain

    def obtain(job: Any, errand: Any) -> bool:
        if job.tree["model"]["alpha"] in alphas:
            raise ValueError("the cause")
        return real(job, errand)

    monkeypatch.setattr(worker, "_obtain", obtain)


# What is computed, and what is taken.


def test_a_sweep_is_computed_once(three: list[RunConfig]) -> None:
    first = start(three)
    assert first.states == [State.done] * 3
    assert (first.watcher.todo, first.status) == ([3], "done")
    assert first.session.complete
    again = start(three[::-1])
    assert again.states == [State.cached] * 3
    assert again.watcher.todo == [0]
    assert again.session.ledger is not None
    assert first.session.ledger is not None
    assert again.session.ledger.folder == first.session.ledger.folder
    status = again.session.ledger.status()
    assert status.starts == 2
    assert set(status.states.values()) == {State.cached}
    assert not list((again.session.ledger.folder / ATTEMPTS_FOLDER).iterdir())


def test_what_is_missing_is_added(three: list[RunConfig]) -> None:
    start(three[:2])
    assert start(three).states == [State.cached, State.cached, State.done]


def test_runs_of_the_same_key_are_one_job(compose: Compose) -> None:
    configs = [compose(*NB, "model.alpha=0.5"), compose(*NB, "model.alpha=0.5", "seed=3")]
    started = start([*configs, configs[0]])
    assert len({run.key for run in started.session.runs}) == 1
    assert started.watcher.todo == [1]
    assert started.states == [State.done] * 3
    assert len(started.watcher.ended) == 3
    assert started.watcher.replies == [started.session.runs[0].key]
    assert started.session.ledger is not None
    assert len(started.session.ledger.plan().runs) == 1
    assert [event.what for event in started.session.ledger.events()].count("done") == 1


def test_failures_are_told_and_the_others_done(
    three: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, 0.2)
    started = start(three)
    assert started.states == [State.done, State.failed, State.done]
    assert started.status == "failed"
    assert not started.session.complete
    failure = started.session.runs[1].failure
    assert failure is not None
    assert failure.message == "ValueError: the cause"
    assert started.session.ledger is not None
    key = started.session.runs[1].key
    assert started.session.ledger.status().notes[key] == "ValueError: ValueError: the cause"
    monkeypatch.undo()
    again = start(three)
    assert again.states == [State.cached, State.done, State.cached]
    assert FailedRuns(three[0].results_dir).keys() == set()


def test_resume_failed_leaves_what_never_failed(
    three: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, 0.2)
    start(three[:2])
    monkeypatch.undo()
    started = start(with_resume(three, "failed"))
    assert started.states == [State.cached, State.done, State.waiting]
    assert started.watcher.todo == [1]


def test_resume_never_computes_all_anew(three: list[RunConfig]) -> None:
    start(three)
    files = list((three[0].results_dir / "runs").glob("*/record.json"))
    before = [file.stat().st_mtime_ns for file in files]
    started = start(with_resume(three, "never"))
    assert started.states == [State.done] * 3
    after = [file.stat().st_mtime_ns for file in files]
    assert all(new > old for new, old in zip(after, before, strict=True))


def test_resume_cached_only_computes_nothing(three: list[RunConfig]) -> None:
    start(three[:1])
    started = start(with_resume(three, "cached_only"))
    assert started.states == [State.cached, State.failed, State.failed]
    assert started.watcher.todo == [0]
    failure = started.session.runs[1].failure
    assert failure is not None
    assert "resume=missing" in failure.message


def test_a_damaged_record_is_set_aside_and_computed_again(three: list[RunConfig]) -> None:
    first = start(three)
    store = ResultsStore(three[0].results_dir)
    (store.runs / first.session.runs[1].key / PREDICTIONS_FILE).write_bytes(b"x")
    started = start(three)
    assert started.states == [State.cached, State.done, State.cached]
    assert len(list((store.folder / "damaged").iterdir())) == 1


def test_batches_of_one_session_are_one_sweep(three: list[RunConfig]) -> None:
    session = SweepSession(three[0].results_dir, "adhoc", "c", Watcher(), named="c 1")
    with session:
        first = session.launch(three[:2])
        folder = session.ledger.folder if session.ledger else None
        second = session.launch(three[1:])
        assert session.launch([]) == []
    assert [run.state for run in first] == [State.done] * 2
    assert [run.state for run in second] == [State.cached, State.done]
    assert session.ledger is not None
    assert session.ledger.folder == folder
    assert len(session.ledger.plan().runs) == 3
    assert session.complete


# What cannot be prepared.


def test_broken_data_are_told_per_run_and_loaded_once(
    compose: Compose, three: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def prepare(config: RunConfig) -> Any:
        loads.append(config)
        return preparing.prepare(config)

    monkeypatch.setattr("sitrepbench.sweep.planning.prepare", prepare)
    bad = [compose(*NB, "dataset.path=absent.csv", f"model.alpha={a}") for a in (0.1, 0.2, 0.3)]
    started = start([three[0], *bad])
    assert started.states == [State.done, *[State.failed] * 3]
    assert len(loads) == 2
    assert len({run.key for run in started.session.runs}) == 4
    for run in started.session.runs[1:]:
        assert isinstance(run.error, DataError)
        assert run.failure is not None
        assert "absent.csv" in run.failure.message
        assert "dataset.path=absent.csv" in run.command
    assert started.session.ledger is not None
    assert started.session.ledger.status().count(State.failed) == 3
    assert started.status == "failed"


def test_another_datasets_runs_are_prepared_all_the_same(compose: Compose) -> None:
    planner = Planner()
    assert planner.prepare(compose(*NB, "dataset.path=absent.csv")).state is State.failed
    assert planner.prepare(compose(*NB)).job is not None
    assert planner.prepare(compose(*NB, "features=none")).failure is not None
    assert planner.prepare(compose(*NB)).job is not None


def test_a_job_says_what_it_shares(compose: Compose) -> None:
    def shares(*overrides: str) -> str:
        job = Planner().prepare(compose(*overrides)).job
        assert job is not None
        return job.shares

    assert shares(*NB) == shares("model=linear_svm", "features=word") != ""
    assert shares(*NB) != shares("model=complement_nb", "features=char")
    assert shares("model=keyword_rules") == ""


@pytest.mark.parametrize("name", ["executor", "results_dir", "tracking", "study"])
def test_what_a_sweep_has_one_of_must_not_differ(three: list[RunConfig], name: str) -> None:
    other = replace(three[1], tree={**three[1].tree, name: "another"})
    with pytest.raises(ConfigError, match=f"^{name} differs"):
        check_common([three[0], other])
    check_common(three)


def test_a_sweep_cannot_look_at_a_test_split_by_hand(compose: Compose) -> None:
    config = compose(*NB, "unlock.reason=the paper")
    look = Planner().prepare(config)
    assert look.job is not None
    check_looks([look, look])
    # As it is kept for a run that reads a locked split.
    look.prepared = preparing.prepare(config)
    other = replace(look, job=replace(look.job, key="another"))
    check_looks([look, look])
    declared = replace(other, config=compose(*NB))
    check_looks([look, declared])
    with pytest.raises(LockedSplitError, match=r"^2 runs .*\n  sitrepbench run "):
        check_looks([look, other])


def test_a_run_without_a_study_is_adhoc(three: list[RunConfig]) -> None:
    assert study_of(three[0]) == "adhoc"
    assert study_of(replace(three[0], tree={**three[0].tree, "study": "mine"})) == "mine"


def row(seconds: float, features: str = "word", model: str = "complement_nb") -> IndexRow:
    return IndexRow(
        "k", "n", "adhoc", "mine", "grouped_cv", features, model, "2026-01-01", seconds, "{}"
    )


def test_the_time_is_expected_from_runs_alike(three: list[RunConfig]) -> None:
    planned = [SweepRun(config) for config in three]
    rows = [row(1.0), row(2.0), row(60.0), row(1000.0, "char"), row(5.0, "word", "other")]
    assert expected_seconds(planned, rows) == 3 * 2.0
    # Of other features the model's median is the next best.
    assert expected_seconds(planned[:1], [row(10.0, "char"), row(30.0, "char")]) == 20.0
    assert expected_seconds(planned, [row(5.0, "word", "other")]) is None
    assert expected_seconds([], []) == 0.0


# Ending early.


def test_ctrl_c_ends_after_the_run_under_way(three: list[RunConfig]) -> None:
    watcher = Watcher()
    watcher.on_end = lambda: signal.raise_signal(signal.SIGINT)
    started = start(three, watcher)
    assert started.raised is None
    assert started.states == [State.done, State.waiting, State.waiting]
    assert started.session.interrupted
    assert started.status == "interrupted"
    assert "Ctrl-C again" in watcher.said_[0]
    assert start(three).states == [State.cached, State.done, State.done]


@pytest.mark.parametrize(
    ("signals", "kind"),
    [([signal.SIGINT] * 2, KeyboardInterrupt), ([signal.SIGTERM], Terminated)],
)
def test_ending_at_once_is_passed_on_and_noted(
    three: list[RunConfig], signals: list[signal.Signals], kind: type[BaseException]
) -> None:
    watcher = Watcher()
    watcher.on_end = lambda: [signal.raise_signal(number) for number in signals]
    started = start(three, watcher)
    assert isinstance(started.raised, kind)
    assert started.status == "interrupted"
    assert start(three).states == [State.cached, State.done, State.done]


def test_an_interrupted_planning_leaves_no_ledger_of_another_sweep(
    three: list[RunConfig],
) -> None:
    watcher = Watcher()
    watcher.on_prepare = lambda done: signal.raise_signal(signal.SIGINT) if done == 1 else None
    started = start(three, watcher)
    assert started.states == [State.waiting] * 3
    assert started.session.plan is None
    assert not (three[0].results_dir / SWEEPS_FOLDER).exists()
    assert watcher.todo == []
    start(three)
    assert len(list((three[0].results_dir / SWEEPS_FOLDER).iterdir())) == 1


def test_a_view_that_is_in_the_middle_of_printing_does_not_break_ctrl_c(
    three: list[RunConfig],
) -> None:
    class Printing(Watcher):
        def said(self, message: str) -> None:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

    watcher = Printing()
    watcher.on_end = lambda: signal.raise_signal(signal.SIGINT)
    assert start(three, watcher).states == [State.done, State.waiting, State.waiting]


def test_a_store_that_takes_nothing_more_stops_the_sweep(
    three: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(*_: object, **__: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(ResultsStore, "put", put)
    started = start(three)
    assert started.states == [State.failed, State.waiting, State.waiting]
    assert started.session.fatal is not None
    assert started.session.fatal.message == "no space left"
    monkeypatch.undo()
    assert start(three).states == [State.done] * 3


def test_a_ledger_that_cannot_be_written_costs_one_message_and_no_run(
    three: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(*_: object, **__: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr("sitrepbench.sweep.ledger.SweepLedger.note", note)
    started = start(three)
    assert started.states == [State.done] * 3
    assert started.watcher.said_ == ["The ledger could not be written: no space left"]


# What earlier starts left.


def test_marks_of_starts_that_are_gone_are_removed_and_others_left(
    three: list[RunConfig],
) -> None:
    first = start(three)
    assert first.session.ledger is not None
    attempts = first.session.ledger.folder / ATTEMPTS_FOLDER
    gone = attempts / f"t.1.99999999@1.{this_host()}"
    mine = attempts / f"t.2.{this_process()}.{this_host()}"
    elsewhere = attempts / "t.3.1@1.elsewhere"
    for folder in (gone, mine, elsewhere, attempts / "of an older version"):
        folder.mkdir()
    start(three)
    assert sorted(attempts.iterdir()) == sorted([mine, elsewhere])


def test_marks_of_a_worker_that_lives_are_left(three: list[RunConfig]) -> None:
    first = start(three)
    assert first.session.ledger is not None
    attempts = first.session.ledger.folder / ATTEMPTS_FOLDER
    orphans = attempts / f"t.1.99999999@1.{this_host()}"
    orphans.mkdir()
    content = f'{{"host": "{this_host()}", "process": "{this_process()}", "since": 1.0}}'
    (orphans / "k.json").write_text(content, encoding="utf-8")
    start(three)
    assert orphans.is_dir()
    (orphans / "k.json").unlink()
    start(three)
    assert not orphans.exists()


def test_a_store_that_was_emptied_is_filled_again(three: list[RunConfig]) -> None:
    start(three)
    shutil.rmtree(three[0].results_dir / "runs")
    forget_data()
    assert start(three).states == [State.done] * 3


def test_a_store_that_may_only_be_read_answers_for_what_it_has(
    three: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(three[:2])

    def refuse(*_: object) -> None:
        raise StoreError("read-only file system")

    monkeypatch.setattr(SweepLedger, "open", refuse)
    assert start(three[:2]).states == [State.cached] * 2
    with pytest.raises(StoreError, match="read-only"):
        start(three)
