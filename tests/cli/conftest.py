"""A results store with runs, failures and ledgers, made without computing anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.cli import main
from sitrepbench.store.failures import FailedRun, FailedRuns
from sitrepbench.store.record import RECORD_FORMAT
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import Event, PlannedRun, SweepLedger, SweepPlan, sweep_id

TIME = "2026-11-20T10:00:00+00:00"


def key_of(number: int | str) -> str:
    """Return a content key that stands for a number."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:16]


class FakeStore:
    """Writes what the program would have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("runs", "partial", "locks"):
            (folder / name).mkdir(parents=True)

    def run(self, number: int | str, *, score: float = 0.5, **changes: Any) -> str:
        """Write a finished run, and return its key."""
        key = key_of(number)
        folder = self.folder / "runs" / key
        folder.mkdir()
        digests = {}
        for name in ("predictions.parquet", "cells.parquet"):
            (folder / name).write_bytes(b"a table")
            digests[name] = hashlib.sha256(b"a table").hexdigest()
        interval = {"macro_f1_low": score - 0.01, "macro_f1_high": score + 0.01}
        content = {
            "key": key,
            "key_parts": {"config": {"model": {"C": number}}, "data": {"training": "ac27" * 16}},
            "names": {
                "dataset": "table", "protocol": "grouped_cv", "features": "word", "model": "svm",
            },
            "run_name": f"svm C={number}",
            "study": "adhoc",
            "config": {"tracking": {"_target_": None}},
            "overrides": ["model=linear_svm", f"model.C={number}"],
            "dataset": {"name": "made", "digest": "0"},
            "labels": ["a", "b"],
            "environment": {"host": "thishost"},
            "created": TIME,
            "seconds": {"total": 1.5, "fit": 1.0, "predict": 0.5},
            "peak_memory_mb": 100.0,
            "looks": [],
            "notes": [],
            "scores": {"cv": {"macro_f1": score, "accuracy": score, **interval}},
            "predictions_digest": "0",
            "files": digests,
            "format": RECORD_FORMAT,
            "tuning": {},
            **changes,
        }  # fmt: skip
        (folder / "record.json").write_text(json.dumps(content), encoding="utf-8")
        return key

    def failure(self, number: int | str, *, kind: str = "ModelError", study: str = "adhoc") -> str:
        """Write the note of a failed run, and return its key."""
        key = key_of(number)
        FailedRuns(self.folder).put(
            FailedRun(
                key=key,
                run_name=f"svm C={number}",
                study=study,
                command=f"sitrepbench run model=linear_svm model.C={number}",
                kind=kind,
                message="it did not\nfit",
                details='Traceback (most recent call last):\n  File "x.py", line 1\nboom',
                time=TIME,
                seconds=2.0,
                where="thishost:12",
            )
        )
        return key

    def sweep(
        self,
        numbers: Sequence[int | str],
        states: Sequence[State | None],
        *,
        study: str = "adhoc",
        ended: str | None = None,
        started: bool = True,
    ) -> SweepLedger:
        """Write a ledger of runs that came to these states; None for runs not heard of."""
        keys = [key_of(number) for number in numbers]
        runs = tuple(
            PlannedRun(
                key,
                f"planned {number}",
                f"sitrepbench run model.C={number}",
                (f"model.C={number}",),
            )
            for key, number in zip(keys, numbers, strict=True)
        )
        command = "sitrepbench run -m model.C=" + ",".join(map(str, numbers[:5]))
        ledger = SweepLedger.open(
            self.folder, SweepPlan(sweep_id(study, keys), study, command, TIME, runs)
        )
        if started:
            ledger.start()
        ledger.add(
            *(
                Event(TIME, state.value, key, 1.5, "thishost:12", note(state))
                for key, state in zip(keys, states, strict=True)
                if state is not None
            )
        )
        if ended:
            ledger.end(ended)
        return ledger

    def take_over(self, ledger: SweepLedger, where: str) -> None:
        """Let a sweep have been started by another process."""
        ledger.end("interrupted")
        ledger.add(Event(TIME, "started", where=where))


def note(state: State) -> str:
    return "ModelError: it did not\nfit" if state is State.failed else ""


@pytest.fixture
def store(tmp_path: Path) -> FakeStore:
    return FakeStore(tmp_path / "results")


@pytest.fixture
def told(
    store: FakeStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line beside the store, and return exit code, output and errors."""
    monkeypatch.chdir(store.folder.parent)

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
