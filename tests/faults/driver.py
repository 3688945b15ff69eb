"""A user's parent process: one sweep from a request, or a server that forks one for each.

``python driver.py REQUEST`` runs the sweep of a request, a JSON file, as any script would.
``python driver.py serve`` reads requests from stdin. It imports everything once, and its sweeps
fork where others start Python anew, so that a sweep starts in a tenth of a second.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra

from sitrepbench.config.compose import compose_with, hydra_session
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.errors import StoreError
from sitrepbench.sweep import worker
from sitrepbench.sweep.interruption import Terminated
from sitrepbench.sweep.jobs import Reply
from sitrepbench.sweep.planning import SweepRun
from sitrepbench.sweep.session import SweepSession

HERE = Path(__file__).resolve().parent
#: What the server has loaded and its sweeps' workers find there.
LOADED = (worker,)


@dataclass(frozen=True)
class Request:
    """What to run.

    Parameters
    ----------
    runs : tuple of tuple of str
        The overrides of each run.
    results : str
        The results store.
    outcome : str
        A file for the outcome, JSON.
    log : str
        A file for what is told meanwhile, and for stderr.
    """

    runs: tuple[tuple[str, ...], ...]
    results: str
    outcome: str
    log: str


class Printer:
    """A view that prints a line per event, at once."""

    def preparing(self, done: int, total: int) -> None:
        """Print nothing."""

    def planned(self, session: SweepSession, todo: Sequence[SweepRun]) -> None:
        """Print how many runs there are to do."""
        print(f"planned {len(todo)}", flush=True)

    def finished(self, run: SweepRun, reply: Reply | None = None) -> None:
        """Print what became of a run."""
        cause = run.failure.message if run.failure else ""
        print(f"finished {run.key} {run.state.value} {cause}", flush=True)

    def looked(self, session: SweepSession) -> None:
        """Print nothing."""

    def said(self, message: str) -> None:
        """Print a message."""
        print(f"said {message}", flush=True)


class Composer:
    """Composes runs, each list of overrides once."""

    def __init__(self, hydra: Hydra) -> None:
        self._hydra = hydra
        self._found: dict[tuple[str, ...], RunConfig] = {}

    def __call__(self, request: Request) -> list[RunConfig]:
        """Return the runs' configurations."""
        return [self._compose(overrides, request.results) for overrides in request.runs]

    def _compose(self, overrides: tuple[str, ...], results: str) -> RunConfig:
        if overrides not in self._found:
            self._found[overrides] = check_config(compose_with(self._hydra, overrides))
        found = self._found[overrides]
        return replace(found, tree={**found.tree, "results_dir": results})


def sweep(configs: Sequence[RunConfig], request: Request) -> int:
    """Run a sweep, write its outcome down and return the exit code, as the command line does."""
    session = SweepSession(Path(request.results), "adhoc", "sitrepbench run -m", Printer())
    try:
        with session:
            session.launch(configs)
    except KeyboardInterrupt:
        return 130
    except Terminated as order:
        return order.exit_code
    except StoreError as error:
        print(f"error {error}", flush=True)
        return error.exit_code
    content: dict[str, Any] = {
        "fatal": session.fatal.message if session.fatal else None,
        "runs": [
            {
                "key": run.key,
                "state": run.state.value,
                "command": run.command,
                "failure": vars(run.failure) if run.failure else None,
            }
            for run in session.runs
        ],
    }
    Path(request.outcome).write_text(json.dumps(content), encoding="utf-8")
    if session.interrupted:
        return 130
    if session.fatal is not None:
        return StoreError.exit_code
    return 0 if session.complete else 1


def read_request(content: dict[str, Any]) -> Request:
    """Return the request that a JSON object describes."""
    return Request(**{**content, "runs": tuple(map(tuple, content["runs"]))})


def serve(composer: Composer) -> None:
    """Fork a sweep for each line of stdin; ``[pid]`` asks for a sweep's exit code."""
    for line in sys.stdin:
        content = json.loads(line)
        if isinstance(content, list):
            ended, status = os.waitpid(content[0], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            request = read_request(content)
            configs = composer(request)
            answer = os.fork()
            if not answer:
                _be_sweep(configs, request)
        print(json.dumps(answer), flush=True)


def _be_sweep(configs: Sequence[RunConfig], request: Request) -> None:
    """Run a sweep in a forked process, which leads a process group as in a terminal."""
    os.setsid()
    code = 1
    try:
        log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, log, log)):
            os.dup2(source, target)
        _fork_instead_of_starting_python()
        code = sweep(configs, request)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)


def _fork_instead_of_starting_python() -> None:
    """Have multiprocessing's helpers be forks of this process, which has all imports."""
    from multiprocessing import util

    def fork(path: str, args: Sequence[Any], passed: Sequence[int]) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
                if int(name) > 2 and int(name) not in passed:
                    _close(int(name))
            exec(args[-1], {"__name__": "helper"})
        finally:
            os._exit(0)

    util.spawnv_passfds = fork  # type: ignore[attr-defined]


def _close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return  # the folder's own


def main(arguments: Sequence[str]) -> int:
    """Run the sweep of a request, or serve."""
    with hydra_session([HERE / "conf"]) as hydra:
        composer = Composer(hydra)
        if arguments[0] == "serve":
            serve(composer)
            return 0
        request = read_request(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
        return sweep(composer(request), request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
