"""What Slurm says of jobs, by commands that work without its accounting: never ``sacct``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sitrepbench.errors import ConfigError

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol")
#: States of jobs that are over, unless they are requeued and wait again.
ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
_COMMAND_SECONDS = 120.0
_TAIL_LINES = 15
_TAIL_BYTES = 16_384
#: What squeue says when it is asked for one job alone that it has forgotten.
_UNKNOWN_JOB = "Invalid job id specified"
#: Slurm's own settings for these commands that change what they print or whom they mean.
_CHANGES_ANSWERS = ("SQUEUE_", "SCANCEL_")


class SlurmCommandError(Exception):
    """A command of Slurm's that failed; its text is what the command said."""


@dataclass(frozen=True)
class Queued:
    """A job as ``squeue`` shows it: ``state`` such as RUNNING, ``reason`` such as Resources."""

    state: str
    reason: str = ""


def check_commands() -> None:
    """Raise unless Slurm's commands are on the path.

    Raises
    ------
    ConfigError
        When one is missing.
    """
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        raise ConfigError(
            f"executor=slurm: not found on the PATH: {', '.join(missing)}. Start the sweep on a "
            "host of the cluster that jobs are submitted from, or use executor=local."
        )


def ask_queue(ids: Iterable[str]) -> dict[str, Queued]:
    """Return those of the jobs that Slurm still knows, by one call.

    Ended jobs are among them for some minutes, with their last state.

    Raises
    ------
    SlurmCommandError
        When the controller does not answer.
    """
    wanted = ",".join(sorted(ids))
    if not wanted:
        return {}
    command = ["squeue", "--noheader", "--states=all", f"--jobs={wanted}", "--format=%i|%T|%r"]
    try:
        answer = run_command(command)
    except SlurmCommandError as error:
        if _UNKNOWN_JOB in str(error):
            return {}
        raise
    rows = (line.strip().split("|", 2) for line in answer.splitlines() if line.count("|") >= 2)
    return {row[0]: Queued(row[1], row[2]) for row in rows}


def jobs_submitted_from(folder: Path) -> list[str]:
    """Return this user's waiting and running jobs whose batch script lies in the folder.

    Raises
    ------
    SlurmCommandError
        When the controller does not answer.
    """
    command = ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%T|%o"]
    rows = [line.strip().split("|", 2) for line in run_command(command).splitlines()]
    # A completing job is over; a node may take its time to clean up after it.
    return [
        row[0]
        for row in rows
        if len(row) == 3 and row[1] != "COMPLETING" and row[2].startswith(f"{folder}/")
    ]


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs; those that have ended already are no error.

    Raises
    ------
    SlurmCommandError
        When the controller does not answer.
    """
    if ids:
        run_command(["scancel", "--quiet", *ids])


def say_what_became_of(job_id: str, *, minutes: int) -> str:
    """Return how a job ended, such as ``was killed by signal 9``, if Slurm remembers it."""
    try:
        said = run_command(["scontrol", "show", "job", "--oneliner", job_id])
    except SlurmCommandError:
        return "is no longer in the queue"
    state = _field(said, "JobState")
    if state == "CANCELLED":
        return "was cancelled (scancel)"
    if state == "TIMEOUT":
        return f"ran out of its time of {minutes} min; more is given by executor.time"
    if state == "OUT_OF_MEMORY":
        return "ran out of memory; more is given by executor.memory_gb"
    if state == "PREEMPTED":
        return "was preempted for another job, and not requeued"
    if state == "COMPLETED":
        return "ended without leaving an answer: do its nodes see the results folder?"
    if state != "FAILED":
        return f"ended as {state} ({_field(said, 'Reason')})"
    return _say_exit(_field(said, "ExitCode"))


def tail(file: Path) -> str:
    """Return the last lines of a log, empty if there is none."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - _TAIL_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])


def run_command(command: Sequence[str]) -> str:
    """Return what a command prints.

    Raises
    ------
    SlurmCommandError
        When it fails; the text is what it said.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_CHANGES_ANSWERS)
    }
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_SECONDS,
            env=environment,
            # Ctrl-C in the terminal is for the parent alone.
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise SlurmCommandError(f"{command[0]}: no answer in {_COMMAND_SECONDS:g} s") from None
    except OSError as error:
        raise SlurmCommandError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).removeprefix(f"{command[0]}: ")
        raise SlurmCommandError(f"{command[0]}: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _say_exit(code: str) -> str:
    """Say what Slurm's ``<exit code>:<signal>`` means.

    >>> _say_exit("137:0")
    'was killed by signal 9 (SIGKILL)'
    >>> _say_exit("0:15")
    'was killed by signal 15 (SIGTERM)'
    >>> _say_exit("1:0")
    'ended with exit code 1'
    """
    left, _, right = code.partition(":")
    if not (left.isdecimal() and right.isdecimal()):
        return "failed"
    # A shell tells a signal of its command by 128 + its number.
    number = int(right) or (int(left) - 128 if int(left) > 128 else 0)
    if not number:
        return f"ended with exit code {left}"
    try:
        return f"was killed by signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"ended with exit code {left}"


def _field(text: str, name: str) -> str:
    found = re.search(rf"(?:^|\s){name}=(\S*)", text)
    return found.group(1) if found else ""
