"""The exceptions of the program, each with its own exit code, and spelling suggestions.

Exit codes: 0 all that was asked for is done; 1 some of it failed; 2 wrong usage of the command
line; 3 to 9 as below; 130 interrupted. They are part of the interface and do not change.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SitrepBenchError(Exception):
    """Base of every error that the program raises on purpose; its text is meant to be read."""

    exit_code = 1


class ConfigError(SitrepBenchError):
    """A configuration that cannot be composed, or asks for something that does not exist."""

    exit_code = 3


class DataError(SitrepBenchError):
    """A dataset or card that is missing, damaged or breaks the rules."""

    exit_code = 4


class ProtocolError(SitrepBenchError):
    """A dataset that cannot be split or scored the way the protocol asks."""

    exit_code = 5


class LockedSplitError(ProtocolError):
    """A test split that was asked for without a reason."""

    exit_code = 6


class ModelError(SitrepBenchError):
    """Features or a model that fail to fit or predict, or break the contract."""

    exit_code = 7


class StoreError(SitrepBenchError):
    """A results store that cannot be read or written."""

    exit_code = 8


class TrackingError(SitrepBenchError):
    """MLflow, its server or its database refuses; the results store is not touched by it."""

    exit_code = 9


class Terminated(BaseException):
    """An order to end came in; not an `Exception`, so that nothing takes it for a failure."""

    def __init__(self, name: str, exit_code: int) -> None:
        super().__init__(name)
        self.exit_code = exit_code


def closest(word: str, options: Iterable[str]) -> str | None:
    """Return the option most like ``word``, or None if nothing is close.

    >>> closest("denail", ["denial", "background"])
    'denial'
    >>> closest("c", ["C", "max_iter"])
    'C'
    """
    by_folded: dict[str, str] = {}
    for option in options:
        by_folded.setdefault(option.casefold(), option)
    folded = word.casefold()
    if folded in by_folded:
        return by_folded[folded]
    match = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if match:
        return by_folded[match[0]]
    parts = [name for name in by_folded if folded and (folded in name or name in folded)]
    return by_folded[min(parts, key=len)] if parts else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"``, or an empty string if nothing is close."""
    match = closest(word, options)
    return f" Did you mean {match!r}?" if match else ""
