"""SB021 to SB024: each must fire, and must not."""

from __future__ import annotations

from typing import Any

from sitrepbench.checks.material import CheckedRun, Material
from sitrepbench.store.looks import Look

DIGEST = "0" * 16
BEFORE, AFTER = "2026-11-20T09:00:00+00:00", "2026-11-20T11:00:00+00:00"
SEARCH = {"_target_": "T", "trials": 5, "n_folds": 3, "space": []}


def look(time: str = BEFORE, *, key: str = "k", digest: str = DIGEST, study: str = "") -> Look:
    return Look("made", digest, "test", key, "curious", "somebody", time, study)


def looked(runs: list[CheckedRun], *looks: Look) -> Material:
    return Material(tuple(runs), looks)


def test_a_look_before_a_development_run_is_found(made: Any, found: Any) -> None:
    (told,) = found("SB021", looked([made.run("one"), made.run("two")], look()))
    assert "somebody looked at made/test" in told
    assert "2 of 2 development runs were made after it: one, two" in told


def test_a_look_after_the_last_run_passes(made: Any, found: Any) -> None:
    assert not found("SB021", looked([made.run()], look(AFTER)))


def test_a_declared_look_and_one_at_other_data_pass(made: Any, found: Any) -> None:
    runs = [made.run()]
    assert not found("SB021", looked(runs, look(study="baselines"), look(digest="1" * 16)))


def test_a_look_at_the_training_data_of_a_run_counts(made: Any, found: Any) -> None:
    run = made.run(key_parts={"data": {"training": DIGEST, "scored": "2" * 16}})
    assert found("SB021", looked([run], look()))


def test_a_runs_own_look_passes_and_final_scores_are_no_development(
    made: Any, found: Any, unasked: Any
) -> None:
    run = made.run()
    assert not found("SB021", looked([run], look(key=run.record.key)))
    final = made.run(table=made.predictions(part="test"))
    assert unasked("SB021", looked([final], look()))


def test_a_search_with_test_scores_is_found(made: Any, found: Any) -> None:
    run = made.run(tuner=SEARCH, table=made.predictions(part="test"))
    assert found("SB022", looked([run], look(key=run.record.key)))


def test_a_declared_search_with_test_scores_passes(made: Any, found: Any, unasked: Any) -> None:
    run = made.run(tuner=SEARCH, table=made.predictions(part="test"))
    assert not found("SB022", looked([run], look(key=run.record.key, study="baselines")))
    assert unasked("SB022", looked([made.run(tuner=SEARCH)]))


def test_many_runs_on_one_test_split_are_found(made: Any, found: Any) -> None:
    (told,) = found("SB023", looked([made.run()], *(look(key=str(n)) for n in range(5))))
    assert told.startswith("5 different runs")


def test_few_runs_or_one_shown_often_pass(made: Any, found: Any) -> None:
    assert not found("SB023", looked([made.run()], *(look(key=str(n)) for n in range(4))))
    assert not found("SB023", looked([made.run()], *(look() for _ in range(9))))


def test_a_test_score_without_a_look_is_found_and_one_with_it_passes(
    made: Any, found: Any, unasked: Any
) -> None:
    run = made.run(table=made.predictions(part="test"))
    assert found("SB024", looked([run], look(key="other")))
    assert not found("SB024", looked([run], look(key=run.record.key)))
    assert unasked("SB024", looked([made.run()]))
