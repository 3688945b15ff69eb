"""Two content keys compared field by field, and one told field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sitrepbench.wording import one_line

_DIGEST = re.compile(r"[0-9a-f]{12,}")
#: Parts of a key that say by digests which files count.
_FILES = ("sources", "own_code")


class _Absent:
    """Stands for a field that one of two keys does not have."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One field in which two content keys differ; `ABSENT` where one of them has no such field."""

    field: str
    stored: Any
    now: Any

    def text(self) -> str:
        """Return the field and both values, digests cut to four digits.

        >>> Difference("config.model.C", 0.3, 1.0).text()
        'config.model.C: 0.3 -> 1.0'
        """
        if self.field.split(".")[0] in _FILES:
            if isinstance(self.stored, Mapping) is not isinstance(self.now, Mapping):
                return f"{self.field}: changed; an old record does not tell which files"
            if ABSENT in (self.stored, self.now):
                return f"{self.field}: {'new' if self.stored is ABSENT else 'gone'}"
            return f"{self.field}: changed"
        stored, now = self.stored, self.now
        if self.field.endswith("._target_"):
            stored, now = _last_name(stored, now), _last_name(now, stored)
        return f"{self.field}: {_shown(stored)} -> {_shown(now)}"

    def plain(self) -> dict[str, Any]:
        """Return it for JSON; a field that is absent is null."""
        values = {"stored": self.stored, "now": self.now}
        kept = {name: None if value is ABSENT else value for name, value in values.items()}
        return {"field": self.field, **kept}


def differences(stored: Any, now: Any, *, field: str = "") -> Iterator[Difference]:
    """Yield the fields in which two content keys differ.

    >>> [d.text() for d in differences({"seed": 1, "a": {"b": 2}}, {"seed": 1, "a": {}})]
    ['a.b: 2 -> (absent)']
    """
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for name in sorted(stored.keys() | now.keys()):
            below = f"{field}.{name}" if field else str(name)
            yield from differences(stored.get(name, ABSENT), now.get(name, ABSENT), field=below)
    elif stored != now:
        yield Difference(field, stored, now)


def _last_name(target: Any, other: Any) -> Any:
    """Return a dotted path's last name, unless the other's is the same."""
    if not (isinstance(target, str) and isinstance(other, str)):
        return target
    name = target.rpartition(".")[2]
    return target if name == other.rpartition(".")[2] else name


def _shown(value: Any) -> str:
    if value is ABSENT:
        return repr(value)
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return f"{value[:4]}.."
    if isinstance(value, Mapping) and isinstance(value.get("_target_"), str):
        value = value["_target_"]
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return one_line(text, 48)


def ingredients(parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of a content key, one line each; files are only counted.

    >>> list(ingredients({"config": {"model": {"C": 1.0}}, "sources": {"a.py": "0f"}}))
    ['config.model.C: 1.0', 'sources: 1 file, by digest']
    """
    for name, value in parts.items():
        if name not in _FILES:
            yield from _leaves(name, value)
        elif isinstance(value, Mapping):
            count = sum(len(v) if isinstance(v, Mapping) else 1 for v in value.values())
            if count:
                yield f"{name}: {count} file{'' if count == 1 else 's'}, by digest"
        else:
            yield f"{name}: {_shown(value)}"


def _leaves(field: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(f"{field}.{name}", below)
    else:
        yield f"{field}: {_shown(value)}"
