"""A search on a run's page: parameters, metrics, figure and table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.store.record import TRIALS_FILE, RunRecord
from sitrepbench.tracking.content import run_metrics, run_params
from sitrepbench.tracking.trial_pages import trials_figure, trials_section
from sitrepbench.tuning.trials import Trial, trials_table

TRIALS = [
    Trial({"C": 1.0, "w": None}, 0.5, 1.0),
    Trial({"C": 0.123456789, "w": "<b>"}, 0.75, 2.0),
    Trial({"C": 9.0, "w": None}, float("nan"), 0.5, "ValueError: did not converge"),
]


@pytest.fixture
def searched(make_record: Callable[..., RunRecord], tmp_path: Path) -> RunRecord:
    trials_table([("dev", 0, 0, n, trial) for n, trial in enumerate(TRIALS)]).to_parquet(
        tmp_path / TRIALS_FILE, index=False
    )
    chosen = [
        {"part": "dev", "repeat": 0, "fold": fold, "settings": settings, "score": 0.75, "trials": 3}
        for fold, settings in enumerate([{"C": 0.123456789, "w": None}, {"C": 0.123456789, "w": 2}])
    ]
    tuning = {
        "search": {"_target_": "sitrepbench.tuning.RandomSearch", "trials": 3},
        "chosen": chosen,
        "seconds": 3.5,
    }
    return replace(make_record(), tuning=tuning, folder=tmp_path)


def test_what_was_chosen_stands_among_the_parameters(searched: RunRecord) -> None:
    params = run_params(searched)
    assert params["chosen.C"] == "0.1235"
    assert params["chosen.w"] == "null, 2"
    metrics = run_metrics(searched, {})
    assert metrics["inner_macro_f1"] == 0.75
    assert metrics["tuning_seconds"] == 3.5


def test_the_page_has_the_trials_best_first_and_why_one_failed(searched: RunRecord) -> None:
    page = trials_section(searched)
    assert "Tuning: RandomSearch, 3 trials" in page
    assert page.index("C=0.1235, w=&lt;b&gt;") < page.index("C=1, w=null") < page.index("converge")
    assert "<b>" not in page
    assert page.count("<svg") == 1


def test_a_figure_is_the_same_each_time() -> None:
    table = trials_table([("dev", 0, 0, n, trial) for n, trial in enumerate(TRIALS)])
    assert trials_figure(table) == trials_figure(table)


def test_without_a_search_there_is_nothing(make_record: Callable[..., RunRecord]) -> None:
    record = make_record()
    assert trials_section(record) == ""
    assert not [name for name in run_params(record) if name.startswith("chosen")]
    assert "tuning_seconds" not in run_metrics(record, {})
