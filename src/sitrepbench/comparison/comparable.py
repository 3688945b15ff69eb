"""Whether runs may stand in one table: the same data, protocol and code, and nothing missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sitrepbench.config.differences import differences
from sitrepbench.errors import DataError, ProtocolError, SitrepBenchError, StoreError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.store.record import RunRecord

#: How many of many are named in a message.
NAMED = 5


def check_comparable(records: Mapping[str, Sequence[RunRecord]]) -> None:
    """Refuse runs that were made on other data, by another protocol, or by other code.

    Parameters
    ----------
    records : mapping
        The records of each row, by its name.

    Raises
    ------
    DataError, ProtocolError, StoreError
        With all problems at once, and every run by name; the class is that of the first.
    """
    flat = [(name, record) for name, of_row in records.items() for record in of_row]
    problems: list[tuple[type[SitrepBenchError], str]] = []
    for kind, told, part in _MUST_AGREE:
        groups: dict[str, list[tuple[str, RunRecord]]] = {}
        for name, record in flat:
            value = json.dumps(part(record), sort_keys=True, default=str)
            groups.setdefault(value, []).append((name, record))
        if len(groups) > 1:
            problems.append((kind, _told(told, list(groups.values()), part)))
    code = list(_code_problems(flat))
    if code:
        problems.append((StoreError, "\n".join(code)))
    if problems:
        lines = "\n".join(text for _, text in problems)
        raise problems[0][0](
            f"these runs cannot be ranked in one table:\n{lines}\n"
            "Two of them at a time: sitrepbench compare RUN RUN"
        )


_MUST_AGREE: tuple[tuple[type[SitrepBenchError], str, Callable[[RunRecord], Any]], ...] = (
    (DataError, "dataset digests", lambda record: record.key_parts.get("data")),
    (
        ProtocolError,
        "protocols",
        lambda record: record.key_parts.get("config", {}).get("protocol"),
    ),
)


def _told(
    what: str, groups: Sequence[Sequence[tuple[str, RunRecord]]], part: Callable[[RunRecord], Any]
) -> str:
    """Name the groups of runs, and in what each differs from the first."""
    first = part(groups[0][0][1])
    lines = [f"{len(groups)} {what}:"]
    for members in groups:
        changed = [item.text() for item in differences(first, part(members[0][1]))]
        seen = f" ({'; '.join(changed[:NAMED])})" if changed else ""
        lines.append(f"  {named([name for name, _ in members])}{seen}")
    return "\n".join(lines)


def _code_problems(flat: Sequence[tuple[str, RunRecord]]) -> Iterator[str]:
    """Yield files and libraries of which runs used different versions.

    Only some runs use a library, or search: what a run does not name, it was not decided by.
    """
    for field, told in (
        ("sources", "source of the program"),
        ("own_code", "own code of"),
        ("versions", "library"),
    ):
        seen: dict[str, dict[str, list[str]]] = {}
        for name, record in flat:
            for item, value in (record.key_parts.get(field) or {}).items():
                shown = json.dumps(value, sort_keys=True)
                seen.setdefault(item, {}).setdefault(shown, []).append(name)
        for item, values in sorted(seen.items()):
            if len(values) > 1:
                groups = [
                    f"{value[:12].strip(chr(34))}: {named(names)}"
                    for value, names in values.items()
                ]
                yield f"{told} {item} differs: {' | '.join(groups)}"


def named(names: Sequence[str]) -> str:
    """Return names in a row, the first few of many.

    >>> named(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - NAMED
    shown = ", ".join(distinct[:NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def check_cells(confusions: Mapping[str, DocumentConfusions], part: str) -> None:
    """Refuse rows that lack sentences of a part in some repeat.

    Raises
    ------
    DataError
        Naming each row and repeat with how many sentences it has, and the first document that is
        not whole.
    """
    whole: dict[str, float] = {}
    for model in confusions.values():
        sizes = model.counts.sum(axis=(2, 3)).max(axis=0)
        for document, size in zip(model.documents, sizes.tolist(), strict=True):
            whole[document] = max(whole.get(document, 0), size)
    total = sum(whole.values())
    problems = []
    for name, model in confusions.items():
        for repeat, sizes in enumerate(model.counts.sum(axis=(2, 3))):
            if sizes.sum() < total:
                here = dict(zip(model.documents, sizes.tolist(), strict=True))
                first = min(name for name, size in whole.items() if here.get(name, 0) < size)
                problems.append(
                    f"  {name}: repeat {repeat} of {part} has {sizes.sum():,.0f} of {total:,.0f} "
                    f"sentences; the first document that is not whole is {first!r}"
                )
    if problems:
        raise DataError(
            "predictions are missing:\n" + "\n".join(problems) + "\nCompute what is missing, or "
            "rank by another part: --part NAME"
        )


def check_gold(confusions: Mapping[str, DocumentConfusions]) -> None:
    """Refuse rows whose gold labels, label sets or documents are not the same.

    Raises
    ------
    DataError
        Naming each row that is not as the first one.
    """
    (first, model), *others = confusions.items()
    gold = model.counts.sum(axis=-1).mean(axis=0)
    problems = []
    for name, other in others:
        if other.labels != model.labels:
            problems.append(f"  {name}: labels {list(other.labels)}, not {list(model.labels)}")
        elif other.documents != model.documents:
            alone = sorted({*other.documents} ^ {*model.documents})
            problems.append(
                f"  {name}: {len(alone)} document(s) are not in both, the first is {alone[0]!r}"
            )
        elif not np.allclose(other.counts.sum(axis=-1).mean(axis=0), gold):
            problems.append(f"  {name}: other gold labels")
    if problems:
        raise DataError(f"not scored on the same sentences as {first}:\n" + "\n".join(problems))
