"""SB031 to SB035: each must fire, and must not."""

from __future__ import annotations

from typing import Any

from sitrepbench.checks.check import Status, ask
from sitrepbench.checks.material import Material
from sitrepbench.checks.registry import find_check

SPACE = [["C", "log", [0.01, 10.0]], ["kind", "choice", ["x", "y"]]]
SEARCH = {"_target_": "T", "trials": 20, "seconds": None, "n_folds": 3, "space": SPACE}
TUNABLE = {"space": {"C": {"log": [0.01, 10.0]}}}


def tried(number: int) -> dict[str, Any]:
    return {"tuning": {"chosen": [{"part": "dev", "trials": number, "settings": {}}]}}


def test_unequal_trials_seconds_and_folds_are_found(made: Any, found: Any) -> None:
    for change in ({"trials": 5}, {"seconds": 60.0}, {"n_folds": 5}):
        runs = [made.run("one", tuner=SEARCH), made.run("two", tuner={**SEARCH, **change})]
        (told,) = found("SB031", runs)
        assert "20 trials on 3 inner folds: one" in told


def test_equal_budgets_pass_whatever_the_space(made: Any, found: Any, unasked: Any) -> None:
    other = {**SEARCH, "space": [["alpha", "log", [0.1, 1.0]]]}
    floor = made.run("majority", model="sitrepbench.models.MajorityClass")
    assert not found("SB031", [made.run("one", tuner=SEARCH), made.run("two", tuner=other), floor])
    assert "nothing was searched" in unasked("SB031", [made.run("one"), made.run("two")])


def test_a_model_left_untuned_beside_tuned_ones_is_found(made: Any, found: Any) -> None:
    (told,) = found("SB031", [made.run("one", tuner=SEARCH), made.run("two", about=TUNABLE)])
    assert told.startswith("two: run with the settings that came with it")


def test_settings_given_by_hand_are_a_tip(made: Any) -> None:
    given = {"_target_": "sitrepbench.tuning.Given", "settings": {"C": 1}}
    runs = (made.run("one", tuner=SEARCH), made.run("two", tuner=given, search=None, about=TUNABLE))
    assert ask(find_check("SB031"), Material(runs)).status is Status.tip


def test_without_a_limit_of_trials_what_was_tried_counts(made: Any, found: Any) -> None:
    free = {**SEARCH, "trials": None, "seconds": 60.0}
    for numbers, issues in (((40, 10), 1), ((12, 10), 0)):
        runs = [made.run(str(n), tuner=free, record=tried(n)) for n in numbers]
        assert len(found("SB031", runs)) == issues


def test_budgets_that_the_study_sweeps_pass(made: Any, found: Any) -> None:
    runs = [made.run(f"{model} {n}", tuner={**SEARCH, "trials": n}, setting=(f"tuner.trials={n}",))
            for n in (5, 20) for model in ("x", "y")]  # fmt: skip
    assert not found("SB031", runs)


def test_an_optimum_at_the_edge_is_found(made: Any, found: Any) -> None:
    run = made.run(tuner=SEARCH, chosen=[{"C": 10.0, "kind": "x"}, {"C": 9.9, "kind": "y"}])
    (told,) = found("SB032", [run])
    assert "C at its upper edge (0.01 to 10.0) in 2 of 2 cell(s)" in told


def test_an_optimum_inside_passes_and_so_does_one_cell_of_many(
    made: Any, found: Any, unasked: Any
) -> None:
    inside = [{"C": 1.0, "kind": "x"}] * 4
    assert not found("SB032", [made.run(tuner=SEARCH, chosen=inside)])
    assert not found("SB032", [made.run(tuner=SEARCH, chosen=[*inside, {"C": 10.0}])])
    assert unasked("SB032", [made.run()])


def test_one_model_in_many_variants_is_found(made: Any, found: Any) -> None:
    runs = [made.run(f"svm C={n}") for n in range(3)]
    (told,) = found("SB033", [*runs, made.run("sgd")])
    assert told.startswith("svm stands there in 3 variants, sgd in 1")


def test_as_many_variants_of_each_pass(made: Any, found: Any) -> None:
    assert not found("SB033", [made.run(f"{m} {n}") for m in ("svm", "sgd") for n in range(5)])


def test_failed_trials_and_fits_that_did_not_converge_are_found(made: Any, found: Any) -> None:
    notes = ["tuning: 3 of 20 trials failed, the first with {}: no",
             "ConvergenceWarning: lbfgs failed to converge (5 times)"]  # fmt: skip
    told = found("SB034", [made.run(record={"notes": notes})])
    assert "3 of 20 trials failed" in told[0]
    assert "failed to converge" in told[1]


def test_other_notes_pass(made: Any, found: Any) -> None:
    notes = ["tuning: C=10 lies at the upper edge of its space (0.01 to 10)"]
    assert not found("SB034", [made.run(record={"notes": notes})])


def test_a_random_model_with_one_seed_is_found(made: Any, found: Any) -> None:
    assert found("SB035", [made.run(key_parts={"seed": 0})])


def test_several_seeds_pass_and_nothing_random_does_not_apply(
    made: Any, found: Any, unasked: Any
) -> None:
    config = {"config": {"model": {"_target_": "x"}}}
    assert not found("SB035", [made.run(str(n), key_parts={**config, "seed": n}) for n in (0, 1)])
    assert unasked("SB035", [made.run()])
