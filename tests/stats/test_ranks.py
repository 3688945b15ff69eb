"""Rank intervals, groups and the optimism of the best, by simulation and by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import accuracy, macro_f1
from sitrepbench.stats.multiple import holm
from sitrepbench.stats.paired import paired_difference
from sitrepbench.stats.ranks import rank_models
from sitrepbench.stats.selection import best_of_optimism
from sitrepbench.stats.simulation import (
    DESIGNS,
    CorpusDesign,
    population_counts,
    simulate_models,
    simulated_confusions,
    with_skill,
)

BY_NAME = {design.name: design for design in DESIGNS}
MACRO = partial(macro_f1, labels=np.ones(5, dtype=bool))


def draw(
    design: CorpusDesign, skills: list[float], *, n_corpora: int, n_documents: int
) -> Iterator[list[DocumentConfusions]]:
    designs = [with_skill(design, skill) for skill in skills]
    drawn = simulate_models(designs, n_corpora=n_corpora, n_documents=n_documents, seed=6)
    for corpus in drawn.swapaxes(0, 1):
        yield [simulated_confusions(counts) for counts in corpus]


def all_held(
    design: CorpusDesign, skills: list[float], *, n_corpora: int, n_documents: int
) -> tuple[float, float]:
    """Return how often all intervals hold the true ranks, and the mean width of an interval."""
    # Equal models share a rank; any of the ranks that they take together is true of them.
    true_best = np.array([1 + sum(other > skill for other in skills) for skill in skills])
    true_worst = np.array([sum(other >= skill for other in skills) for skill in skills])
    held, widths = 0, []
    for models in draw(design, skills, n_corpora=n_corpora, n_documents=n_documents):
        found = rank_models(models, MACRO)
        held += bool(
            (found.best_rank <= true_best).all() and (true_worst <= found.worst_rank).all()
        )
        widths.append((found.worst_rank - found.best_rank).mean())
    return held / n_corpora, float(np.mean(widths))


SPREAD = [0.0, 0.0, -0.1, -0.3, -0.6, -0.6, -1.0, -1.5]


@pytest.mark.slow
def test_rank_intervals_hold_all_true_ranks() -> None:
    held, width = all_held(BY_NAME["weak"], SPREAD, n_corpora=300, n_documents=60)
    assert held >= 0.95
    # They say something: intervals of all ranks would be seven wide.
    assert width < 4


@pytest.mark.slow
@pytest.mark.parametrize("skills", [SPREAD, [0.0] * 6], ids=["spread", "equal"])
@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_rank_intervals_hold_all_true_ranks_in_many_corpora(name: str, skills: list[float]) -> None:
    held, _ = all_held(BY_NAME[name], skills, n_corpora=1000, n_documents=40)
    assert held >= 0.95


def test_pairs_are_the_paired_differences_adjusted_by_holm() -> None:
    (models,) = draw(BY_NAME["good"], [0.0, -0.2, -0.5, -1.0], n_corpora=1, n_documents=40)
    models[1] = replace(models[1], counts=np.concatenate([models[1].counts, models[3].counts]))
    found = rank_models(models, MACRO)
    above = np.triu_indices(4, k=1)
    pairs = [paired_difference(models[i], models[j], MACRO) for i, j in zip(*above, strict=True)]
    np.testing.assert_allclose(found.differences[above], [pair.estimate for pair in pairs])
    expected = holm([pair.p_value for pair in pairs])
    np.testing.assert_allclose(found.p_values[above], expected)
    np.testing.assert_allclose(found.p_values, found.p_values.T)
    np.testing.assert_allclose(np.diag(found.p_values), 1.0)
    np.testing.assert_allclose(found.differences, -found.differences.T)
    for index in range(4):
        differ = found.p_values[index] <= 0.05
        ahead = differ & (found.scores > found.scores[index])
        behind = differ & (found.scores < found.scores[index])
        assert found.best_rank[index] == 1 + ahead.sum()
        assert found.worst_rank[index] == 4 - behind.sum()


def test_groups_are_maximal_runs_that_overlap() -> None:
    (models,) = draw(BY_NAME["weak"], [-0.4, 0.0, -0.2, -0.6, -3.0], n_corpora=1, n_documents=60)
    found = rank_models(models, MACRO)
    order = np.argsort(-found.scores)
    place = {int(model): where for where, model in enumerate(order)}
    assert {model for group in found.groups for model in group} == set(range(5))
    for group in found.groups:
        places = [place[model] for model in group]
        assert places == list(range(places[0], places[-1] + 1))
        assert (found.p_values[np.ix_(group, group)] > 0.05).all()
        for neighbour in (places[0] - 1, places[-1] + 1):
            if 0 <= neighbour < 5:
                assert (found.p_values[order[neighbour], list(group)] <= 0.05).any()
    assert (4,) in found.groups
    assert len(found.groups) > 2


def test_equal_models_share_all_ranks() -> None:
    (models,) = draw(BY_NAME["weak"], [0.0], n_corpora=1, n_documents=20)
    found = rank_models(models * 3, accuracy)
    assert found.groups == ((0, 1, 2),)
    assert found.best_rank.tolist() == [1, 1, 1]
    assert found.worst_rank.tolist() == [3, 3, 3]
    alone = rank_models(models, accuracy)
    assert (alone.best_rank.tolist(), alone.worst_rank.tolist()) == ([1], [1])
    assert alone.groups == ((0,),)


def test_one_document_ranks_nothing() -> None:
    (models,) = draw(BY_NAME["weak"], [0.0, -2.0], n_corpora=1, n_documents=1)
    found = rank_models(models, accuracy)
    assert found.worst_rank.tolist() == [2, 2]
    assert len(found.groups) == 1


def test_models_of_other_documents_and_none_are_refused() -> None:
    (models,) = draw(BY_NAME["weak"], [0.0, 0.0], n_corpora=1, n_documents=4)
    other = replace(models[1], documents=("x", *models[1].documents[1:]))
    for function in (rank_models, best_of_optimism):
        with pytest.raises(DataError, match="same documents"):
            function([models[0], other], accuracy)
        with pytest.raises(DataError, match="models"):
            function([], accuracy)
    (single,) = draw(BY_NAME["weak"], [0.0, 0.0], n_corpora=1, n_documents=1)
    with pytest.raises(DataError, match="2 are needed"):
        best_of_optimism(single, accuracy)


def optimism(skills: list[float], *, n_corpora: int) -> tuple[float, float]:
    """Return how much too high the best's score truly is, and is said to be, on average."""
    design = BY_NAME["weak"]
    truth = {
        skill: float(MACRO(population_counts(with_skill(design, skill)))) for skill in set(skills)
    }
    by_luck, said = [], []
    bias = []
    for models in draw(design, skills, n_corpora=n_corpora, n_documents=60):
        found = best_of_optimism(models, MACRO, n_resamples=100)
        by_luck.append(found.apparent - truth[skills[found.best]])
        scores = [float(MACRO(model.pooled)[0]) for model in models]
        bias.append(np.mean(scores) - np.mean([truth[skill] for skill in skills]))
        said.append(found.optimism)
    return float(np.mean(by_luck) - np.mean(bias)), float(np.mean(said))


@pytest.mark.slow
def test_the_luck_of_the_best_of_equals_is_estimated() -> None:
    true, said = optimism([0.0] * 12, n_corpora=150)
    assert true > 0.015
    assert said == pytest.approx(true, rel=0.15)


@pytest.mark.slow
def test_the_luck_of_the_best_of_unequals_is_not_understated() -> None:
    true, said = optimism([0.0, 0.0, -0.1, -0.1, -0.2, -0.3, -0.5, -0.8], n_corpora=150)
    assert 0.8 * true <= said <= 2.5 * true


def test_there_is_no_luck_without_a_choice() -> None:
    (models,) = draw(BY_NAME["good"], [0.0, -4.0], n_corpora=1, n_documents=40)
    alone = best_of_optimism(models[:1], MACRO)
    assert alone.optimism == 0.0
    assert alone.corrected == alone.apparent == pytest.approx(MACRO(models[0].pooled)[0])
    same = best_of_optimism([models[0]] * 4, MACRO)
    assert same.optimism == 0.0
    assert same.best == 0
    # A choice that is never in doubt is no luck, whatever the resample.
    clear = best_of_optimism([models[1], models[0]], MACRO)
    assert clear.best == 1
    assert abs(clear.optimism) < 0.01
