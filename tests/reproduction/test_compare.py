"""A comparison: every number its check, and the cause of a difference by name."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from sitrepbench.reproduction.compare import Comparison, compare_run
from sitrepbench.reproduction.facts import RunFacts, with_tuner_of

FACTS = RunFacts(
    name="svm",
    overrides=("model=svm",),
    chosen={"all": {"C": 0.1}},
    key_parts={
        "config": {"model": {"_target_": "a.B", "C": 0.3}, "tuner": {"trials": 5}},
        "contents": {"model": "ab" * 32},
        "seed": 0,
        "data": {"training": "cd" * 32, "scored": "cd" * 32},
        "sources": {"models/keywords.py": "12" * 8},
        "own_code": {"mine.Model": {"mine.py": "34" * 8}},
        "versions": {"numpy": "2.1"},
    },
    environment={"cpu": "A", "libraries": {"numpy": "2.1"},
                 "thread_pools": [{"library": "openblas", "threads": 1}]},
    deterministic=False,
    predictions_digest="ef" * 32,
    scores={"dev": {"macro_f1": 0.5, "log_loss": 0.7, "kappa": None}},
    n={"dev": 10},
)  # fmt: skip


def changed(path: str, value: Any, facts: RunFacts = FACTS) -> RunFacts:
    parts: Any = copy.deepcopy(dict(facts.key_parts))
    *above, last = path.split("/")
    node = parts
    for name in above:
        node = node[name]
    node[last.replace("|", "/")] = value
    return replace(facts, key_parts=parts)


def failed(comparison: Comparison) -> set[str]:
    return {check.name for check in comparison.failed}


def test_a_run_equals_itself() -> None:
    same = compare_run(FACTS, copy.deepcopy(FACTS), searched=True)
    assert same.passed
    assert not same.causes
    assert not same.environment
    names = [check.name for check in same.checks]
    assert names == ["data", "configuration", "chosen settings", "labels", "sentences",
                     "macro_f1", "log_loss", "kappa"]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "check", "cause"),
    [
        ("data/training", "ee" * 32, "data", "data: training: cdcd.. -> eeee.."),
        ("config/model/C", 1.0, "configuration", "setting: model.C: 0.3 -> 1.0"),
        ("contents/model", "ee" * 32, "configuration", "file of a step: model: abab.. -> eeee.."),
        ("seed", 1, "configuration", "setting: seed: 0 -> 1"),
    ],
)
def test_another_experiment_fails_even_with_the_same_numbers(
    path: str, value: Any, check: str, cause: str
) -> None:
    comparison = compare_run(FACTS, changed(path, value), searched=False)
    assert not comparison.passed
    assert failed(comparison) == {check}
    assert cause in comparison.causes


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("sources/models|keywords.py", "ee" * 8,
         "source of the program: models/keywords.py: changed"),
        ("own_code/mine.Model/mine.py", "ee" * 8, "your own source: mine.Model.mine.py: changed"),
        ("versions/numpy", "2.2", "library: numpy: 2.1 -> 2.2"),
    ],
)  # fmt: skip
def test_code_is_the_cause_where_numbers_differ_and_a_note_where_not(
    path: str, value: Any, cause: str
) -> None:
    now = changed(path, value)
    noted = compare_run(FACTS, now, searched=False)
    assert noted.passed
    assert noted.causes == (cause,)
    moved = replace(now, predictions_digest="00" * 32, scores={"dev": {**FACTS.scores["dev"],
                                                                     "macro_f1": 0.6}})  # fmt: skip
    comparison = compare_run(FACTS, moved, searched=False)
    assert failed(comparison) == {"labels", "macro_f1"}
    assert comparison.causes[0] == cause
    # It draws random numbers, which count only with other libraries.
    assert len(comparison.causes) == 1 + (path == "versions/numpy")
    sure = compare_run(replace(FACTS, deterministic=True), replace(moved, deterministic=True),
                       searched=False)  # fmt: skip
    assert sure.causes == (cause,)


@pytest.mark.parametrize(
    ("metric", "value", "passed"),
    [
        ("macro_f1", 0.500001, True),
        ("macro_f1", 0.500003, False),
        ("log_loss", 0.70009, True),
        ("log_loss", 0.70012, False),
        ("kappa", 0.0, False),
        ("macro_f1", None, False),
        ("new", None, False),
        ("weighted_f1", 0.5, True),  # the program has learned it since
    ],
)
def test_tolerances(metric: str, value: float | None, passed: bool) -> None:
    now = replace(FACTS, scores={"dev": {**FACTS.scores["dev"], metric: value}})
    assert compare_run(FACTS, now, searched=False).passed is passed


def test_parts_and_sentences_count() -> None:
    more = replace(
        FACTS, scores={**FACTS.scores, "test": {"macro_f1": 0.1}}, n={"dev": 9, "test": 3}
    )
    comparison = compare_run(FACTS, more, searched=False)
    assert [(c.part, c.name) for c in comparison.failed] == [
        ("dev", "sentences"), ("test", "sentences"), ("test", "macro_f1"),
    ]  # fmt: skip


def test_the_search_counts_only_where_it_is_repeated() -> None:
    refit = changed("config/tuner", {"settings": {"C": 0.1}})
    assert compare_run(FACTS, refit, searched=False).passed
    repeated = compare_run(FACTS, refit, searched=True)
    assert failed(repeated) == {"configuration"}
    otherwise = replace(FACTS, chosen={"all": {"C": 1.0}})
    comparison = compare_run(FACTS, otherwise, searched=True)
    assert failed(comparison) == {"chosen settings"}
    assert "the search chose otherwise" in comparison.causes[0]
    assert with_tuner_of(replace(refit, chosen={}), FACTS) == FACTS


def test_what_has_no_cause_says_so() -> None:
    scored = replace(FACTS, scores={"dev": {**FACTS.scores["dev"], "macro_f1": 0.6}})
    assert "scoring differs" in compare_run(FACTS, scored, searched=False).causes[0]
    moved = replace(FACTS, predictions_digest="00" * 32)
    assert "nothing that is recorded" in compare_run(FACTS, moved, searched=False).causes[0]
    elsewhere = replace(moved, environment={**FACTS.environment, "cpu": "B", "thread_pools": [
        {"library": "openblas", "threads": 2}]})  # fmt: skip
    comparison = compare_run(FACTS, elsewhere, searched=False)
    assert "nothing but what it ran on" in comparison.causes[0]
    assert comparison.environment == ("cpu: A -> B", "threads of openblas: 1 -> 2")
