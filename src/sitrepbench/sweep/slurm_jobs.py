"""How an errand becomes a Slurm job: submitit's script and pickles, in a folder of the pool's own.

<folder>/<job>_submission.sh       what sbatch got
<folder>/<job>_submitted.pkl       the errand
<folder>/<job>_0_result.pkl        the answer, written beside and renamed
<folder>/<job>_0_log.out, .err     what the job printed
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.sweep.jobs import Errand, Reply
from sitrepbench.sweep.slurm_queue import SlurmCommandError, run_command, tail

ErrandFunction = Callable[[Errand], list[Reply]]

_ANSWER = "_0_result.pkl"
#: What is true of the nodes now, and no reason not to wait in the queue.
_FOR_NOW = ("not available", "busy")


def load_submitit() -> Any:
    """Return the module.

    Raises
    ------
    ConfigError
        When it is not installed.
    """
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        raise ConfigError(
            f"executor=slurm needs submitit ({error}); install it with: "
            "pip install 'sitrepbench[slurm]'"
        ) from error


class Submitter:
    """Submits errands from one folder, and reads what their jobs leave there.

    Parameters
    ----------
    folder : Path
        Absolute, and nobody else's: an errand may hold what is not for everybody.
    work : callable
        What a job does with an errand.
    python : str or None
        Command of shell that starts the interpreter; None for that of this process.
    parameters : mapping
        For submitit; ``job_name`` is the name by which people find the jobs in the queue.
    """

    def __init__(
        self,
        folder: Path,
        *,
        work: ErrandFunction,
        python: str | None,
        parameters: Mapping[str, Any],
    ) -> None:
        self.folder = folder
        self.name = str(parameters["job_name"])
        self._work = work
        self._submitit = load_submitit().SlurmExecutor(
            folder=folder, python=python or shlex.quote(sys.executable)
        )
        self._submitit.update_parameters(**parameters)
        self._submitit._make_submission_command = submission_command

    def open(self) -> str:
        """Make the folder and ask Slurm about such jobs; return what is against them just now.

        Raises
        ------
        ConfigError
            When Slurm would never take them, such as for a partition that does not exist.
        StoreError
            When the folder cannot be written.
        """
        script = self.folder / "test.sh"
        text = self._submitit._make_submission_file_text(self._submitit._submitit_command_str, "")
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            script.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{self.folder}: {error.strerror}") from error
        try:
            run_command(submission_command(script, "--test-only"))
        except SlurmCommandError as error:
            if not any(word in str(error) for word in _FOR_NOW):
                raise refusal(str(error)) from error
            return str(error)
        finally:
            script.unlink()
        return ""

    def submit(self, errand: Errand) -> str:
        """Submit an errand and return the job's number.

        Raises
        ------
        SlurmCommandError
            When sbatch fails; the text is what it said.
        StoreError
            When the folder cannot be written.
        """
        try:
            return str(self._submitit.submit(run_in_job, self._work, errand).job_id)
        except OSError as error:
            raise StoreError(f"{self.folder}: {error.strerror or error}") from error
        except RuntimeError as error:  # submitit's own are of this kind
            raise SlurmCommandError(str(error).strip()) from error

    def answered(self) -> set[str]:
        """Return the jobs that left an answer.

        The folder is listed, not its files looked up one by one: a shared file system would say
        for a while that a file is absent because it was absent before.
        """
        try:
            names = [file.name for file in self.folder.iterdir()]
        except OSError:
            return set()
        return {name.removesuffix(_ANSWER) for name in names if name.endswith(_ANSWER)}

    def read(self, job_id: str) -> list[Reply] | str:
        """Return a job's answer, or the traceback with which it ended.

        Raises
        ------
        Exception
            Of any kind, when the file is cut short or of another version.
        """
        with (self.folder / f"{job_id}{_ANSWER}").open("rb") as file:
            outcome, value = pickle.load(file)
        return value if outcome == "success" else str(value)

    def log_tail(self, job_id: str) -> str:
        """Return the last lines of what a job wrote to its standard error, with the file's name."""
        log = self.folder / f"{job_id}_0_log.err"
        said = tail(log)
        return f"\nThe end of {log}:\n{said}" if said else ""

    def clear(self, job_id: str) -> None:
        """Remove all files of a job that answered."""
        for file in (f"{job_id}_submission.sh", f"{job_id}_submitted.pkl", f"{job_id}{_ANSWER}"):
            self._remove(self.folder / file)
        for log in ("out", "err"):
            self._remove(self.folder / f"{job_id}_0_log.{log}")

    def close(self) -> None:
        """Remove all but the logs of jobs that did not answer, and the folder if it is empty."""
        with contextlib.suppress(OSError):
            for file in self.folder.iterdir():
                if not file.name.endswith((".out", ".err")):
                    self._remove(file)
            self.folder.rmdir()

    def _remove(self, file: Path) -> None:
        with contextlib.suppress(OSError):
            file.unlink()


def refusal(said: str) -> ConfigError:
    """Return the error that reports sbatch's words."""
    return ConfigError(
        f"Slurm refuses jobs with these settings: {said}\n"
        "See executor.partition, account, time, cpus, memory_gb and additional; `sinfo` lists the "
        "partitions."
    )


def submission_command(script: Path, *extra: str) -> list[str]:
    """Return the command that submits a script.

    In an allocation, which a sweep may be started from, the variables that describe it are taken
    away: a job that inherits both its memory per node and another's per processor does not start.
    """
    inherited = []
    if "SLURM_JOB_ID" in os.environ:
        inherited = [
            name
            for name in os.environ
            if name.startswith("SLURM_") and not name.startswith("SLURM_CONF")
        ]
    prefix = ["env", *(f"--unset={name}" for name in inherited)] if inherited else []
    return [*prefix, "sbatch", *extra, str(script)]


def run_in_job(work: ErrandFunction, errand: Errand) -> list[Reply]:
    """Do an errand in a Slurm job, which ends when Slurm tells it to.

    submitit ignores SIGTERM, so that a cancelled job would go on until it is killed; and what it
    raises shortly before the end of the job's time would be taken for an error of the run.
    """
    for number in (signal.SIGTERM, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)
    warning = os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")
    signal.signal(signal.Signals[f"SIG{warning}"], signal.SIG_IGN)
    return work(errand)
