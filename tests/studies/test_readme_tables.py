"""The README's tables are those of the committed reports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

#: Studies that have a place in the README.
STUDIES = ("baselines", "pretrained_features", "finetuned")


def table(text: str) -> list[str]:
    """Return the lines of the first table of a Markdown text."""
    found = re.search(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    return found.group().splitlines() if found else []


def test_every_place_is_known(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"<!-- leaderboard: (\w+) -->", text)) == STUDIES


@pytest.mark.parametrize("study", STUDIES)
def test_the_table_is_that_of_the_report(repository: Path, study: str) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    place = text.partition(f"<!-- leaderboard: {study} -->")[2]
    shown = place.partition(f"<!-- /leaderboard: {study} -->")[0]
    report = (repository / "experiments" / study / "report.md").read_text(encoding="utf-8")
    assert table(shown)
    assert table(shown) == table(report.partition("## Scores")[2])
