"""The ledger of looks: appended, counted, never dropped."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.errors import StoreError
from sitrepbench.store.looks import Look, LookKind, LookLedger


def look(key: str = "k", digest: str = "d") -> Look:
    return Look("made", digest, "test", key, "why", "somebody", "2026-01-01T00:00:00+00:00")


def test_looks_are_kept_in_order_and_counted(tmp_path: Path) -> None:
    ledger = LookLedger(tmp_path)
    assert ledger.read() == []
    ledger.add([look("one"), look("two", "other")])
    ledger.add([look("three")])
    assert [item.key for item in ledger.read()] == ["one", "two", "three"]
    assert ledger.count("d") == 2


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: LookLedger(tmp_path).add([look(str(k))] * 3), range(40)))
    assert len(LookLedger(tmp_path).read()) == 120


def test_the_same_look_by_many_at_once_is_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda k: LookLedger(tmp_path).add([look(str(k % 2))], same=lambda item: item.key),
                range(40),
            )
        )
    assert sorted(item.key for item in LookLedger(tmp_path).read()) == ["0", "1"]


def test_a_damaged_line_is_told_not_skipped(tmp_path: Path) -> None:
    ledger = LookLedger(tmp_path)
    ledger.add([look()])
    ledger.path.write_text(ledger.path.read_text() + "{broken\n")
    with pytest.raises(StoreError, match="line 2: not a look"):
        ledger.read()


def test_a_look_counts_as_what_it_is() -> None:
    declared = replace(look(), study="baselines")
    assert look().kind is LookKind.by_hand
    assert declared.kind is LookKind.study
    assert replace(declared, reproduction=True).kind is LookKind.reproduction


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b'{"dataset": "a", "digest": "b", "split": "test", "key": 5, "reason": null, "by": "x",'
        b' "time": 3}',
        b"[]",
    ],
)
def test_what_is_no_look_is_told_with_its_line(tmp_path: Path, line: bytes) -> None:
    ledger = LookLedger(tmp_path)
    ledger.add([look()])
    ledger.path.write_bytes(ledger.path.read_bytes() + line + b"\n")
    with pytest.raises(StoreError, match="line 2: not a look"):
        ledger.read()


def test_a_line_that_a_dying_process_left_stays_alone(tmp_path: Path) -> None:
    ledger = LookLedger(tmp_path)
    ledger.add([look("one")])
    with ledger.path.open("ab") as file:
        file.write(b'{"dataset": "ma')
    ledger.add([look("two")])
    with pytest.raises(StoreError, match="line 2: not a look"):
        ledger.read()
    assert json.loads(ledger.path.read_text().splitlines()[2])["key"] == "two"
