"""What estimators made of parts know of the files that their parts read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sklearn.utils.metaestimators import available_if


def contents(estimator: Any) -> dict[str, str]:
    """Return the content digest of every part that reads a file, by its parameter path.

    Parameters
    ----------
    estimator : estimator
        With ``get_params``; it does not count itself.
    """
    return {path: part.content_digest() for path, part in _readers(estimator).items()}


def _readers(estimator: Any) -> dict[str, Any]:
    parts = estimator.get_params(deep=True)
    return {
        path: parts[path]
        for path in sorted(parts)
        if callable(getattr(parts[path], "content_digest", None))
    }


def _reads_files(estimator: Any) -> bool:
    # Whether the files can be read is asked later, when an error is not taken for "no file".
    return bool(_readers(estimator))


class ContentOfParts:
    """Gives an estimator a ``content_digest`` if, and only if, one of its parts reads a file."""

    @available_if(_reads_files)  # type: ignore[untyped-decorator]
    def content_digest(self) -> str:
        """Return the sha256 over the files that the parts read: they decide predictions."""
        return hashlib.sha256(json.dumps(contents(self)).encode()).hexdigest()
