"""The command lines that people are told: to repeat one run, or to go on with a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_RESUME = "resume="
#: What only a sweep obeys, so that a run that needs it is repeated as a sweep of one.
_SWEEPS_ONLY = "executor.time_limit="


def repeat_command(overrides: Sequence[str]) -> str:
    """Return the command that runs one combination by itself.

    >>> repeat_command(["model=linear_svm", "resume=failed"])
    'sitrepbench run model=linear_svm'
    """
    words = _without_resume(overrides)
    alone = ["-m"] if any(word.startswith(_SWEEPS_ONLY) for word in words) else []
    return shlex.join(["sitrepbench", "run", *alone, *words])


def go_on_command(command: str, *, failed_only: bool = False) -> str:
    """Return the command that goes on with a sweep: what is missing, or only what failed.

    >>> go_on_command("sitrepbench run -m model=a,b resume=never")
    'sitrepbench run -m model=a,b'
    >>> go_on_command("sitrepbench run -m model=a,b", failed_only=True)
    'sitrepbench run -m model=a,b resume=failed'
    """
    words = _without_resume(shlex.split(command))
    return shlex.join([*words, f"{_RESUME}failed"] if failed_only else words)


def _without_resume(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.lstrip("+").startswith(_RESUME)]
