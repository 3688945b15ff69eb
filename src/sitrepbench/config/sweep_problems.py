"""What is wrong with the jobs of a sweep: every distinct problem once, with its count."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

from sitrepbench.errors import ConfigError

#: How many values of one key are told that fail in the same way; each costs compositions.
TOLD_ALIKE = 3
#: How many problems are told; the others are counted.
TOLD = 20


class SweepProblems:
    """Gathers the problems of jobs.

    Parameters
    ----------
    explain : callable
        Makes a readable error of what Hydra raised for a list of overrides.
    """

    def __init__(self, explain: Callable[[Exception, Sequence[str]], ConfigError]) -> None:
        self._explain = explain
        self._failed = 0
        self._counts: Counter[str] = Counter()
        self._explained: dict[str, str] = {}
        self._alike: Counter[tuple[str, type]] = Counter()

    def add(self, error: Exception, overrides: Sequence[str]) -> None:
        """Count a job that failed."""
        self._failed += 1
        if isinstance(error, ConfigError):
            self._counts.update(dict.fromkeys(str(error).splitlines(), 1))
            return
        said = str(error)
        if said not in self._explained:
            self._explained[said] = str(self._explain(error, overrides))
        self._counts[self._explained[said]] += 1

    def is_told_enough(self, key: str, kind: type) -> bool:
        """Return whether this way of failing has had its examples; count one more otherwise."""
        if self._alike[key, kind] >= TOLD_ALIKE:
            return True
        self._alike[key, kind] += 1
        return False

    def add_alike(self, key: str) -> None:
        """Count a job that fails like others, with another value of ``key``."""
        self._failed += 1
        self._counts[f"{key}=...: likewise with other values"] += 1

    def raise_if_any(self, jobs: int) -> None:
        """Raise the `ConfigError` that tells it all, if a job failed."""
        if not self._failed:
            return
        if jobs == 1:
            raise ConfigError("\n".join(self._counts))
        told = [
            textwrap.indent(f"{message} ({count} of {jobs} combinations)", "  ")
            for message, count in self._counts.most_common(TOLD)
        ]
        if len(self._counts) > TOLD:
            told.append(f"  and {len(self._counts) - TOLD} more problems")
        raise ConfigError(
            f"{self._failed} of {jobs} combinations cannot be composed, so none was started:\n"
            + "\n".join(told)
        )
