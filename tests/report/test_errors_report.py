"""The error analysis on paper: 80 columns, no control characters, no HTML from data."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

from made_up_errors import made_dataset, made_predictions

from sitrepbench.analysis.errors import ErrorAnalysis, analyse_errors
from sitrepbench.report.errors import errors_dict, print_errors
from sitrepbench.report.errors_figures import errors_figures
from sitrepbench.report.errors_page import errors_page

LABELS = ("first", "a_label_of_an_extraordinary_length_and_more_than_fits", "z")


@pytest.fixture(params=[True, False], ids=["sure", "unsure"])
def analysis(request: pytest.FixtureRequest) -> ErrorAnalysis:
    dataset = made_dataset(n_documents=20, labels=LABELS)
    frame = dataset.frame
    frame["source"] = frame["source"].map(
        {n: f"<i>{n}</i> $x$ \x1b[2J" for n in ("wire", "blog", "radio")}
    )
    frame["text"] = "\x1b[31m<script>alert(1)</script> " + frame["text"]
    wrong = np.random.default_rng(0).random(len(frame)) < 0.3
    table = made_predictions(dataset, wrong, probabilities=bool(request.param), n_repeats=2)
    name = "a <run> of $odd$ name \x07"
    return analyse_errors(table, dataset, part="dev", key="ab" * 8, run_name=name)


def test_the_terminal_gets_80_columns_and_no_control_characters(analysis: ErrorAnalysis) -> None:
    said = io.StringIO()
    print_errors(analysis, n_examples=3, console=Console(file=said, width=80))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert "mean of 2 repeats" in said.getvalue()
    assert " verdict" in said.getvalue()
    assert "…" not in said.getvalue()


@pytest.mark.slow
def test_what_stands_in_the_data_is_no_html(analysis: ErrorAnalysis) -> None:
    page = errors_page(analysis, n_examples=3)
    assert "<script" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page


def test_json_holds_no_nan(analysis: ErrorAnalysis) -> None:
    told = json.loads(json.dumps(errors_dict(analysis, n_examples=2), allow_nan=False))
    assert (told["suspects"] is None) == (not analysis.sure)
    assert sum(map(sum, told["confusion"])) == pytest.approx(analysis.n_sentences)


@pytest.mark.slow
def test_figures_are_the_same_every_time(analysis: ErrorAnalysis) -> None:
    for draw in errors_figures(analysis).values():
        assert draw("svg") == draw("svg")
        assert draw("png").startswith(b"\x89PNG")


def test_a_run_without_mistakes_is_no_trouble() -> None:
    dataset = made_dataset(n_documents=4)
    table = made_predictions(dataset, np.zeros(len(dataset.frame), dtype=bool))
    found = analyse_errors(table, dataset, part="dev")
    said = io.StringIO()
    print_errors(found, n_examples=3, console=Console(file=said, width=80))
    assert "0.0 % of the answers are wrong" in said.getvalue()
    assert "No group has enough" in said.getvalue()
    assert "No group is large enough" in errors_page(found, n_examples=3)
