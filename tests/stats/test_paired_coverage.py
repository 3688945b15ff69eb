"""Do intervals, tests and power of paired differences keep their promises in simulated corpora?

Errors are clustered: documents are hard or easy for both models, and for each on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.stats.mcnemar import exact_p
from sitrepbench.stats.paired import PairedDifference, paired_difference
from sitrepbench.stats.power import minimum_detectable_difference, power_at
from sitrepbench.stats.randomisation import randomisation_test
from sitrepbench.stats.simulation import (
    DESIGNS,
    CorpusDesign,
    population_counts,
    simulate_disagreements,
    simulate_models,
    simulated_confusions,
    with_skill,
)

MACRO = partial(macro_f1, labels=np.ones(5, dtype=bool))
BY_NAME = {design.name: design for design in DESIGNS}
WORSE = -0.3


def corpora(drawn: np.ndarray) -> Iterator[tuple[DocumentConfusions, DocumentConfusions]]:
    for one, other in zip(*drawn, strict=True):
        yield simulated_confusions(one), simulated_confusions(other)


def true_difference(design: CorpusDesign, worse: float = WORSE) -> float:
    one, other = (population_counts(with_skill(design, by)) for by in (0.0, worse))
    return float(MACRO(one) - MACRO(other))


def predictions(counts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return every sentence's document-and-gold cell and predicted label, in random order."""
    labels = counts.shape[-1]
    flat = counts.reshape(-1).astype(int)
    cell, predicted = np.divmod(np.repeat(np.arange(flat.size), flat), labels)
    order = np.lexsort((rng.random(len(cell)), cell))
    return cell, predicted[order]


def sentence_interval(
    one: np.ndarray, other: np.ndarray, rng: np.random.Generator, n_resamples: int = 200
) -> tuple[float, float]:
    """Return the percentiles of a bootstrap that draws sentences as if there were no documents."""
    cell, first = predictions(one, rng)
    _, second = predictions(other, rng)
    joint = np.bincount((cell % 5 * 5 + first) * 5 + second, minlength=125)
    drawn = rng.multinomial(joint.sum(), joint / joint.sum(), size=n_resamples)
    drawn = drawn.reshape(n_resamples, 5, 5, 5).astype(float)
    values = MACRO(drawn.sum(axis=3)) - MACRO(drawn.sum(axis=2))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Coverage:
    by_documents: float
    by_sentences: float


def covered(design: CorpusDesign, *, n_documents: int, n_corpora: int) -> Coverage:
    truth = true_difference(design)
    drawn = simulate_models(
        [design, with_skill(design, WORSE)], n_corpora=n_corpora, n_documents=n_documents, seed=1
    )
    rng = np.random.default_rng(2)
    held = 0
    by_sentences = []
    for number, (one, other) in enumerate(corpora(drawn)):
        found = paired_difference(one, other, MACRO)
        held += found.low <= truth <= found.high
        if number % 2 == 0:  # half of them are enough to see that it is wrong
            low, high = sentence_interval(one.counts[0], other.counts[0], rng)
            by_sentences.append(low <= truth <= high)
    return Coverage(held / n_corpora, float(np.mean(by_sentences)))


@pytest.mark.slow
def test_interval_of_a_difference_holds_the_truth() -> None:
    # Of 400 corpora the share has a standard error of 1.1 points.
    result = covered(BY_NAME["weak"], n_documents=60, n_corpora=400)
    assert 0.93 <= result.by_documents <= 0.98
    assert result.by_sentences < 0.91


@pytest.mark.slow
@pytest.mark.parametrize("n_documents", [40, 70, 100])
@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_interval_of_a_difference_holds_the_truth_in_2000_corpora(
    name: str, n_documents: int
) -> None:
    result = covered(BY_NAME[name], n_documents=n_documents, n_corpora=2000)
    assert 0.93 <= result.by_documents <= 0.97
    # Documents of six sentences cluster least: there it is 88 %, elsewhere 78 to 84 %.
    assert result.by_sentences < 0.91
    assert result.by_sentences < result.by_documents - 0.03


def rejected(design: CorpusDesign, *, n_documents: int, n_corpora: int) -> dict[str, float]:
    """Return how often each test finds a difference at 0.05 where there is none."""
    drawn = simulate_models([design, design], n_corpora=n_corpora, n_documents=n_documents, seed=3)
    randomised = [
        randomisation_test(one, other, MACRO, n_permutations=199, seed=number)
        for number, (one, other) in enumerate(corpora(drawn))
    ]
    counts = zip(*simulate_disagreements(*drawn, seed=4), strict=True)
    mcnemar = [exact_p(int(one), int(other)) for one, other in counts]
    return {
        "randomisation": float((np.array(randomised) <= 0.05).mean()),
        "mcnemar": float((np.array(mcnemar) <= 0.05).mean()),
    }


@pytest.mark.slow
def test_size_of_the_tests() -> None:
    found = rejected(BY_NAME["weak"], n_documents=60, n_corpora=1000)
    assert 0.035 <= found["randomisation"] <= 0.065
    assert found["mcnemar"] > 0.15


@pytest.mark.slow
@pytest.mark.parametrize("n_documents", [40, 100])
@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_size_of_the_tests_in_2000_corpora(name: str, n_documents: int) -> None:
    found = rejected(BY_NAME[name], n_documents=n_documents, n_corpora=2000)
    assert 0.035 <= found["randomisation"] <= 0.065
    # Documents of six sentences cluster least.
    assert found["mcnemar"] > (0.065 if name == "short documents" else 0.12)


def comparisons(design: CorpusDesign, worse: float, n_corpora: int) -> list[PairedDifference]:
    drawn = simulate_models(
        [design, with_skill(design, worse)], n_corpora=n_corpora, n_documents=70, seed=5
    )
    return [paired_difference(one, other, MACRO) for one, other in corpora(drawn)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["good", "weak"])
def test_the_minimum_detectable_difference_is_detected_four_times_in_five(name: str) -> None:
    design = BY_NAME[name]
    claimed = float(
        np.mean([minimum_detectable_difference(each) for each in comparisons(design, 0.0, 400)])
    )
    # Models that differ by just what is claimed to be detectable.
    worse = -0.3 * claimed / true_difference(design, -0.3)
    truth = true_difference(design, worse)
    assert truth == pytest.approx(claimed, rel=0.1)
    found = comparisons(design, worse, 800)
    detected = float(np.mean([each.p_value <= 0.05 for each in found]))
    assert 0.74 <= detected <= 0.88
    promised = float(np.mean([power_at(each, truth) for each in found]))
    assert detected == pytest.approx(promised, abs=0.05)
