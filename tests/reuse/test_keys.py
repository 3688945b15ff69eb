"""Runs share features if, and only if, they fit the same on the same rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.labels import LABELS
from sitrepbench.preparing import PreparedRun, prepare
from sitrepbench.reuse.keys import features_key, is_dear

Key = Callable[..., str]
Prepared = Callable[..., PreparedRun]


@pytest.fixture
def key(prepared: Prepared) -> Key:
    def call(*given: Any, **named: Any) -> str:
        run = prepared(*given, **named)
        return features_key(run.parts, run.plan, run.pipeline)

    return call


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "table.csv")


def write(file: Path, *, extra: str = "") -> Path:
    lines = [
        f"d{document},sentence {document} {position} {label}{extra},{label}"
        for document in range(8)
        for position, label in enumerate(LABELS)
    ]
    file.write_text("\n".join(["doc_id,text,label", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["model=logistic_regression"],
        ["model=complement_nb"],
        ["model.C=7"],
        ["seed=5"],  # the model draws, the features do not
        ["+features._about_.note=hello"],
        ["executor.blas_threads=2"],
    ],
    ids=lambda given: given[0],
)
def test_what_the_features_do_not_depend_on_changes_nothing(
    key: Key, table: Path, overrides: list[str]
) -> None:
    assert key(table, *overrides) == key(table)


@pytest.mark.parametrize(
    "overrides",
    [
        ["features.min_df=1"],
        ["features=word"],
        ["features=lsa"],
        ["protocol.n_folds=4"],
        ["protocol.n_repeats=2"],
    ],
    ids=lambda given: given[0],
)
def test_what_decides_the_features_changes_the_key(
    key: Key, table: Path, overrides: list[str]
) -> None:
    assert key(table, *overrides) != key(table)
    assert len(key(table)) == 24


def test_other_data_change_the_key(key: Key, table: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.csv", extra=" more")
    assert key(other) != key(table)
    assert key(write(tmp_path / "same.csv")) == key(table)


@pytest.mark.slow
def test_a_seed_counts_where_the_features_draw(key: Key, prepared: Prepared, table: Path) -> None:
    given = ["features=lsa", "model=logistic_regression"]
    assert key(table, *given, "seed=1") != key(table, *given, "seed=2")
    assert prepared(table, *given, "seed=1").key != prepared(table, *given, "seed=2").key
    fixed = [*given, "+features.random_state=0"]
    assert key(table, *fixed, "seed=1") == key(table, *fixed, "seed=2")
    assert prepared(table, *fixed, "seed=1").key == prepared(table, *fixed, "seed=2").key
    # The seed that a model draws from parts no features.
    assert key(table, *fixed, "model=linear_svm") == key(table, *fixed)


def test_there_is_nothing_to_share_without_features_or_fitting(key: Key, table: Path) -> None:
    assert key(table, "model=majority") == ""
    assert key(table, "model=keyword_rules", "features=word") == ""
    given = ["protocol=score", "model=majority_background"]
    run = prepare(check_config(compose([f"dataset.path={table}", *given])))
    assert features_key(run.parts, run.plan, run.pipeline) == ""


def test_sources_and_versions_count(prepared: Prepared, table: Path) -> None:
    run = prepared(table)
    before = features_key(run.parts, run.plan, run.pipeline)
    for changed in (
        {"sources": "changed"},
        {"versions": {**run.parts["versions"], "scipy": "0.1"}},
        {"contents": {"features": "changed"}},
    ):
        parts = {**run.parts, **changed}
        assert features_key(parts, run.plan, run.pipeline) != before
    # What only the model brings along does not.
    parts = {
        **run.parts,
        "versions": {**run.parts["versions"], "lightgbm": "4"},
        "own_code": {"mymodels.Mine": "x"},
        "contents": {"model": "changed"},
    }
    assert features_key(parts, run.plan, run.pipeline) == before


def test_a_users_own_features_count_by_their_source(
    key: Key, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "myfeatures.py"
    text = "from sklearn.feature_extraction.text import CountVectorizer as Mine\n"
    text += "class Own(Mine):\n    pass\n"
    module.write_text(text, encoding="utf-8")
    (tmp_path / "features").mkdir()
    config = tmp_path / "features" / "own.yaml"
    config.write_text("_target_: myfeatures.Own\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = key(table, "features=own", config_dirs=(tmp_path,))
    module.write_text(text + "# one line more\n", encoding="utf-8")
    assert key(table, "features=own", config_dirs=(tmp_path,)) != before
    sys.modules.pop("myfeatures", None)


def test_dear_is_what_the_config_says(prepared: Prepared, table: Path) -> None:
    assert is_dear(prepared(table, "features=lsa").config.tree["features"])
    assert not is_dear(prepared(table).config.tree["features"])
    assert not is_dear({"_target_": "x", "_about_": None})
