"""How comparisons are told: in words that say no more than the numbers, at 80 columns."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from sitrepbench.comparison.compare import ESTIMAND, Comparison, compare
from sitrepbench.comparison.entries import Entry
from sitrepbench.errors import StoreError
from sitrepbench.predictions import PredictionsTable
from sitrepbench.report.comparison import (
    DETAILED_PAIRS,
    comparison_dict,
    print_comparison,
    verdict,
    write_rows,
)

LABELS = ("casualty_report", "a_label_with_a_very_long_name_indeed", "c")


def compared(*accuracies: float, documents: int = 30) -> Comparison:
    n = documents * 10
    gold = np.random.default_rng(0).choice(LABELS, n)
    entries = []
    for at, accuracy in enumerate(accuracies):
        rng = np.random.default_rng(at)
        frame = pd.DataFrame(
            {
                "sentence_id": [f"s{row:04}" for row in range(n)],
                "document_id": [f"d{row // 10:03}" for row in range(n)],
                "domain": "",
                "part": "dev",
                "repeat": 0,
                "fold": 0,
                "label": gold,
                "secondary": "",
                "predicted": np.where(rng.random(n) < accuracy, gold, rng.choice(LABELS, n)),
                **{f"p_{label}": math.nan for label in LABELS},
            }
        )
        name = f"model {at} \x1b[31m with a name that goes on and on and on"
        entries.append(Entry(name, PredictionsTable(frame, LABELS), "file", None, None))
    texts = {f"s{row:04}": "Talks [bold]resumed[/bold] " * 40 for row in range(n)}
    return compare(entries, n_permutations=999, texts=texts)


def printed(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_comparison(comparison, console=console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("accuracies", [(0.8, 0.5), (0.8, 0.5, 0.79), (0.9, 0.8, 0.7, 0.6, 0.5)])
def test_everything_fits_in_80_columns(accuracies: tuple[float, ...]) -> None:
    text = printed(compared(*accuracies))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert " ".join(text.split()).count(ESTIMAND) == 1
    assert "…" not in text


def test_many_pairs_are_a_table_only() -> None:
    text = printed(compared(0.9, 0.8, 0.7, 0.6, 0.5))
    assert "McNemar" not in text
    assert "10 pairs: labels, tests and disagreements" in text
    assert DETAILED_PAIRS < 10


def test_the_tests_are_called_what_they_are() -> None:
    text = " ".join(printed(compared(0.8, 0.6)).split())
    assert "anti-conservative" in text
    assert "randomisation by document (999 permutations): p = " in text
    assert "Talks [bold]resumed[/bold]" in text


def test_verdicts_say_what_could_have_been_shown() -> None:
    (pair,) = (replace(pair, one="x", other="y") for pair in compared(0.8, 0.5).pairs)
    points = abs(pair.macro_f1.estimate * 100)
    assert pair.told_apart
    assert verdict(pair).startswith(f"x is better than y by {points:.1f}")
    turned = replace(pair, macro_f1=replace(pair.macro_f1, estimate=-pair.macro_f1.estimate))
    assert verdict(turned).startswith(f"y is better than x by {points:.1f}")
    alike = replace(
        pair,
        macro_f1=replace(pair.macro_f1, estimate=0.009),
        p_value=0.4,
        p_adjusted=0.4,
        minimum_detectable=0.021,
    )
    assert verdict(alike) == (
        "These data could show a difference of 2.1 points; the observed 0.9 cannot be told from "
        "chance."
    )
    by_holm = replace(alike, p_value=0.03)
    assert verdict(by_holm, n_pairs=10).endswith("from chance once 10 pairs are compared.")


def test_one_document_says_nothing_about_chance() -> None:
    comparison = compared(0.8, 0.5, documents=1)
    assert verdict(comparison.pairs[0]) == "With these documents nothing can be said about chance."
    json.dumps(comparison_dict(comparison), allow_nan=False)
    assert max(map(len, printed(comparison).splitlines())) <= 80


def test_json_is_complete() -> None:
    comparison = compared(0.8, 0.5)
    told = json.loads(json.dumps(comparison_dict(comparison), allow_nan=False))
    (pair,) = told["pairs"]
    assert told["estimand"] == ESTIMAND
    assert pair["macro_f1"]["estimate"] == comparison.pairs[0].macro_f1.estimate
    assert set(pair["labels"]) == set(LABELS)
    assert pair["mcnemar"]["caution"] == "anti-conservative under clustering"
    assert pair["nadeau_bengio"] is None
    assert sum(row["n"] for row in pair["disagreements"]["by_label"]) == 300
    assert len(pair["disagreements"]["examples"]) == 3
    assert told["entries"][0]["scores"]["per_label"].keys() == set(LABELS)


def test_csv_has_a_row_per_pair_and_metric(tmp_path: Path) -> None:
    comparison = compared(0.8, 0.5, 0.6)
    write_rows(comparison, tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * (1 + len(LABELS))
    first = rows[0]
    assert first["metric"] == "macro_f1"
    difference = float(first["one_score"]) - float(first["other_score"])
    assert float(first["difference"]) == pytest.approx(difference)
    assert float(first["p_adjusted"]) == comparison.pairs[0].p_adjusted
    with pytest.raises(StoreError, match="cannot be written"):
        write_rows(comparison, tmp_path / "absent" / "x.csv")
