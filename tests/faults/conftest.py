"""Sweeps in processes of their own, and what must hold of a results store after any fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest

from sitrepbench.labels import LABELS
from sitrepbench.store.results import PARTIAL_FOLDER, ResultsStore
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import ledgers

HERE = Path(__file__).resolve().parent
FOLDS = 2
WAIT = 120.0


def wait_for(look: Callable[[], Any], seconds: float = WAIT) -> Any:
    """Return what ``look`` gives as soon as that is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing in {seconds:g} s"
        time.sleep(0.01)
    return found


def lives(process: psutil.Process) -> bool:
    """Return whether a process runs; one that nobody has fetched does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Server:
    """The process that sweeps are forked from."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "driver.py"), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, question: Any) -> Any:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(WAIT)


class RunningSweep:
    """A sweep in a process of its own."""

    def __init__(self, server: Server, request: dict[str, Any]) -> None:
        self._server = server
        self._request = request
        self._code: int | None = None
        # The server composes the runs before it forks.
        self.pid: int = server.ask(request)
        self.started = time.monotonic()
        self.process = psutil.Process(self.pid)

    @property
    def log(self) -> str:
        """What it has told so far."""
        file = Path(self._request["log"])
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @cached_property
    def outcome(self) -> dict[str, Any]:
        """What became of its runs."""
        content: dict[str, Any] = json.loads(
            Path(self._request["outcome"]).read_text(encoding="utf-8")
        )
        return content

    def states(self) -> list[str]:
        """Return the states of its runs, in order."""
        return [run["state"] for run in self.outcome["runs"]]

    def ended(self) -> bool:
        """Return whether it has ended."""
        if self._code is None:
            self._code = self._server.ask([self.pid])
        return self._code is not None

    def wait(self) -> int:
        """Wait for its end, and return its exit code; negative for a signal."""
        wait_for(self.ended)
        assert self._code is not None
        return self._code

    def family(self) -> list[psutil.Process]:
        """Return all processes below it."""
        try:
            return self.process.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[psutil.Process]:
        """Return its workers: children of the server of forks, which is its child."""
        found = []
        for helper in self.process.children() if lives(self.process) else []:
            try:
                found += helper.children()
            except psutil.NoSuchProcess:
                continue
        return found

    def end(self) -> None:
        """Kill it with all that belongs to it."""
        if not self.ended():
            for process in [self.process, *self.family()]:
                kill(process)
            self.wait()


def kill(process: psutil.Process, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


@dataclass
class Ground:
    """Where a test's sweeps run: a table, a results store, and the server that starts them."""

    server: Server
    folder: Path
    table: Path
    results: Path
    sweeps: list[RunningSweep]

    @property
    def fits(self) -> Path:
        """The file to which models add a line per fit."""
        return self.folder / "fits.log"

    @property
    def gate(self) -> Path:
        """The file for which models wait."""
        return self.folder / "gate"

    def common(self, executor: str = "local", workers: int = 2) -> list[str]:
        """Return overrides that all runs share."""
        given = [f"dataset.path={self.table}", f"protocol.n_folds={FOLDS}", "tracking=none"]
        given.append(f"executor={executor}")
        return [*given, *([f"executor.workers={workers}"] if executor == "local" else [])]

    def behaving(self, alpha: float, *overrides: str) -> list[str]:
        """Return overrides of a run whose model writes down its fits."""
        own = ["model=behaving", "features=word", f"model.alpha={alpha}", f"model.log={self.fits}"]
        return [*own, *overrides]

    def request(self, runs: Sequence[Sequence[str]], *common: str) -> dict[str, Any]:
        """Return the request of a sweep."""
        number = len(list(self.folder.glob("request*")))
        (self.folder / f"request{number}").touch()
        return {
            "runs": [[*run, *common] for run in runs],
            "results": str(self.results),
            "outcome": str(self.folder / f"outcome{number}.json"),
            "log": str(self.folder / f"log{number}"),
        }

    def start(self, runs: Sequence[Sequence[str]], *common: str) -> RunningSweep:
        """Start a sweep of runs, each with the common overrides; by default `common()`."""
        request = self.request(runs, *(common or self.common()))
        self.sweeps.append(RunningSweep(self.server, request))
        return self.sweeps[-1]

    def fitted(self) -> Counter[str]:
        """Return how often the model of each alpha was fitted."""
        if not self.fits.exists():
            return Counter()
        return Counter(line.split()[0] for line in self.fits.read_text().splitlines())

    def records(self) -> dict[str, tuple[int, int]]:
        """Return of each finished run the folder's number on the disk, and when it was written."""
        store = ResultsStore(self.results)
        found = {}
        for key in store.finished():
            record = store.find(key)
            assert record is not None, f"the record of {key} is damaged"
            written = (record.folder / "record.json").stat().st_mtime_ns
            found[key] = (record.folder.stat().st_ino, written)
        return found

    def check_each_is_there_once(self, keys: Sequence[str]) -> None:
        """Check that the store has all of these runs, whole, nothing else and nothing half."""
        assert sorted(folder.name for folder in (self.results / "runs").iterdir()) == sorted(keys)
        assert set(self.records()) == set(keys)
        assert not (self.results / "damaged").exists()
        assert list((self.results / PARTIAL_FOLDER).iterdir()) == []
        (ledger,) = ledgers(self.results)
        status = ledger.status()
        assert status.state == "done"
        assert set(status.states) == set(keys)
        assert status.count(State.done, State.cached) == len(keys)
        assert {row.key for row in ResultsStore(self.results).rows()} == set(keys)


@pytest.fixture(name="wait_for", scope="session")
def _wait_for() -> Callable[..., Any]:
    return wait_for


@pytest.fixture(name="lives", scope="session")
def _lives() -> Callable[[psutil.Process], bool]:
    return lives


@pytest.fixture(scope="session")
def _environment() -> dict[str, str]:
    # Where libraries had threads, forking would not be safe.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **threads, "PYTHONPATH": path}


@pytest.fixture(scope="session")
def server(_environment: dict[str, str]) -> Iterator[Server]:
    """One server for all tests."""
    opened = Server(_environment)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 documents with a sentence per label."""
    words = ("killed wounded", "denied baseless", "talks truce", "fled camp", "army hill")
    lines = ["doc_id,text,label"]
    for document in range(25):
        for number, (label, said) in enumerate(zip(LABELS, words, strict=True)):
            noise = (document * 37 + number * 11) % 89
            lines.append(f"d{document},{said} {document} {noise} in the town,{label}")
    file = tmp_path_factory.mktemp("table") / "mine.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def ground(server: Server, table: Path, tmp_path: Path) -> Iterator[Ground]:
    """An empty results store, and no process left at the end."""
    made = Ground(server, tmp_path, table, tmp_path / "results", [])
    yield made
    for sweep in made.sweeps:
        sweep.end()
