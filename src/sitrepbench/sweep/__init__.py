"""How runs are computed: executors."""

from sitrepbench.sweep.executors import SerialExecutor

__all__ = ["SerialExecutor"]
