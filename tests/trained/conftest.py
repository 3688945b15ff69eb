"""A small table of labelled sentences, and models fitted on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.preparing import PreparedRun, prepare

SENTENCES = {
    "casualty_report": "{n} people were killed and more were wounded at the {place}.",
    "denial": "The army denied that it had hit the {place} on day {n}.",
    "negotiation": "Envoys held talks on a truce for the {place}, round {n}.",
    "evacuation": "{n} buses took families out of the {place} to safety.",
    "background": "The {place} lies {n} kilometres from the river.",
}
PLACES = ("market", "harbour", "mill", "bridge", "school", "camp", "depot", "station")

Prepare = Callable[..., PreparedRun]


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight documents of ten sentences each."""
    rows = [
        {
            "document_id": f"d{number}",
            "position": 2 * place + again,
            "text": text.format(n=10 * number + 3 * place + again, place=where),
            "label": label,
        }
        for number, where in enumerate(PLACES)
        for place, (label, text) in enumerate(SENTENCES.items())
        for again in (0, 1)
    ]
    path = tmp_path_factory.mktemp("table") / "reports.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def prepared(table: Path) -> Prepare:
    """A function that prepares a run on the table."""

    def make(*overrides: str) -> PreparedRun:
        given = ["dataset=table", f"dataset.path={table}", "protocol=grouped_cv"]
        return prepare(
            check_config(compose([*given, "protocol.n_folds=2", *overrides], config_dirs=[]))
        )

    return make
