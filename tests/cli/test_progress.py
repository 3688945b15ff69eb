"""What is told of work that takes long: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import pytest

from sitrepbench.cli import progress
from sitrepbench.reuse.embeddings import vectors_of


def test_where_there_is_no_terminal_lines_tell_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    with progress.cells_progress("run") as on_cell:
        on_cell(0.5, 12)
        on_cell(3000, 4000)
    assert capsys.readouterr().err.splitlines() == [
        "run: 0.5 of 12 cells",
        "run: 3000 of 4000 cells",
    ]


def test_encoding_is_told_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    texts = [f"sentence {number}" for number in range(600)]
    with progress.cells_progress("run"):
        vectors_of(
            texts,
            name="told",
            encode=lambda some: [[float(len(text))] for text in some],
            dtype="float32",
            batch_size=32,
        )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "encoding: 32 of 600 sentences"
    assert lines[-1] == "encoding: 600 of 600 sentences"
