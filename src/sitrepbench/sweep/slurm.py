"""Slurm jobs: submitted with submitit, watched by what they leave and by ``squeue``.

submitit's own way to learn that a job is gone asks ``sacct`` and waits for ever where a cluster
has no accounting, so nothing of it is used after a submission but the names of its files.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sitrepbench.errors import ConfigError
from sitrepbench.sweep.executors import THREAD_VARIABLES, Limits
from sitrepbench.sweep.ledger import SWEEPS_FOLDER
from sitrepbench.sweep.slurm_jobs import ErrandFunction, Submitter, load_submitit
from sitrepbench.sweep.slurm_pool import Patience, SlurmPool
from sitrepbench.sweep.slurm_queue import check_commands

#: What the program sets itself, and by which setting of its own.
_OWN_FLAGS = {
    "account": "executor.account",
    "array": "",
    "cpus-per-task": "executor.cpus",
    "error": "",
    "job-name": "",
    "mem": "executor.memory_gb",
    "nodes": "",
    "ntasks": "",
    "ntasks-per-node": "",
    "open-mode": "",
    "output": "",
    "partition": "executor.partition",
    "signal": "",
    "time": "executor.time",
    "wait": "",
}


@dataclass(frozen=True)
class SlurmExecutor(Limits):
    """Compute in Slurm jobs of one task each.

    The results folder must be one that the nodes share with this host, under the same path.

    Parameters
    ----------
    jobs : int
        How many Slurm jobs there are at once.
    runs_per_job : int
        How many runs a job computes at most, one after the other.
    time : int
        A job's time, minutes.
    partition, account : str or None
        As sbatch takes them; None for the cluster's default.
    cpus : int
        Processors of a job.
    memory_gb : float or None
        Memory of a job, GiB; None for the cluster's default.
    setup : sequence of str
        Lines of shell that run in the job before python, such as ``module load gcc``.
    python : str or None
        Command of shell that starts python on the nodes; None for the interpreter of this process.
    additional : mapping
        More of sbatch's options by their long names, such as ``{"qos": "long"}``.
    poll : float
        Seconds between two looks for answers. ``squeue`` is asked at every fifth.
    grace : float
        Seconds for which the answer of a job that Slurm calls ended may still be on its way
        through the shared folder.
    patience : float
        Seconds for which Slurm may be silent, or refuse a job like one that it took before,
        until the sweep gives up.
    blas_threads, time_limit, retries, reuse_mb
        As in `Limits`; ``time_limit`` is for one run, in seconds.
    """

    jobs: int = 4
    runs_per_job: int = 8
    time: int = 60
    partition: str | None = None
    account: str | None = None
    cpus: int = 1
    memory_gb: float | None = None
    setup: Sequence[str] = ()
    python: str | None = None
    additional: Mapping[str, Any] = field(default_factory=dict)
    poll: float = 2.0
    grace: float = 20.0
    patience: float = 600.0

    def __post_init__(self) -> None:
        problems = [
            f"executor.{name}={value}: a whole number of at least 1 is expected"
            for name in ("jobs", "runs_per_job", "time", "cpus")
            if not isinstance(value := getattr(self, name), int) or value < 1
        ]
        problems += [
            f"executor.{name}={value}: a number over 0 is expected"
            for name in ("memory_gb", "poll", "grace", "patience")
            if (value := getattr(self, name)) is not None and not value > 0
        ]
        if isinstance(self.setup, str):
            problems.append(f"executor.setup={self.setup!r}: a list of lines is expected")
        problems += [_flag_problem(name, value) for name, value in self.additional.items()]
        problems = [problem for problem in problems if problem]
        if not problems and self.blas_threads > self.cpus:
            problems.append(
                f"executor.blas_threads={self.blas_threads}: a job has executor.cpus={self.cpus}"
            )
        if problems:
            raise ConfigError("\n".join(problems))
        super().__post_init__()

    @property
    def elsewhere(self) -> bool:
        """Yes: whoever names a cluster means it."""
        return True

    @property
    def slots(self) -> int:
        """The number of jobs at once."""
        return self.jobs

    @property
    def where(self) -> str:
        """Such as ``in 4 Slurm jobs at once``."""
        return (
            "in one Slurm job after the other"
            if self.jobs == 1
            else f"in {self.jobs} Slurm jobs at once"
        )

    def pool(self, folder: Path, *, work: ErrandFunction | None = None) -> SlurmPool:
        """Return a pool that keeps scripts, logs and answers in a folder of its own in ``folder``.

        Parameters
        ----------
        folder : Path
            In a place that the nodes share with this host.
        work : callable
            What a job does with an errand; `run_errand` if not given.

        Raises
        ------
        ConfigError
            When submitit or Slurm's commands are missing.
        """
        load_submitit()
        check_commands()
        if work is None:
            from sitrepbench.sweep.worker import run_errand

            work = run_errand
        own = folder.absolute() / f"slurm-{uuid.uuid4().hex[:8]}"
        submitter = Submitter(
            own, work=work, python=self.python, parameters=self._parameters(job_name(own))
        )
        return SlurmPool(
            submitter,
            slots=self.jobs,
            errand_jobs=self.runs_per_job,
            minutes=self.time,
            patience=Patience(self.poll, self.grace, self.patience),
        )

    def _parameters(self, name: str) -> dict[str, Any]:
        threads = [f"export {variable}={self.blas_threads}" for variable in THREAD_VARIABLES]
        return {
            "job_name": name,
            "time": self.time,
            "partition": self.partition,
            "account": self.account,
            "cpus_per_task": self.cpus,
            "mem": None if self.memory_gb is None else f"{round(self.memory_gb * 1024)}M",
            "setup": [*self.setup, *threads],
            # srun does not take this over from sbatch since Slurm 22.05.
            "srun_args": [f"--cpus-per-task={self.cpus}"],
            "additional_parameters": dict(self.additional),
        }


def job_name(folder: Path) -> str:
    """Return the name by which people find the jobs of a sweep in the queue.

    >>> job_name(Path("/data/results/sweeps/0f3a9c51d2e4/attempts/1/slurm-7f"))
    'sitrepbench-0f3a9c51d2e4'
    """
    parts = folder.parts
    sweep = parts.index(SWEEPS_FOLDER) + 1 if SWEEPS_FOLDER in parts[:-1] else len(parts) - 1
    return f"sitrepbench-{parts[sweep]}"


def _flag_problem(name: str, value: Any) -> str:
    flag = name.replace("_", "-")
    if flag in _OWN_FLAGS:
        instead = _OWN_FLAGS[flag]
        hint = f"use {instead}" if instead else "the program sets it itself"
        return f"executor.additional.{name}: {hint}"
    if value is None or value is False or isinstance(value, (Mapping, list, tuple)):
        return f"executor.additional.{name}={value}: true, a number or a text is expected"
    return ""
