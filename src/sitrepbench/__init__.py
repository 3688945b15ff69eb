"""SitRepBench: what does a sentence of conflict reporting tell us?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sitrepbench.api import Result as Result
    from sitrepbench.api import run as run

#: What is imported when it is first asked for, so that ``import sitrepbench`` stays light.
_LAZY = ("Result", "run")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from sitrepbench import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
