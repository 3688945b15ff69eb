"""The printed summary: complete, at most 80 columns, plain where it is not a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from sitrepbench.labels import LABELS
from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.predictions import PredictionsTable
from sitrepbench.report.terminal import print_summary, summary_dict


def summary_of(
    *,
    labels: tuple[str, ...] = LABELS,
    n: int = 300,
    n_documents: int = 30,
    n_repeats: int = 1,
    domains: tuple[str, ...] = ("Syria", "[red]Iraq"),
) -> Summary:
    rng = np.random.default_rng(0)
    document = np.arange(n) % n_documents
    gold = rng.choice(labels, n)
    frames = []
    for repeat in range(n_repeats):
        columns: dict[str, Any] = {
            "sentence_id": [f"s{i}" for i in range(n)],
            "document_id": [f"d{i}" for i in document],
            "domain": [domains[i % len(domains)] for i in document],
            "part": "cv",
            "repeat": repeat,
            "fold": document % 5,
            "label": gold,
            "secondary": "",
            "predicted": np.where(rng.random(n) < 0.7, gold, rng.choice(labels, n)),
            **{f"p_{label}": 1 / len(labels) for label in labels},
        }
        frames.append(pd.DataFrame(columns))
    return summarise(PredictionsTable(pd.concat(frames, ignore_index=True), labels), "cv")


def printed(summary: Summary, *, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=80, force_terminal=terminal, color_system="standard" if terminal else None
    )
    print_summary(summary, title="seeds [bold] keywords", console=console)
    return file.getvalue()


def test_all_there_is_to_say_is_printed() -> None:
    summary = summary_of()
    text = printed(summary)
    low, high = summary.intervals["macro_f1"]
    assert text.startswith("seeds [bold] keywords\n")
    assert "part cv: 300 sentences, 30 documents, 5 folds\n" in text
    first_row = f"macro-F1 {summary.metrics['macro_f1']:.3f} [{low:.3f}, {high:.3f}]"
    assert first_row in " ".join(text.split())
    for name in ("Cohen's kappa", "log loss", "Brier", "worst domain macro-F1", "[red]Iraq"):
        assert name in text
    for row in summary.per_label.to_dict("records"):
        assert f"[{row['f1_low']:.3f}, {row['f1_high']:.3f}]" in text
    for score, n in zip(summary.per_fold["macro_f1"], summary.per_fold["n"], strict=True):
        assert f"{score:.3f} (n {n})" in " ".join(text.split())
    assert "gold \\ predicted" in text


@pytest.mark.parametrize("n_repeats", [1, 4])
@pytest.mark.parametrize(
    "labels", [LABELS, ("a", "b"), tuple(f"a_rather_long_label_name_{i}" for i in range(14))]
)
def test_it_fits_in_80_columns(labels: tuple[str, ...], n_repeats: int) -> None:
    text = printed(summary_of(labels=labels, n=1000, n_repeats=n_repeats))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_a_matrix_too_wide_is_said_to_be() -> None:
    text = printed(summary_of(labels=tuple(f"label_{i}" for i in range(14)), n=1000))
    assert "The confusion matrix of 14 labels does not fit here." in text


def test_many_folds_are_summed_up() -> None:
    text = printed(summary_of(n_repeats=3))
    assert "mean of 3 repeats" in text
    assert "15 folds of 60 to 60 sentences: min" in text


def test_escape_codes_go_to_terminals_only() -> None:
    assert "\x1b" not in printed(summary_of())
    assert "\x1b[1m" in printed(summary_of(), terminal=True)


def test_one_document_is_printed_with_its_reason() -> None:
    text = printed(summary_of(n=12, n_documents=1))
    assert "12 sentences, 1 document" in text
    assert "Note: One document: no interval" in text
    assert "nan" not in text.casefold()
    assert "95 % interval of these predictions" not in text


@pytest.mark.parametrize("n_documents", [1, 30])
def test_the_dict_is_strict_json_and_complete(n_documents: int) -> None:
    summary = summary_of(n_documents=n_documents, n_repeats=2)
    content = json.loads(json.dumps(summary_dict(summary), allow_nan=False))
    assert content["metrics"]["macro_f1"] == summary.metrics["macro_f1"]
    assert (content["intervals"]["macro_f1"][0] is None) == (n_documents == 1)
    assert [row["label"] for row in content["per_label"]] == list(LABELS)
    assert len(content["per_fold"]) == len(summary.per_fold)
    assert sum(map(sum, content["confusion"])) == pytest.approx(300)
    assert content["notes"] == list(summary.notes)
