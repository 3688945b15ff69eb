"""What makes training repeatable: threads, algorithms and random numbers. Needs torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def pinned(device: torch.device) -> Iterator[None]:
    """Pin what makes training repeatable, and leave the process as it was found."""
    cuda = [torch.cuda.current_device()] if device.type == "cuda" else []
    if cuda:
        # cuBLAS reads it when it is first used; without it, it is not repeatable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    strict = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    threads = torch.get_num_threads()
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_num_threads(_threads())
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warned)


def _threads() -> int:
    """Return on how many threads torch computes: sums on another number differ in last bits.

    Told by the environment as to any library with threads, or else all processors. Limits that
    a process sets for libraries it has loaded would hold for its second fit, not for its first.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
