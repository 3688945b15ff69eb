"""A leaderboard on paper: every format holds the same numbers, and nothing breaks out of it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from ranked_entries import run, submission
from rich.cells import cell_len
from rich.console import Console

from sitrepbench.comparison.annotators import AnnotatorScores
from sitrepbench.comparison.leaderboard import Leaderboard, build_leaderboard
from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.labels import LABELS
from sitrepbench.report.leaderboard import print_leaderboard
from sitrepbench.report.leaderboard_figures import draw_costs, draw_leaderboard, draw_ranks
from sitrepbench.report.leaderboard_files import (
    FORMATS,
    board_csv,
    board_json,
    board_markdown,
    check_outputs,
    write_outputs,
)
from sitrepbench.report.leaderboard_html import board_html

NASTY = "=<b>$x_1$</b>|`y`"
AGREE = AnnotatorScores(("a", "b"), 0.98, 0.97, 0.99, dict.fromkeys(LABELS, 0.98), 320, 40, True)


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    entries = [
        run("linear_svm word_char_cues_and_more C=0.125", 0.2, fit=12345.6),
        run("nbsvm", 0.22, seed=1, fit=0.01, made={"probabilities": True}),
        run("rules", 0.8, seed=2),
        submission(NASTY, 0.3),
    ]
    return build_leaderboard(
        entries, study="made", part="dev", question="which is best?", annotators=AGREE
    )


def printed(board: Leaderboard) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_leaderboard(board, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_shows_all_in_80_columns(board: Leaderboard) -> None:
    text = printed(board)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text
    head, *_ = [line for line in text.splitlines() if "nbsvm" in line]
    row = next(row for row in board.rows if row.name == "nbsvm")
    assert head.split()[:3] == [row.rank, "nbsvm", f"{row.scores.macro_f1:.3f}"]
    assert "annotators agree (machines)" in text
    assert "Cheapest model tied with the best: nbsvm" in text
    assert "(submission)" in text
    flat = " ".join(text.split())
    assert "it has no rank" in flat
    assert "What is estimated" in flat
    assert "How ties are judged" in flat


def test_many_labels_take_several_tables() -> None:
    labels = tuple(f"label_number_{at}" for at in range(12))
    board = build_leaderboard([run("a", 0.2, made={"labels": labels})], study="m", part="dev")
    text = printed(board)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert text.count("F1 of each label") == 3


def test_markdown_keeps_names_in_their_cells(board: Leaderboard) -> None:
    text = board_markdown(board)
    assert "<b>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in rows]
    assert set(widths) == {7, 6 + 3 + len(LABELS)}
    assert "**Question:** which is best?" in text


def test_csv_holds_every_row_and_no_formula(board: Leaderboard) -> None:
    rows = list(csv.DictReader(io.StringIO(board_csv(board))))
    assert len(rows) == len(board.rows) + 1
    for row, cells in zip(board.rows, rows, strict=False):
        assert float(cells["macro_f1"]) == pytest.approx(row.scores.macro_f1, abs=1e-6)
        assert int(cells["worst_rank"]) == row.worst_rank
        assert not cells["name"].startswith("=")
        assert float(cells["f1/denial"]) == pytest.approx(row.scores.per_label["denial"], abs=1e-6)
    assert (rows[-1]["kind"], rows[-1]["best_rank"]) == ("annotators", "")
    assert rows[-1]["f1/denial"] == "0.980000"


def test_json_is_plain_and_without_nan(board: Leaderboard) -> None:
    content = json.loads(board_json(board), parse_constant=pytest.fail)
    assert [row["name"] for row in content["rows"]] == [row.name for row in board.rows]
    assert content["cheapest_tied_with_best"] == "nbsvm"
    assert content["annotators"]["ranked"] is False
    assert content["rows"][-1]["classwise_ece"] is None
    assert content["optimism"]["best"] == board.rows[0].name


def test_html_stands_alone_and_escapes_names(board: Leaderboard) -> None:
    page = board_html(board)
    assert "<b>$x_1$" not in page
    assert "&lt;b&gt;$x_1$" in page
    assert page.count("<table>") == 2
    assert page.count("<svg") == 2
    assert not re.findall(r"(?:src|href)=\"(?!#)", page.replace("xlink:href", "href"))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_figures_are_the_same_every_time(board: Leaderboard) -> None:
    for draw in (draw_leaderboard, draw_ranks, draw_costs):
        drawn = draw(board)
        assert drawn == draw(board)
        assert "</svg>" in drawn


def test_without_costs_there_is_no_plot_of_them() -> None:
    board = build_leaderboard([submission("theirs", 0.3)], study="m", part="dev")
    assert draw_costs(board) == ""
    assert board_html(board).count("<svg") == 1


@pytest.mark.slow
def test_every_format_can_be_written(board: Leaderboard, tmp_path: Path) -> None:
    paths = check_outputs([str(tmp_path / "new" / f"board{suffix}") for suffix in FORMATS])
    write_outputs(board, paths)
    assert all(path.stat().st_size for path in paths)


def test_an_unknown_suffix_is_refused(tmp_path: Path, board: Leaderboard) -> None:
    with pytest.raises(ConfigError, match=r"board.xls: expected a file that ends in .md"):
        check_outputs([str(tmp_path / "board.xls")])
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_outputs(board, [tmp_path / "file" / "board.md"])
