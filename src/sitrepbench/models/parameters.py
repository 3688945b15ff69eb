"""What is found about a model, and the part of its contract that needs no data: parameters."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sklearn.base import clone
from sklearn.pipeline import Pipeline


@dataclass(frozen=True)
class Finding:
    """One thing about a model that breaks the contract, or that a reader should know.

    Parameters
    ----------
    check : str
        The check's name.
    severity : {"error", "note"}
        ``error`` where the contract is broken.
    found, expected, advice : str
        What is the case, what should be, and what to do.
    """

    check: str
    severity: Literal["error", "note"]
    found: str
    expected: str
    advice: str

    def __str__(self) -> str:
        return f"{self.check}: {self.found}. Expected: {self.expected}. {self.advice}"


def check_parameters(model: Any) -> Iterator[Finding]:
    """Yield what is wrong with an estimator's parameters: whether it clones, gets and sets them."""
    try:
        copied = clone(model)
    except (Exception, SystemExit) as error:
        yield Finding(
            "clones",
            "error",
            f"sklearn.base.clone fails: {type(error).__name__}: {error}",
            "a new, unfitted model with the same parameters",
            "Let the class inherit from sklearn.base.BaseEstimator, and let __init__ store every "
            "argument as it is, under its own name, and do nothing else.",
        )
        return
    before = arguments(model)
    copied.set_params(**copied.get_params(deep=False))
    after = arguments(copied)
    changed = sorted(name for name in before if before[name] != after.get(name))
    if changed:
        yield Finding(
            "parameters",
            "error",
            f"a clone whose parameters are set to what they were differs in {', '.join(changed)}",
            "get_params, set_params and clone leave parameters as they are",
            "Store arguments unchanged in __init__; convert and check them in fit.",
        )


def arguments(model: Any) -> dict[str, Any]:
    """Return snapshots of a model's arguments; none of a `Pipeline`, which fits its steps."""
    if isinstance(model, Pipeline):
        return {}
    return {name: _snapshot(value) for name, value in model.get_params(deep=False).items()}


def _snapshot(value: Any) -> Any:
    """Return what tells whether an argument has changed, fitted in place included."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        return (
            type(value),
            sorted(name for name in vars(value) if name.endswith("_")),
            {name: _snapshot(inner) for name, inner in value.get_params(deep=False).items()},
        )
    if isinstance(value, list | tuple):
        return (type(value), [_snapshot(item) for item in value])
    if isinstance(value, dict):
        return {key: _snapshot(item) for key, item in value.items()}
    try:
        return pickle.dumps(value)
    except Exception:  # a user's argument may be anything
        return repr(value)
