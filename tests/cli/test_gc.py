"""``gc``: what nobody needs goes, everything else stays, and nothing outside is touched."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from sitrepbench.cli import gc
from sitrepbench.errors import ConfigError, DataError, StoreError, TrackingError
from sitrepbench.processes import this_host
from sitrepbench.store.results import ResultsStore
from sitrepbench.store.waste import discard, size_of
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import ATTEMPTS_FOLDER, PLAN_FILE
from sitrepbench.sweep.marks import Marks

STORE, REFUSED = 8, 1
GONE = f"{this_host()}:999999999@1"


@pytest.fixture(autouse=True)
def studies(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | Exception]:
    """Stand in for ``experiments/``: the keys that each study needs, or why they are unknown."""
    needed: dict[str, list[str] | Exception] = {}

    class Prepared:
        def __init__(self, key: str) -> None:
            self.key = key

    def configs(study: str) -> list[str]:
        found = needed[study]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("sitrepbench.config.combinations.committed_studies", lambda: list(needed))
    monkeypatch.setattr("sitrepbench.config.combinations.study_configs", configs)
    monkeypatch.setattr("sitrepbench.preparing.prepare", Prepared)
    return needed


def left(store) -> set[str]:
    return {path.name for path in (store.folder / "runs").iterdir()}


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "index.db"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_runs_that_no_sweep_and_no_study_needs_go(told, store, studies) -> None:
    planned, studied, alone = store.run(1), store.run(2, study="published"), store.run(3)
    store.sweep([1], [State.done], ended="done")
    studies["published"] = [studied]
    (store.folder / "looks.jsonl").write_text("{}\n")
    code, out, _ = told("gc", "--yes")
    assert code == 0
    assert "finished runs of study adhoc" in out
    assert "2 finished run(s) stay" in out
    assert "1 finished run(s) among it" in out
    assert left(store) == {planned, studied}
    assert (store.folder / "looks.jsonl").read_text() == "{}\n"
    assert not list((store.folder / "partial").iterdir())
    assert not (store.folder / "locks" / alone).exists()
    assert [row.key for row in ResultsStore(store.folder).rows()] == sorted([planned, studied])
    code, out, _ = told("gc", "--yes")
    assert code == 0
    assert "Nothing to free." in out


def test_only_a_name_is_no_need(told, store, studies) -> None:
    old, now = store.run(1, study="published"), store.run(2, study="published")
    studies["published"] = [now]
    assert told("gc", "--yes")[0] == 0
    assert left(store) == {now}
    assert old not in left(store)


@pytest.mark.parametrize("error", [DataError("no data"), ConfigError("does not compose")])
def test_a_study_that_cannot_tell_keeps_its_runs_and_failures(told, store, studies, error) -> None:
    kept = store.run(1, study="published")
    store.run(2)
    note = store.failure(3, study="published")
    studies["published"] = error
    code, out, _ = told("gc", "--yes")
    assert code == 0
    assert f"All runs of the study published stay, for it cannot be told which it needs: {error}" \
        in " ".join(out.split())  # fmt: skip
    assert left(store) == {kept}
    assert (store.folder / "failed" / f"{note}.json").exists()


def test_a_forgotten_sweep_goes_with_the_runs_that_only_it_needs(told, store) -> None:
    both, first, second = store.run(1), store.run(2), store.run(3)
    gone = store.sweep([1, 2], [State.done] * 2, ended="done")
    kept = store.sweep([1, 3], [State.done] * 2, ended="done")
    assert told("gc", "--yes", "--forget", gone.folder.name[:6])[0] == 0
    assert left(store) == {both, second}
    assert first not in left(store)
    assert not gone.folder.exists()
    assert kept.folder.exists()
    code, _, err = told("gc", "--yes", "--forget", "zzz")
    assert code == STORE
    assert "no sweep 'zzz'" in err


def test_a_sweep_under_way_is_not_forgotten_and_keeps_its_marks(told, store) -> None:
    ledger = store.sweep([1], [None])
    marks = ledger.folder / ATTEMPTS_FOLDER / "now"
    marks.mkdir(parents=True)
    code, _, err = told("gc", "--yes", "--forget", ledger.folder.name)
    assert code == STORE
    assert "is under way" in err
    assert told("gc", "--yes")[0] == 0
    assert marks.is_dir()
    store.take_over(ledger, GONE)
    assert told("gc", "--yes")[0] == 0
    assert not marks.exists()
    assert ledger.folder.is_dir()


def test_marks_of_workers_that_outlive_their_parent_stay(told, store) -> None:
    ledger = store.sweep([1], [None])
    alive = ledger.attempt_folder()
    dead = alive.with_name(f"time.nonce.{GONE.rpartition(':')[2]}.{this_host()}")
    orphaned = dead.with_name(dead.name.replace("nonce", "other"))
    for folder in (dead, orphaned):
        folder.mkdir()
    Marks(orphaned).begin("x")
    store.take_over(ledger, GONE)
    assert told("gc", "--yes")[0] == 0
    assert set((ledger.folder / ATTEMPTS_FOLDER).iterdir()) == {alive, orphaned}


def test_an_unreadable_plan_frees_nothing_until_it_is_forgotten(told, store) -> None:
    store.run(1)
    ledger = store.sweep([1], [State.done], ended="done")
    (ledger.folder / PLAN_FILE).write_text("{")
    code, _, err = told("gc", "--yes")
    assert code == STORE
    assert f"sitrepbench gc --forget {ledger.folder.name}" in err
    assert len(left(store)) == 1
    assert told("gc", "--yes", "--forget", ledger.folder.name)[0] == 0
    assert not left(store)


def test_leftovers_of_every_kind_go(told, store) -> None:
    from sitrepbench.store import results

    needed = store.run(1)
    waiting, over, alone = store.failure(2), store.failure(1), store.failure(3)
    store.sweep([1, 2], [State.done, State.failed], ended="failed")
    host = results._this_host()
    for name in (f"x.{host}.999999999.ab", f"y.{host}.{os.getpid()}.cd", "z.elsewhere.1.ef"):
        (store.folder / "partial" / name).mkdir()
    for name in ("damaged", "cache/features/ab"):
        (store.folder / name).mkdir(parents=True)
    (store.folder / "damaged" / "old").mkdir()
    (store.folder / "cache" / "features" / "ab" / "entry").write_bytes(b"x" * 10_000)
    (store.folder / "cache" / "other").mkdir()
    (store.folder / "locks" / "free").touch()
    held = FileLock(store.folder / "locks" / "held")
    with held:
        code, out, _ = told("gc", "--yes")
        assert code == 0
        assert (store.folder / "locks" / "held").exists()
    for piece in ("left by dead processes", "damaged records", "notes of failures that are over",
                  "lock files that nobody holds", "cached features"):  # fmt: skip
        assert piece in out
    assert left(store) == {needed}
    there = {path.name for path in (store.folder / "partial").iterdir()}
    assert there == {f"y.{host}.{os.getpid()}.cd", "z.elsewhere.1.ef"}
    assert {path.stem for path in (store.folder / "failed").iterdir()} == {waiting}
    assert over != alone
    assert not list((store.folder / "damaged").iterdir())
    assert not list((store.folder / "cache" / "features").iterdir())
    assert (store.folder / "cache" / "other").is_dir()
    assert not (store.folder / "locks" / "free").exists()


def test_what_is_young_stays_where_asked(told, store) -> None:
    from sitrepbench.store.looks import now

    store.run(1, created="2020-01-01T00:00:00+00:00")
    young = store.run(2, created=now())
    (store.folder / "damaged" / "new").mkdir(parents=True)
    assert told("gc", "--yes", "--older-than", "7")[0] == 0
    assert left(store) == {young}
    assert (store.folder / "damaged" / "new").is_dir()
    assert told("gc", "--yes", "--older-than", "0")[0] == 0
    assert not left(store)


@pytest.mark.parametrize("given", [["--older-than", "-1"], ["--older-than", "nan"], ["--forget"]])
def test_wrong_usage_is_told(told, given) -> None:
    code, _, err = told("gc", *given)
    assert code == 2
    assert "usage" in err


def test_nothing_goes_without_a_yes(told, store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.run(1)
    told("list")
    before = everything(store.folder)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, out, err = told("gc")
    assert code == REFUSED
    assert "--yes" in err
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    code, out, _ = told("gc")
    assert code == REFUSED
    assert "Nothing was freed." in out
    code, out, _ = told("gc", "--dry-run", "--yes")
    assert code == 0
    assert "finished runs" in out
    assert {name: text for name, text in everything(store.folder).items() if text} == {
        name: text for name, text in before.items() if text
    }
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert told("gc")[0] == 0
    assert not left(store)


def test_a_sweep_that_begins_while_we_ask_keeps_its_runs(
    told, store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = store.run(1)

    def agree() -> bool:
        store.sweep([1], [State.cached])
        return True

    monkeypatch.setattr(gc, "_agreed", agree)
    code, out, _ = told("gc")
    assert code == 0
    assert left(store) == {key}
    assert "1 run(s) were left alone" in out


def test_a_run_that_is_computed_is_left_alone(told, store) -> None:
    key = store.run(1)
    with ResultsStore(store.folder).claim(key):
        code, out, _ = told("gc", "--yes")
    assert code == 0
    assert left(store) == {key}
    assert "1 run(s) were left alone" in out


@pytest.mark.fault
@pytest.mark.parametrize("name", ["runs", "damaged", "cache", "cache/features", "sweeps"])
def test_links_are_not_followed(told, store, tmp_path: Path, name: str) -> None:
    store.run(1)
    ledger = store.sweep([2], [None])
    store.take_over(ledger, GONE)
    (ledger.folder / ATTEMPTS_FOLDER / "old").mkdir(parents=True)
    for part in ("damaged", "cache/features"):
        (store.folder / part).mkdir(parents=True)
        (store.folder / part / "thing").write_text("x")
    outside = tmp_path / "outside"
    (store.folder / name).rename(outside)
    (store.folder / name).symlink_to(outside)
    before = everything(outside)
    code, out, _ = told("gc", "--yes", "--forget", ledger.folder.name)
    assert code == 0
    assert "is a link to somewhere else" in out
    assert everything(outside) == before


@pytest.mark.fault
def test_a_link_among_the_waste_goes_and_what_it_leads_to_stays(told, store, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (store.folder / "damaged").mkdir()
    (store.folder / "damaged" / "link").symlink_to(outside)
    assert told("gc", "--yes")[0] == 0
    assert not list((store.folder / "damaged").iterdir())
    assert (outside / "file").read_text() == "mine"


def test_what_is_outside_is_never_removed(store, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    opened = ResultsStore(store.folder)
    for path in (tmp_path / "mine", store.folder / "runs" / ".." / ".." / "mine"):
        with pytest.raises(StoreError, match="outside"):
            discard(path, opened)
    assert (tmp_path / "mine").is_dir()


def test_sizes_are_those_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert 100_000 <= size_of(tmp_path / "folder") < 130_000
    assert size_of(tmp_path / "link") < 10_000
    assert size_of(tmp_path / "absent") == 0


@pytest.mark.fault
def test_what_cannot_be_removed_is_told(told, store, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.folder / "damaged" / "old").mkdir(parents=True)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    code, out, _ = told("gc", "--yes")
    assert code == REFUSED
    assert "could not be removed" in out


@pytest.mark.fault
def test_a_kill_in_the_middle_leaves_a_whole_store(store) -> None:
    keys = {store.run(number) for number in range(6)}
    script = """
import os, shutil, signal, sys
from sitrepbench.cli import gc, main
gc.needs_of = lambda *arguments: gc.Needs(set())
real, removed = shutil.rmtree, []
def remove_then_die(path, **named):
    removed.append(path)
    if len(removed) == 3:
        os.unlink(next(os.scandir(path)).path)
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, **named)
shutil.rmtree = remove_then_die
main(["gc", "--yes", "--results-dir", sys.argv[1]])
"""
    arguments = [sys.executable, "-c", script, str(store.folder)]
    assert subprocess.run(arguments, capture_output=True).returncode == -signal.SIGKILL
    # Three are gone, the third of them half removed, but not from among the runs.
    opened = ResultsStore(store.folder)
    assert len(left(store)) == 3
    assert {row.key for row in opened.rows()} == left(store) < keys
    assert opened.unread == []
    assert all(opened.find(key) is not None for key in left(store))
    assert len(opened.abandoned()) == 1


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """Stand in for MLflow: what it was told to forget, and in which experiment."""
    from sitrepbench.tracking import log

    told: list[tuple[list[str], str]] = []

    def forget(keys, settings) -> int:
        told.append((sorted(keys), settings.experiment))
        if settings.experiment == "sitrepbench/broken":
            raise TrackingError("the server does not answer")
        return len(keys)

    monkeypatch.setattr(log, "forget_runs", forget, raising=False)
    return told


TRACKED = {
    "tracking": {
        "_target_": "sitrepbench.tracking.settings.tracking_settings",
        "_partial_": True,
        "uri": None,
        "artifact_root": None,
        "experiment": None,
    }
}


def test_mlflow_is_told_which_runs_are_gone(
    told, store, forgotten: list[tuple[list[str], str]]
) -> None:
    keys = sorted(store.run(number, study="mine", config=TRACKED) for number in (1, 2))
    store.run(3)  # was never tracked
    (store.folder / "mlflow.db").touch()
    code, out, _ = told("gc", "--yes")
    assert code == 0
    assert forgotten == [(keys, "sitrepbench/mine")]
    assert "2 run(s) are marked deleted in MLflow; 'mlflow gc'" in out


def test_mlflow_is_left_alone_where_there_is_none(told, store, forgotten) -> None:
    store.run(1, config=TRACKED)
    assert told("gc", "--yes")[0] == 0
    assert forgotten == []
    assert not left(store)


@pytest.mark.fault
def test_mlflow_out_of_reach_stops_nothing(told, store, forgotten) -> None:
    store.run(1, study="broken", config=TRACKED)
    (store.folder / "mlflow.db").touch()
    code, out, _ = told("gc", "--yes")
    assert code == 0
    assert "MLflow still shows 1 of the runs: the server does not answer" in " ".join(out.split())
    assert not left(store)


@pytest.mark.slow
def test_the_committed_studies_tell_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from sitrepbench.config.combinations import committed_studies, study_configs

    assert "seeds" in committed_studies()
    configs = study_configs("seeds")
    assert [config.names["model"] for config in configs] == ["keyword_rules", "majority_background"]
    assert {config.study for config in configs} == {"seeds"}
    with pytest.raises(ConfigError, match="absent"):
        study_configs("absent")


def test_searches_that_nobody_goes_on_with_are_freed(told, store) -> None:
    from sitrepbench.store.results import ResultsStore

    folder = store.folder / "cache" / "searches"
    for key in ("a" * 16, "b" * 16):
        (folder / key).mkdir(parents=True)
        (folder / key / "0.log").write_text("{}\n")
    with ResultsStore(store.folder).claim("a" * 16):
        code, out, _ = told("gc", "--yes")
    assert code == 0
    assert "searches that were interrupted" in out
    assert [path.name for path in folder.iterdir()] == ["a" * 16]
