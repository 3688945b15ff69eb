"""SB001 to SB007: each must fire, and must not."""

from __future__ import annotations

from typing import Any

from sitrepbench.checks.check import Severity, Status, ask
from sitrepbench.checks.material import CheckedStudy, Material, PlannedRun
from sitrepbench.checks.registry import find_check


def test_two_datasets_among_compared_runs_are_found(made: Any, found: Any) -> None:
    (told,) = found("SB001", [made.run("one"), made.run("two", data="1" * 16)])
    assert "00000000: one; 11111111: two" in told


def test_one_dataset_passes_and_a_single_run_is_not_compared(
    made: Any, found: Any, unasked: Any
) -> None:
    assert not found("SB001", [made.run("one"), made.run("two")])
    assert "no two finished runs" in unasked("SB001", [made.run("one")])


def test_data_that_the_study_sweeps_are_compared_within_each(made: Any, unasked: Any) -> None:
    runs = [made.run("one", setting=("dataset=x",)),
            made.run("two", data="1" * 16, setting=("dataset=y",))]  # fmt: skip
    assert unasked("SB001", runs)


def test_two_protocols_are_found_with_what_differs(made: Any, found: Any) -> None:
    folds = {"_target_": "P.GroupedCV", "n_folds": 5}
    (told,) = found("SB002", [made.run("one", protocol=folds),
                              made.run("two", protocol={**folds, "n_folds": 10})])  # fmt: skip
    assert "GroupedCV n_folds=5: one; GroupedCV n_folds=10: two" in told


def test_one_protocol_passes_and_so_does_one_that_is_swept(made: Any, found: Any) -> None:
    assert not found("SB002", [made.run("one"), made.run("two")])
    few = {"_target_": "P.Learning", "documents": 20}
    swept = [made.run(f"{name} {n}", protocol={**few, "documents": n},
                      setting=(f"protocol.documents={n}",))
             for n in (20, 40) for name in ("x", "y")]  # fmt: skip
    assert not found("SB002", swept)


def test_other_sources_own_code_and_libraries_are_found(made: Any, found: Any) -> None:
    other = {"sources": {"fitting.py": "22"}, "own_code": {"mine.A": {"m.py": "1"}},
             "versions": {"numpy": "2.1"}}  # fmt: skip
    first = made.run("one", key_parts={"own_code": {"mine.A": {"m.py": "2"}}})
    (told,) = found("SB003", [first, made.run("two", key_parts=other)])
    assert "fitting.py" in told
    assert "mine.A" in told
    assert "numpy differs: 2.0: one; 2.1: two" in told


def test_what_only_one_run_brings_is_no_difference(made: Any, found: Any) -> None:
    more = {
        "sources": {"fitting.py": "11", "metrics/scores.py": "3"},
        "own_code": {"mine.A": {"m.py": "1"}},
        "versions": {"numpy": "2.0", "optuna": "4"},
    }
    assert not found("SB003", [made.run("one"), made.run("two", key_parts=more)])


def test_another_python_is_a_tip(made: Any) -> None:
    runs = (made.run("one"), made.run("two", environment={"python": "3.12"}))
    assert ask(find_check("SB003"), Material(runs)).status is Status.tip


def test_seeds_that_changed_the_split_are_found(made: Any, found: Any) -> None:
    runs = [
        made.run("one", table=made.predictions(folds=2), record={"config": config(0)}),
        made.run("two", table=made.predictions(folds=3), record={"config": config(1)}),
    ]
    (told,) = found("SB004", runs)
    assert "2 different splits" in told
    assert "seeds: 0, 1" in told


def config(seed: int) -> dict[str, Any]:
    return {"model": {"_target_": "x"}, "tuner": None, "seed": seed}


def test_the_same_split_passes_and_another_protocol_is_another_split(made: Any, found: Any) -> None:
    tables = [made.predictions(0.8, folds=2), made.predictions(0.4, folds=2, seed=3)]
    assert not found("SB004", [made.run("one", table=tables[0]), made.run("two", table=tables[1])])
    other = made.run("three", table=made.predictions(folds=3), protocol={"_target_": "Q"})
    assert not found("SB004", [made.run("one", table=tables[0]), other])


def study(*planned: PlannedRun) -> CheckedStudy:
    return CheckedStudy("tiny", planned, "sitrepbench run experiments=tiny")


def test_missing_runs_of_a_study_are_found_by_their_cause(made: Any, found: Any) -> None:
    told = found(
        "SB005",
        Material(
            (made.run(),),
            study=study(
                PlannedRun("svm"),
                PlannedRun("sgd", "it was never run"),
                PlannedRun("knn", "it was never run"),
                PlannedRun("crf", "it failed: ModelError: no"),
            ),
        ),
    )
    assert told[0].startswith("2 of 4 runs: it was never run: sgd, knn.")
    assert "1 of 4 runs: it failed: ModelError: no: crf" in told[1]


def test_a_whole_study_passes_and_loose_runs_have_no_plan(
    made: Any, found: Any, unasked: Any
) -> None:
    assert not found("SB005", Material((made.run(),), study=study(PlannedRun("svm"))))
    assert "no study" in unasked("SB005", [made.run()])


def test_a_run_of_an_older_version_is_a_tip(made: Any) -> None:
    material = Material((made.run(),), study=study(PlannedRun("svm", outdated="C: 1 -> 2")))
    result = ask(find_check("SB005"), material)
    assert result.status is Status.tip
    assert result.findings[0].severity is Severity.tip


def test_a_dirty_tree_is_found(made: Any, found: Any) -> None:
    (told,) = found("SB006", [made.run("one", environment={"dirty": True}), made.run("two")])
    assert told.startswith("1 of 2 runs")
    assert "one" in told


def test_clean_runs_pass_and_an_installed_program_has_no_tree(
    made: Any, found: Any, unasked: Any
) -> None:
    assert not found("SB006", [made.run()])
    installed = {"commit": None, "dirty": None}
    assert "git" in unasked("SB006", [made.run(environment=installed)])
    assert found("SB006", [made.run("one"), made.run("two", environment=installed)])


def test_different_machines_are_found_and_one_passes(made: Any, found: Any) -> None:
    assert found("SB007", [made.run("one"), made.run("two", environment={"cpu": "y"})])
    assert not found("SB007", [made.run("one"), made.run("two")])
