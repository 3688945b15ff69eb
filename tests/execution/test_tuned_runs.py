"""Tuned runs: nothing of the test rows is seen, the choice can be refitted, and all is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import ComplementNB

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import ConfigError
from sitrepbench.execution import execute
from sitrepbench.features import word_tfidf
from sitrepbench.fitting import Tuned, fits_of
from sitrepbench.models.folds import DocumentFolds
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.preparing import forget_data, prepare
from sitrepbench.protocols import Cell, GroupedCV, Plan
from sitrepbench.runs import Obtained, obtain
from sitrepbench.store.results import ResultsStore
from sitrepbench.tuning import GridSearch
from sitrepbench.tuning.tune import bind

GRID: dict[str, Any] = {"alpha": [0.01, 1.0, 50.0]}


class Spy(ComplementNB):  # type: ignore[misc]
    """Notes the shapes that it is fitted on and asked about."""

    seen: list[tuple[str, int]] = []

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Spy:
        self.seen.append(("fit", X.shape[0]))
        super().fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Any:
        self.seen.append(("predict", X.shape[0]))
        return super().predict(X)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    Spy.seen.clear()
    forget_data()
    yield
    forget_data()


def tuned_by_grid(model: type = ComplementNB) -> Tuned:
    node = {"_target_": "x.Y", "alpha": 1.0}
    return Tuned(bind(GridSearch(n_folds=3, grid=GRID), node, {}, lambda s: model(**s)))


def test_a_search_sees_training_rows_only(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    pipeline = build_pipeline(word_tfidf(min_df=1), Spy())
    execute(plan, pipeline, tuned=tuned_by_grid(Spy))
    per_cell = 3 * 3 * 2 + 2
    assert len(Spy.seen) == 3 * per_cell
    for number, cell in enumerate(plan.cells):
        seen = Spy.seen[number * per_cell : (number + 1) * per_cell]
        n_train = len(cell.train)
        for trial in range(3):
            held_out = 0
            for fold in range(3):
                (_, fitted), (_, asked) = seen[trial * 6 + 2 * fold : trial * 6 + 2 * fold + 2]
                assert fitted + asked == n_train
                held_out += asked
            assert held_out == n_train
        assert seen[-2:] == [("fit", n_train), ("predict", len(cell.test))]


def test_labels_of_test_rows_decide_nothing(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=3).plan(dataset)
    pipeline = build_pipeline(word_tfidf(min_df=1), ComplementNB())
    before = execute(plan, pipeline, tuned=tuned_by_grid())
    first = plan.cells[0]
    frame = dataset.frame.copy()
    turned = frame["label"].to_numpy(dtype=object).copy()
    turned[first.test] = np.roll(turned[first.test], 1)
    frame["label"] = pd.Series(turned, dtype=frame["label"].dtype)
    changed = Dataset(dataset.name, frame, dataset.labels, **_rest(dataset))
    after = execute(Plan(changed, changed, (first,)), pipeline, tuned=tuned_by_grid())
    assert after.chosen[0]["settings"] == before.chosen[0]["settings"]
    assert after.chosen[0]["score"] == before.chosen[0]["score"]


def _rest(dataset: Dataset) -> dict[str, Any]:
    return {
        name: getattr(dataset, name)
        for name in dataset.__dataclass_fields__
        if name not in ("name", "frame", "labels") and dataset.__dataclass_fields__[name].init
    }


def test_cells_with_the_same_training_rows_are_one_fit(dataset: Dataset) -> None:
    rows = np.arange(len(dataset.frame))
    train, one, two = rows[:90], rows[90:120], rows[120:]
    both = Plan(dataset, dataset, (Cell("dev", 0, 0, train, one), Cell("test", 0, 0, train, two)))
    assert [fit.cell.part for fit in fits_of(both)] == ["dev+test"]
    pipeline = build_pipeline(word_tfidf(min_df=1), Spy())
    joined = execute(both, pipeline).predictions
    assert Spy.seen == [("fit", 90), ("predict", 60)]
    for name, test in (("dev", one), ("test", two)):
        alone = execute(Plan(dataset, dataset, (Cell(name, 0, 0, train, test),)), pipeline)
        assert joined.part(name).frame.equals(alone.predictions.frame)
    repeats = Plan(dataset, dataset, (Cell("a", 0, 0, train, one), Cell("a", 1, 0, train, two)))
    assert len(fits_of(repeats)) == 2


@pytest.fixture
def table(tmp_path: Path, dataset: Dataset) -> Path:
    file = tmp_path / "table.csv"
    dataset.frame[["document_id", "text", "label"]].rename(
        columns={"document_id": "doc_id"}
    ).to_csv(file, index=False)
    return file


def obtained(table: Path, *overrides: str) -> Obtained:
    given = [
        f"dataset.path={table}",
        "protocol.n_folds=2",
        "features=word",
        "features.min_df=1",
        "model=complement_nb",
        f"results_dir={table.parent / 'results'}",
        *overrides,
    ]
    config = check_config(compose(given))
    return obtain(prepare(config), ResultsStore(config.results_dir))


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["grid", "random", "optuna"])
def test_a_tuned_run_keeps_its_trials_and_is_refitted_from_its_choice(
    table: Path, tuner: str
) -> None:
    searched = obtained(table, f"tuner={tuner}", "tuner.trials=4").record
    assert searched.tuning["search"]["trials"] == 4
    trials = searched.trials()
    assert list(trials["trial"]) == [0, 1, 2, 3] * 2
    for chosen in searched.tuning["chosen"]:
        own = trials[trials["fold"] == chosen["fold"]]
        best = own.loc[own["score"].idxmax()]
        assert json.loads(best["settings"]) == chosen["settings"]
        assert chosen["score"] == best["score"]
    assert not list((table.parent / "results" / "cache").rglob("*.log"))
    assert obtained(table, f"tuner={tuner}", "tuner.trials=4").cached
    # One cell's choice, given: that cell's labels are those of the search.
    first = searched.tuning["chosen"][0]
    given = json.dumps(first["settings"]).replace('"', "").replace(" ", "")
    refitted = obtained(table, "tuner=given", f"tuner.settings={given}").record
    frames = [record.predictions().frame for record in (searched, refitted)]
    one, two = (frame[frame["fold"] == first["fold"]].reset_index() for frame in frames)
    assert one["predicted"].equals(two["predicted"])
    assert refitted.tuning["chosen"][0]["settings"] == first["settings"]


@pytest.mark.slow
def test_what_a_tuner_decides_by_counts_in_the_key(table: Path) -> None:
    def key(*overrides: str) -> str:
        given = [f"dataset.path={table}", "protocol.n_folds=2", *overrides]
        return prepare(check_config(compose(given))).key

    plain = key("model=complement_nb")
    keys = {
        plain,
        key("model=complement_nb", "tuner=random"),
        key("model=complement_nb", "tuner=random", "tuner.trials=3"),
        key("model=complement_nb", "tuner=random", "tuner.seed=3"),
        key("model=complement_nb", "tuner=grid"),
        key("model=complement_nb", "tuner=optuna"),
        key("model=complement_nb", "tuner=given", "tuner.settings={alpha: 0.5}"),
        key("model=complement_nb", "tuner=random", "model._about_.space.alpha.log=[0.1,2]"),
    }
    assert len(keys) == 8
    # A space that nobody searches decides nothing, nor does a tuner of what cannot be tuned.
    assert key("model=complement_nb", "model._about_.space.alpha.log=[0.1,2]") == plain
    assert key("model=complement_nb", "tuner=given") == plain
    assert key("model=majority", "tuner=random") == key("model=majority")


def test_nothing_is_tuned_where_nothing_is_trained(table: Path) -> None:
    given = [f"dataset.path={table}", "protocol=score", "model=complement_nb", "tuner=grid"]
    config = check_config(compose(given))
    with pytest.raises(ConfigError, match="tuner=none"):
        prepare(config)


def test_a_model_with_features_of_its_own_is_told_no_nonsense(table: Path) -> None:
    given = [f"dataset.path={table}", "protocol.n_folds=2", "model=crf", "features=word"]
    assert not prepare(check_config(compose(given))).notes
    given = [f"dataset.path={table}", "protocol.n_folds=2", "model=keyword_rules", "features=word"]
    assert "does not apply" in prepare(check_config(compose(given))).notes[0]


class Scribbler(ComplementNB):  # type: ignore[misc]
    """Writes into what it is fitted on."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Scribbler:
        X.data *= 0.2
        super().fit(X, y, sample_weight)
        return self


def test_a_trial_does_not_change_what_the_next_one_sees(dataset: Dataset) -> None:
    plan = GroupedCV(n_folds=2).plan(dataset)
    node = {"_target_": "x.Y", "alpha": 1.0}
    grid = GridSearch(n_folds=2, grid={"alpha": [1.0, 1.0 + 1e-12, 1.0 + 2e-12]})
    tuned = Tuned(bind(grid, node, {}, lambda settings: Scribbler(**settings)))
    pipeline = build_pipeline(word_tfidf(min_df=1), Scribbler())
    trials = execute(plan, pipeline, tuned=tuned).trials
    assert (trials.groupby("fold")["score"].nunique() == 1).all()


def test_the_score_by_which_settings_are_chosen_counts_where_they_are(table: Path) -> None:
    def sources(*overrides: str) -> set[str]:
        given = [f"dataset.path={table}", "protocol.n_folds=2", "model=complement_nb", *overrides]
        return set(prepare(check_config(compose(given))).parts["sources"])

    assert sources("tuner=grid") - sources() == {"metrics/confusion.py", "metrics/scores.py"}


def test_a_tuner_that_changes_nothing_says_so(table: Path) -> None:
    given = [f"dataset.path={table}", "protocol.n_folds=2", "tuner=random", "model=majority"]
    notes = prepare(check_config(compose(given))).notes
    assert "tuner=random does not apply: majority has no space" in notes


def test_declared_clusters_stay_together_in_inner_folds(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = dataset.frame.copy()
    stories = {f"d{n}": f"story{n // 2}" for n in range(30)}
    frame["cluster"] = frame["document_id"].map(stories).astype(frame["cluster"].dtype)
    told = Dataset(dataset.name, frame, dataset.labels, **_rest(dataset))
    seen: list[tuple[set[str], set[str]]] = []
    real = DocumentFolds.split

    def watched(self: DocumentFolds, X: pd.DataFrame, *args: Any) -> Any:
        for fitted, held_out in real(self, X, *args):
            left, right = (
                {stories[name] for name in X["document_id"].iloc[part]}
                for part in (fitted, held_out)
            )
            seen.append((left, right))
            yield fitted, held_out

    monkeypatch.setattr(DocumentFolds, "split", watched)
    rows = np.arange(len(frame))
    plan = Plan(told, told, (Cell("dev", 0, 0, rows[:120], rows[120:]),))
    execute(plan, build_pipeline(word_tfidf(min_df=1), ComplementNB()), tuned=tuned_by_grid())
    assert len(seen) == 3
    assert not any(left & right for left, right in seen)
