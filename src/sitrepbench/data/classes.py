"""Numbers that stand for the names of classes, as Hugging Face `datasets` keeps labels."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

#: The key of Parquet and Arrow metadata under which `datasets` keeps what columns mean.
METADATA_KEY = b"huggingface"

_INDEX = re.compile(r"__index_level_[0-9]+__")


def is_index(name: str) -> bool:
    """Return whether a column is the index of a DataFrame, which does not count."""
    return bool(_INDEX.fullmatch(name))


def stored_classes(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Return the class names by column that the metadata of a Parquet or Arrow schema give."""
    try:
        content = json.loads((metadata or {}).get(METADATA_KEY, b"{}"))
        return class_names(content["info"]["features"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def class_names(features: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of each column that has some.

    Parameters
    ----------
    features : mapping
        As ``Features.to_dict()`` of `datasets` gives it.

    Examples
    --------
    >>> class_names({"label": {"names": ["denial", "background"], "_type": "ClassLabel"}})
    {'label': ('denial', 'background')}
    """
    found = {}
    for column, feature in features.items():
        # A list of classes: secondary labels.
        inner = feature.get("feature", feature) if isinstance(feature, Mapping) else feature
        if isinstance(inner, Mapping) and inner.get("_type") == "ClassLabel":
            names = inner.get("names")
            if isinstance(names, Sequence) and not isinstance(names, str):
                found[column] = tuple(str(name) for name in names)
    return found


def named_classes(values: list[object], names: tuple[str, ...] | None) -> list[object]:
    """Return values with the numbers of classes, also those in lists, as names.

    -1, by which `datasets` says that a label is not known, becomes None. Anything else that is
    the number of no class stays, to be reported as the label that it is not.

    Examples
    --------
    >>> named_classes([1, -1, [0, 1], 7], ("denial", "background"))
    ['background', None, ['denial', 'background'], 7]
    """
    if names is None:
        return values

    def name(value: object) -> object:
        if isinstance(value, list):
            return [name(part) for part in value]
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        if value == -1:
            return None
        return names[value] if 0 <= value < len(names) else value

    return [name(value) for value in values]
