"""Opens and closes what Dask needs: a cluster of this machine's processes, or a connection."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from sitrepbench.errors import ConfigError
from sitrepbench.sweep.dask_worker import (
    dask_setup,
    describe_worker,
    installation_problem,
    thread_problems,
    worker_command,
)
from sitrepbench.sweep.executors import THREAD_VARIABLES

#: How long a scheduler and its workers may take to say what they have installed.
ASK_SECONDS = 60.0
#: How often it is looked whether workers have come.
LOOK_SECONDS = 0.2

#: For a cluster of our own. A fit in compiled code may keep a worker silent for long, so silence
#: is no death; what goes into the workers' environment is said below.
_CLUSTER_CONFIG: dict[str, Any] = {
    "distributed.scheduler.worker-ttl": None,
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.nanny.pre-spawn-environ": {},
}
#: Whose messages go to a file.
_LOGGERS = frozenset({"distributed", "tornado"})


def load_distributed() -> Any:
    """Return the module ``distributed``, which is an extra's."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ConfigError(
            f"executor=dask needs Dask ({error}): pip install 'sitrepbench[dask]'"
        ) from error


@contextlib.contextmanager
def own_cluster(workers: int, *, scratch: Path, blas_threads: int, log: Path) -> Iterator[Any]:
    """Start a scheduler in this process and worker processes, reachable from this machine alone.

    Parameters
    ----------
    workers : int
        Processes, of one thread each.
    scratch : Path
        A folder for what the workers write, which is deleted at the end.
    blas_threads : int
        Threads of the linear algebra libraries in each.
    log : Path
        Where Dask's messages go, for the error's text.

    Raises
    ------
    ConfigError
        When it does not start.
    """
    distributed = load_distributed()
    limits = dict.fromkeys(THREAD_VARIABLES, str(blas_threads))
    with _environment(limits), importlib.import_module("dask").config.set(_CLUSTER_CONFIG):
        try:
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                silence_logs=logging.CRITICAL,
                # Dask would pause a worker that keeps features, and then nothing moves.
                memory_limit=0,
                local_directory=str(scratch),
                preload=[dask_setup.__module__],
                scheduler_kwargs={
                    "allowed_failures": 0,
                    # Dask listens for a dashboard in any case, by default at a fixed port.
                    "dashboard": False,
                    "dashboard_address": "127.0.0.1:0",
                },
            )
        except Exception as error:
            raise ConfigError(
                f"a Dask cluster of {workers} process(es) cannot be started on this machine: "
                f"{error}. See {log}, or use executor=local"
            ) from error
        try:
            yield cluster
        finally:
            with contextlib.suppress(Exception):
                cluster.close()
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def connection(target: Any, seconds: float) -> Iterator[Any]:
    """Connect to a cluster or to a scheduler's address.

    Raises
    ------
    ConfigError
        When no scheduler answers there within so many seconds.
    """
    distributed = load_distributed()
    try:
        if isinstance(target, str):
            # A client that could not connect would say so once more when it is thrown away. The
            # thread is for callers with an event loop of their own.
            with ThreadPoolExecutor(1) as threads:
                threads.submit(asyncio.run, _knock(distributed, target, seconds)).result()
        client = distributed.Client(
            target, timeout=seconds, set_as_default=False, name="sitrepbench"
        )
    except Exception as error:  # any: what answers may speak another protocol
        known = isinstance(error, (OSError, ValueError)) and str(error)
        why = known or f"nothing that speaks Dask's protocol within {seconds:g} s"
        raise ConfigError(
            f"executor.address={target}: no Dask scheduler answers there ({why}). "
            "`dask scheduler` starts one and prints its address"
        ) from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=seconds)


async def _knock(distributed: Any, address: str, seconds: float) -> None:
    arguments = distributed.Security().get_connection_args("client")
    async with distributed.rpc(address, timeout=seconds, connection_args=arguments) as server:
        identity = await asyncio.wait_for(server.identity(), seconds)
    if identity["type"] != "Scheduler":
        raise OSError(f"a {identity['type']} of Dask does")


def await_workers(
    client: Any, wanted: int, *, address: str | None, seconds: float
) -> dict[str, Mapping[str, Any]]:
    """Return the workers that there are, by address, when they are enough or the time is up.

    Raises
    ------
    ConfigError
        When there is none.
    OSError
        When the scheduler does not answer.
    """
    deadline = time.monotonic() + seconds
    said = False
    while True:
        identity = client.sync(client.scheduler.identity, callback_timeout=ASK_SECONDS)
        workers: dict[str, Mapping[str, Any]] = identity["workers"]
        if len(workers) >= wanted or (workers and time.monotonic() >= deadline):
            return workers
        if time.monotonic() >= deadline:
            raise ConfigError(
                f"executor.address={address}: the scheduler has no worker. Start some with\n"
                f"  {worker_command(address)}"
            )
        if not said:
            print(
                f"Waiting up to {seconds:g} s for Dask workers {place(address)}: "
                f"{len(workers)} of {wanted} there.",
                file=sys.stderr,
            )
            said = True
        time.sleep(LOOK_SECONDS)


def check_workers(
    client: Any, workers: Mapping[str, Mapping[str, Any]], address: str, folder: Path
) -> None:
    """Check that somebody else's scheduler and workers suit.

    Raises
    ------
    ConfigError
        With all that do not: several threads, another version or none, or other files.
    OSError
        When the scheduler does not answer.
    """
    problems = thread_problems(workers, address)
    if not problems:
        probe = folder / f".seen-{uuid.uuid4().hex}"
        probe.touch()
        try:
            said = client.sync(
                _ask_all, client, sorted(workers), probe, callback_timeout=ASK_SECONDS
            )
        finally:
            probe.unlink(missing_ok=True)
        ours = describe_worker(str(folder))
        problems = [
            problem
            for who, answer in said.items()
            if (problem := installation_problem(who, answer, ours)) is not None
        ]
    if problems:
        raise ConfigError("\n".join(problems))


async def _ask_all(client: Any, addresses: list[str], probe: Path) -> dict[str, Any]:
    told = await client.run(describe_worker, str(probe), workers=addresses, on_error="return")
    said = {f"the Dask worker {address}": told.get(address) for address in addresses}
    try:
        scheduler = await client.run_on_scheduler(describe_worker, str(probe))
    except Exception as error:
        scheduler = error
    return {f"the Dask scheduler {place(client.scheduler.address)}": scheduler, **said}


def place(address: str | None) -> str:
    """Return where workers are, in a few words."""
    return "on this machine" if address is None else f"at {address}"


def kill_workers(cluster: Any) -> None:
    """Kill the worker processes of a cluster of ours; none is started in their place."""
    for nanny in list(cluster.workers.values()):
        process = nanny.pid
        nanny.loop.add_callback(nanny.close_gracefully)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set what worker processes inherit, for importing Dask loads numpy and its threads.

    Whenever a worker dies a new one is started, so this holds until the cluster is closed. What
    Dask sets itself is taken back, too.
    """
    names = [*variables, "PYTHONHASHSEED", "__DASK_PARENT_PID"]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def messages_to(file: Path) -> Iterator[None]:
    """Send what Dask logs to a file: a worker that dies would fill the screen."""
    load_distributed()  # its loggers get their handlers then
    loggers = [
        logger
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in _LOGGERS
    ]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    target = logging.FileHandler(file, encoding="utf-8", delay=True)
    target.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    # Dask silences every handler that is a stream's, this file's too.
    handler = MemoryHandler(1, target=target)
    for logger in loggers:
        top = "." not in logger.name
        logger.handlers, logger.propagate = ([handler] if top else []), not top
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
        handler.close()
        target.close()
