"""The ranked table: best first by the development part, at 80 columns, from index rows."""

from __future__ import annotations

import io
import json
import math
from typing import Any

from rich.console import Console

from sitrepbench.report.ranking import LISTED, print_ranking, ranked_rows
from sitrepbench.store.index import IndexRow


def row(name: str, scores: dict[str, dict[str, float | None]]) -> IndexRow:
    return IndexRow(
        name * 16, name, "study", "made", "grouped_cv", "word", "svm", "2026", 1.0,
        json.dumps(scores),
    )  # fmt: skip


def cv(score: float | None, **others: Any) -> dict[str, dict[str, float | None]]:
    return {"cv": {"macro_f1": score, **others}}


def printed(rows: list[IndexRow], **named: Any) -> str:
    file = io.StringIO()
    print_ranking(rows, console=Console(file=file, width=80), **named)
    return file.getvalue()


def test_the_best_comes_first_and_what_has_no_score_last() -> None:
    rows = [row("a", cv(0.2)), row("b", cv(None)), row("c", cv(0.9)), row("d", {}),
            row("e", cv(math.nan)), row("f", cv(0.2))]  # fmt: skip
    assert [found.run_name for found in ranked_rows(rows)] == ["c", "a", "f", "b", "d", "e"]


def test_a_test_part_ranks_only_where_there_is_no_other() -> None:
    both = row("a", {"Test": {"macro_f1": 0.99}, "dev": {"macro_f1": 0.1}})
    only = row("b", {"test": {"macro_f1": 0.5}})
    assert [found.run_name for found in ranked_rows([both, only])] == ["b", "a"]
    assert "made dev" in printed([both])


def test_the_table_shows_what_there_is() -> None:
    whole = row("a", cv(0.5, macro_f1_low=0.4, macro_f1_high=0.6, accuracy=0.7))
    bare = row("b", cv(None))
    text = printed([whole, bare])
    assert "0.500  [0.400, 0.600]     0.700" in text
    (line,) = [line for line in text.splitlines() if "bbbbbbbb" in line]
    assert line.split() == ["2", "b", "made", "cv", "-", "-", "bbbbbbbb"]
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_long_list_says_where_the_rest_is() -> None:
    rows = [row("a", cv(0.5))] * (LISTED + 3)
    text = printed(rows, more="sitrepbench list --sweep abc")
    assert "... and 3 more: sitrepbench list --sweep abc" in text
    assert f" {LISTED} " in text
    assert f" {LISTED + 1} " not in text
