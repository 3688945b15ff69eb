"""Sweeps: jobs, their ledger, and the executors that compute them."""

from sitrepbench.sweep.dask import DaskExecutor
from sitrepbench.sweep.executors import SerialExecutor
from sitrepbench.sweep.local import LocalExecutor
from sitrepbench.sweep.slurm import SlurmExecutor

__all__ = ["DaskExecutor", "LocalExecutor", "SerialExecutor", "SlurmExecutor"]
