"""Failed runs: the last attempt is kept until the run is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.errors import StoreError
from sitrepbench.store.failures import FailedRun, FailedRuns

FAILED = FailedRun(
    key="00c0ffee00c0ffee",
    run_name="svm word",
    study="adhoc",
    command="sitrepbench run model=linear_svm",
    kind="ModelError",
    message="it does not fit",
    details="Traceback ...",
    time="2026-01-01T00:00:00+00:00",
    seconds=1.5,
    where="host:1",
)


@pytest.fixture
def failures(tmp_path: Path) -> FailedRuns:
    return FailedRuns(tmp_path)


def test_a_store_without_failures_has_none(failures: FailedRuns) -> None:
    assert failures.keys() == set()
    assert list(failures.all()) == []
    assert failures.find(FAILED.key) is None
    failures.remove(FAILED.key)
    assert not failures.folder.exists()


def test_a_failure_is_read_back_until_it_is_removed(failures: FailedRuns) -> None:
    assert failures.put(FAILED) == FAILED
    assert failures.find(FAILED.key) == FAILED
    failures.remove(FAILED.key)
    assert failures.find(FAILED.key) is None
    assert failures.keys() == set()


def test_attempts_are_counted_and_the_last_one_stays(failures: FailedRuns) -> None:
    failures.put(FAILED)
    again = failures.put(replace(FAILED, kind="killed", attempts=7))
    assert again.attempts == 2
    assert failures.find(FAILED.key) == replace(FAILED, kind="killed", attempts=2)


def test_failures_come_sorted_and_unreadable_ones_do_not(failures: FailedRuns) -> None:
    for key in ("b", "c", "a"):
        failures.put(replace(FAILED, key=key))
    (failures.folder / "b.json").write_text('{"key": "b"', encoding="utf-8")
    (failures.folder / ".d.1.12345678").write_text("{}", encoding="utf-8")
    assert failures.keys() == {"a", "b", "c"}
    assert [failed.key for failed in failures.all()] == ["a", "c"]
    assert failures.put(replace(FAILED, key="b")).attempts == 1


@pytest.mark.parametrize("text", ["", "[]", "3", '{"key": "a"}', '{"other": 1}', "\xff"])
def test_a_damaged_note_is_none(failures: FailedRuns, text: str) -> None:
    failures.folder.mkdir()
    (failures.folder / "a.json").write_bytes(text.encode("latin-1"))
    assert failures.find("a") is None


def test_a_message_that_is_no_text_is_kept(failures: FailedRuns) -> None:
    failures.put(replace(FAILED, message="a\ud800b\u2028c"))
    found = failures.find(FAILED.key)
    assert found is not None
    assert found.message == "a?b\u2028c"


def test_what_cannot_be_noted_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "failed").touch()
    with pytest.raises(StoreError, match="a failed run cannot be noted"):
        FailedRuns(tmp_path).put(FAILED)
    assert [entry.name for entry in tmp_path.iterdir()] == ["failed"]


def test_a_note_that_cannot_be_replaced_leaves_nothing_half(failures: FailedRuns) -> None:
    (failures.folder / f"{FAILED.key}.json").mkdir(parents=True)
    with pytest.raises(StoreError):
        failures.put(FAILED)
    assert [entry.name for entry in failures.folder.iterdir()] == [f"{FAILED.key}.json"]
