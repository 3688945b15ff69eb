"""Parsing the overrides of a sweep's jobs: Hydra's grammar, fast for what sweeps are made of.

Hydra's own parser takes a third of a millisecond per override, as long as all else about a job;
a sweep over 1,000 values of one key has 1,000 of them. Numbers and plain words are read here
instead, everything else is left to Hydra; a test holds that both read the same.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType

# A part of what Hydra's grammar takes (hydra/grammar/*.g4); the rest of it is Hydra's to read.
_PLAIN = re.compile(
    r"(?P<prefix>\+{0,2})(?P<key>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)="
    r"(?:(?P<integer>-?(?:0|[1-9][0-9]*))"
    r"|(?P<real>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_-]*))",
    re.ASCII,
)
#: Words that the grammar takes for something else than text.
_NO_TEXT = frozenset({"true", "false", "null", "nan", "inf"})
_TYPES = {"": OverrideType.CHANGE, "+": OverrideType.ADD, "++": OverrideType.FORCE_ADD}


@lru_cache(maxsize=16384)
def parse_override(text: str) -> Override:
    """Return what Hydra's parser makes of one override; the object is shared, do not change it.

    Raises
    ------
    HydraException
        When the text is no override.

    Examples
    --------
    >>> parse_override("model.C=0.1").value()
    0.1
    """
    found = _PLAIN.fullmatch(text)
    if found is None or (found["word"] or "").lower() in _NO_TEXT:
        (parsed,) = OverridesParser.create().parse_overrides([text])
        return parsed
    value: int | float | str = found["word"]
    if found["integer"] is not None:
        value = int(found["integer"])
    elif found["real"] is not None:
        value = float(found["real"])
    return Override(
        type=_TYPES[found["prefix"]],
        key_or_group=found["key"],
        value_type=ValueType.ELEMENT,
        _value=value,
        input_line=text,
    )
