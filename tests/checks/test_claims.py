"""SB041 to SB047, SB051 and SB052: each must fire, and must not."""

from __future__ import annotations

from typing import Any

import numpy as np

from sitrepbench.checks.check import Status, ask
from sitrepbench.checks.material import Material
from sitrepbench.checks.registry import find_check

KEYWORDS = "sitrepbench.models.KeywordRules"
MAJORITY = "sitrepbench.models.MajorityClass"


def status(code: str, *runs: Any) -> Status:
    return ask(find_check(code), Material(runs)).status


def test_a_lead_that_the_documents_cannot_show_is_found(made: Any, found: Any) -> None:
    runs = [made.run("one", table=made.predictions(0.81, documents=30)),
            made.run("two", table=made.predictions(0.80, documents=30, seed=1))]  # fmt: skip
    (told,) = found("SB041", runs)
    assert "cannot be told from chance. 30 documents could show" in told
    assert status("SB041", *runs) is Status.tip


def test_a_lead_over_the_baseline_that_cannot_be_shown_is_an_issue(made: Any) -> None:
    rules = made.run("rules", model=KEYWORDS, table=made.predictions(0.8, seed=1))
    runs = (made.run("one", table=made.predictions(0.85, seed=2)), rules)
    assert status("SB041", *runs) is Status.issue


def test_a_clear_lead_passes_and_other_documents_do_not_apply(
    made: Any, found: Any, unasked: Any
) -> None:
    best = made.run("one", table=made.predictions(0.9))
    assert not found("SB041", [best, made.run("two", table=made.predictions(0.5, seed=1))])
    other = made.run("two", table=made.predictions(0.9, documents=41))
    assert unasked("SB041", [best, other])


def test_no_model_better_than_keywords_is_an_issue(made: Any, found: Any) -> None:
    rules = made.run("rules", model=KEYWORDS, table=made.predictions(0.8, seed=1))
    worse = made.run("one", table=made.predictions(0.78))
    assert "no model is shown to be better" in found("SB042", [worse, rules])[0]
    assert status("SB042", worse, rules) is Status.issue


def test_one_model_no_better_than_keywords_is_a_tip(made: Any, found: Any) -> None:
    rules = made.run("rules", model=KEYWORDS, table=made.predictions(0.6, seed=1))
    good = made.run("good", table=made.predictions(0.95))
    bad = made.run("bad", table=made.predictions(0.6, seed=2))
    assert status("SB042", good, bad, rules) is Status.tip
    (told,) = found("SB042", [good, bad, rules])
    assert told.startswith("bad is")


def test_models_better_than_keywords_pass_and_floors_are_not_asked(
    made: Any, found: Any, unasked: Any
) -> None:
    rules = made.run("rules", model=KEYWORDS, table=made.predictions(0.4, seed=1))
    good = made.run("good", table=made.predictions(0.95))
    floor = made.run("majority", model=MAJORITY, table=made.predictions(constant="a"))
    assert not found("SB042", [good, rules, floor])
    assert unasked("SB042", [good, floor])


def test_a_model_at_chance_is_found(made: Any, found: Any) -> None:
    (told,) = found("SB043", [made.run(table=made.predictions(0.33, seed=5))])
    assert "Matthews' correlation" in told


def test_a_model_above_chance_passes_and_floors_may_be_there(
    made: Any, found: Any, unasked: Any
) -> None:
    floor = made.run("majority", model=MAJORITY, table=made.predictions(constant="a"))
    assert not found("SB043", [made.run(), floor])
    assert unasked("SB043", [floor])


def test_two_models_with_one_set_of_answers_are_found(made: Any, found: Any) -> None:
    (told,) = found("SB044", [made.run("one"), made.run("two")])
    assert told == "one, two gave the same label to each of 240 sentences"


def test_other_answers_constant_ones_and_the_same_model_pass(made: Any, found: Any) -> None:
    other = made.predictions(seed=1)
    assert not found("SB044", [made.run("one"), made.run("two", table=other)])
    constant = made.predictions(constant="a")
    assert not found("SB044", [made.run("one", table=constant), made.run("two", table=constant)])
    few = made.predictions(documents=5)
    assert not found("SB044", [made.run("one", table=few), made.run("two", table=few)])
    same = {"config": {"model": {"_target_": "x"}}}
    assert not found("SB044", [made.run("one", key_parts=same), made.run("two", key_parts=same)])


def test_a_training_score_far_above_is_found(made: Any, found: Any) -> None:
    (told,) = found("SB045", [made.run(table=made.predictions(0.6), training_score=0.99)])
    assert "macro-F1 0.990 on the rows it was fitted on" in told


def test_a_training_score_nearby_passes_and_none_does_not_apply(
    made: Any, found: Any, unasked: Any
) -> None:
    assert not found("SB045", [made.run(table=made.predictions(0.8), training_score=0.9)])
    assert "--refit" in unasked("SB045", [made.run()])


def test_one_document_is_an_issue_and_few_are_a_tip(made: Any, found: Any) -> None:
    single = made.run(table=made.predictions(documents=1))
    assert "one document" in found("SB046", [single])[0]
    assert status("SB046", single) is Status.issue
    assert status("SB046", made.run(table=made.predictions(documents=12))) is Status.tip


def test_many_documents_pass(made: Any, found: Any) -> None:
    assert not found("SB046", [made.run()])


def test_a_comparison_without_a_baseline_is_found_and_one_with_it_passes(
    made: Any, found: Any
) -> None:
    pair = [made.run("one"), made.run("two")]
    assert found("SB047", pair)
    assert not found("SB047", [*pair, made.run("majority", model=MAJORITY)])
    assert not found("SB047", [*pair, made.run("rules", model=KEYWORDS)])


def test_bad_probabilities_are_found(made: Any, found: Any) -> None:
    def changed(row: int, value: float) -> Any:
        table = made.predictions()
        table.frame.loc[row, "p_a"] = value
        return made.run(table=table)

    assert "do not sum to one; the worst sum is 1.2" in found("SB051", [changed(1, 0.3)])[0]
    assert "outside 0 to 1, such as -0.5" in found("SB051", [changed(1, -0.5)])[0]
    assert "some labels only" in found("SB051", [changed(1, np.nan)])[0]


def test_sound_probabilities_pass_and_none_do_not_apply(
    made: Any, found: Any, unasked: Any
) -> None:
    assert not found("SB051", [made.run()])
    table = made.predictions()
    table.frame[list(table.probability_columns)] = np.nan
    assert unasked("SB051", [made.run(table=table)])


def test_probabilities_that_contradict_the_labels_are_a_tip(made: Any) -> None:
    table = made.predictions()
    table.frame["p_a"], table.frame["p_b"], table.frame["p_c"] = 0.6, 0.2, 0.2
    assert status("SB051", made.run(table=table)) is Status.tip


def test_a_label_that_is_never_predicted_is_found(made: Any, found: Any) -> None:
    table = made.predictions()
    table.frame["predicted"] = table.frame["predicted"].replace("c", "a")
    (told,) = found("SB052", [made.run(table=table)])
    assert told == "svm never predicts c on dev"


def test_labels_in_use_pass_and_a_floor_need_not_use_them(made: Any, found: Any) -> None:
    floor = made.run("majority", model=MAJORITY, table=made.predictions(constant="a"))
    assert not found("SB052", [made.run(), floor])
