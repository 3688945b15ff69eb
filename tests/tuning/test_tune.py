"""Searches: their order, their budgets, failed trials, and going on after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.tuning import Given, GridSearch, OptunaSearch, RandomSearch
from sitrepbench.tuning.inner import InnerFolds
from sitrepbench.tuning.space import Settings
from sitrepbench.tuning.trials import trials_table
from sitrepbench.tuning.tune import Chosen, bind, choose

MODEL = {"_target_": "x.Y", "x": 5.0, "kind": "a"}
ABOUT = {
    "space": {"x": {"uniform": [0.0, 10.0]}, "kind": {"choice": ["a", "b"]}},
    "grid": {"x": [1.0, 3.0, 5.0], "kind": ["a", "b"]},
}


class Hill:
    """In place of inner folds: a score that is highest at x = 3, and that can fail."""

    def __init__(self, fails: Callable[[Settings], bool] = lambda _: False) -> None:
        self.asked: list[Settings] = []
        self._fails = fails

    def score(self, model: Any) -> float:
        self.asked.append(model)
        if self._fails(model):
            raise ValueError("did not converge")
        return 1 / (1 + (model.get("x", 3) - 3) ** 2)


def tuned(tuner: Any, hill: Hill | None = None, **kwargs: Any) -> Chosen:
    given = hill or Hill()
    return choose(
        bind(tuner, MODEL, ABOUT, lambda settings: settings),
        lambda _: cast("InnerFolds", given),
        prepare=lambda model: model,
        **{"seed": 1, **kwargs},
    )


def test_a_grid_is_tried_whole_and_the_first_best_is_taken() -> None:
    hill = Hill()
    chosen = tuned(GridSearch(), hill)
    assert hill.asked == [{"x": x, "kind": kind} for x in (1.0, 3.0, 5.0) for kind in "ab"]
    assert chosen.settings == {"x": 3.0, "kind": "a"}
    assert chosen.score == 1.0
    assert len(tuned(GridSearch(trials=4)).trials) == 4
    assert tuned(GridSearch(grid={"x": [7.0]})).settings == {"x": 7.0}


@pytest.mark.parametrize("search", [RandomSearch, OptunaSearch])
def test_the_models_own_settings_come_first_and_searching_helps(search: Any) -> None:
    hill = Hill()
    chosen = tuned(search(trials=25), hill)
    assert hill.asked[0] == {"x": 5.0, "kind": "a"}
    assert len(chosen.trials) == 25
    assert chosen.score is not None
    assert chosen.score > 0.8 > 1 / (1 + 4)
    again = tuned(search(trials=25))
    assert [trial.settings for trial in again.trials] == hill.asked
    other = tuned(search(trials=25, seed=2))
    assert [trial.settings for trial in other.trials] != hill.asked
    assert [trial.settings for trial in tuned(search(trials=25), seed=2).trials] != hill.asked


def test_optuna_learns_from_the_scores() -> None:
    hill = Hill()
    tuned(OptunaSearch(trials=40), hill)
    far = [abs(asked["x"] - 3) for asked in hill.asked]
    assert np.mean(far[-15:]) < 0.8 * np.mean(far[1:11])


def test_a_small_space_ends_by_itself() -> None:
    space = {"kind": {"choice": ["a", "b"]}}
    assert len(tuned(RandomSearch(trials=20, space=space)).trials) == 2


@pytest.mark.parametrize("search", [GridSearch, RandomSearch, OptunaSearch])
def test_no_trial_begins_after_the_time_is_up_and_one_there_is(search: Any) -> None:
    assert len(tuned(search(trials=5, seconds=1e-9)).trials) == 1


@pytest.mark.parametrize("search", [GridSearch, RandomSearch, OptunaSearch])
def test_failed_trials_end_no_search(search: Any) -> None:
    chosen = tuned(search(trials=6), Hill(fails=lambda model: model["kind"] == "a"))
    states = [trial.state for trial in chosen.trials]
    assert "failed" in states
    assert chosen.settings["kind"] == "b"
    assert any("trials failed" in note and "did not converge" in note for note in chosen.notes)
    table = trials_table([("dev", 0, 0, k, trial) for k, trial in enumerate(chosen.trials)])
    assert table["score"].isna().sum() == states.count("failed")
    with pytest.raises(ModelError, match="all 6 trials failed.*did not converge"):
        tuned(search(trials=6), Hill(fails=lambda _: True))


def test_an_interrupted_optuna_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = tuned(OptunaSearch(trials=12))
    file = tmp_path / "searches" / "cell.log"
    hill = Hill()

    def kill(done: int, most: int | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(OptunaSearch(trials=12), hill, file=file, on_trial=kill)
    assert file.is_file()
    chosen = tuned(OptunaSearch(trials=12), hill, file=file)
    assert len(hill.asked) == 12  # five before, seven after
    assert [t.settings for t in chosen.trials] == [t.settings for t in whole.trials]
    assert chosen.settings == whole.settings
    assert not file.exists()


def test_given_settings_are_applied_and_nothing_is_tried() -> None:
    hill = Hill()
    chosen = tuned(Given({"x": 2.0}), hill)
    assert (chosen.settings, chosen.trials, chosen.score) == ({"x": 2.0}, (), None)
    assert not hill.asked
    with pytest.raises(ConfigError, match=r"tuner\.settings\.z: the model has no such setting"):
        tuned(Given({"z": 1}))


def test_the_edge_of_a_space_is_told() -> None:
    (note,) = tuned(GridSearch(grid={"x": [3.0, 5.0, 7.0]})).notes
    assert "x=3.0 lies at the lower edge of its space (3.0 to 7.0)" in note


def test_a_model_without_a_space_is_left_as_it_is() -> None:
    hill = Hill()
    bound = bind(RandomSearch(), MODEL, {}, lambda settings: settings)
    assert not bound.changes
    chosen = choose(bound, lambda _: cast("InnerFolds", hill), prepare=lambda model: model, seed=1)
    assert (chosen.settings, hill.asked) == ({}, [])


@pytest.mark.parametrize(
    "wrong",
    [{"trials": 0}, {"seconds": 0.0}, {"n_folds": 1}],
)
@pytest.mark.parametrize("search", [GridSearch, RandomSearch, OptunaSearch])
def test_a_budget_that_is_none_is_refused(search: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"tuner.{next(iter(wrong))}="):
        search(**wrong)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ConfigError, match="tpe or random"):
        OptunaSearch(sampler="tpee")


@pytest.mark.parametrize("search", [RandomSearch, OptunaSearch])
def test_a_search_without_an_end_is_refused(search: Any) -> None:
    with pytest.raises(ConfigError, match="no end"):
        search(trials=None)
    with pytest.raises(ConfigError, match=r"tuner\.seed=-1"):
        search(seed=-1)


def test_a_torn_journal_is_set_aside_and_the_search_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "cell.log"

    def kill(done: int, most: int | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(OptunaSearch(trials=5), file=file, on_trial=kill)
    file.write_text(file.read_text(encoding="utf-8")[:-20] + "\n", encoding="utf-8")
    hill = Hill()
    assert len(tuned(OptunaSearch(trials=5), hill, file=file).trials) == 5
    assert hill.asked[0] == {"x": 5.0, "kind": "a"}


def test_optuna_tries_nothing_twice() -> None:
    space = {"kind": {"choice": ["a", "b"]}}
    hill = Hill()
    chosen = tuned(OptunaSearch(trials=8, space=space), hill)
    assert len(chosen.trials) == len(hill.asked) == 2


def test_a_trial_that_exits_or_says_much_is_a_failed_one() -> None:
    def leave(model: Settings) -> bool:
        if model["kind"] == "b":
            raise SystemExit(0)
        return False

    chosen = tuned(GridSearch(), Hill(fails=leave))
    assert [trial.state for trial in chosen.trials] == ["done", "failed"] * 3
