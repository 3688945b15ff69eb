"""Peak memory is a run's own where the system can count anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sitrepbench import environment
from sitrepbench.environment import peak_memory_mb, reset_peak_memory


def can_reset() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return "VmHWM" in Path("/proc/self/status").read_text()


def test_the_peak_counts_anew(require: Callable[[bool, str], None]) -> None:
    require(can_reset(), "the peak resident set cannot be reset here")
    reset_peak_memory()
    before = peak_memory_mb()
    held = np.ones(200 * 2**17)  # 200 MiB
    peak = peak_memory_mb()
    assert peak > before + 150
    del held
    assert peak_memory_mb() > peak - 10  # the kernel's counters are not exact
    reset_peak_memory()
    assert peak_memory_mb() < peak - 150


def test_elsewhere_it_is_the_peak_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "_PEAK_RESET", tmp_path / "absent" / "clear_refs")
    monkeypatch.setattr(environment, "_STATUS", tmp_path / "status")
    reset_peak_memory()
    assert peak_memory_mb() > 10
    # A system that has the file, but not the line.
    (tmp_path / "status").write_text("Name:\tpython\n", encoding="utf-8")
    assert peak_memory_mb() > 10
