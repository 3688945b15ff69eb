"""Simulated predictions whose true score is known, to check the statistics against.

A corpus is documents of unequal length. Each document has its own mix of labels, is hard or
easy as a whole and for each label, and has its own habit of confusing labels; so errors are
clustered by document, as they are in news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sitrepbench.metrics.confusion import DocumentConfusions

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

#: How many sentences documents' own habits of confusion are worth; small is more clustered.
_CONFUSION_CONCENTRATION = 2.0
_POPULATION_DOCUMENTS = 200_000
_POPULATION_CHUNK = 20_000


@dataclass(frozen=True)
class CorpusDesign:
    """What corpora are drawn from.

    Parameters
    ----------
    name : str
        For tables.
    shares : tuple of float
        The expected share of each label; sums to one.
    recalls : tuple of float
        How often a sentence of each label is got right in a document of middling difficulty.
    mean_length : float
        Sentences per document; the lengths are 1 plus a negative binomial with two successes.
    mixing : float
        Documents draw their label mix from a Dirichlet with this sum; small is more clustered.
    difficulty : float
        The standard deviation, in logits, of a document's difficulty; half as much comes on top
        for each label in each document.
    """

    name: str
    shares: tuple[float, ...]
    recalls: tuple[float, ...]
    mean_length: float
    mixing: float
    difficulty: float


_SKEWED = (0.22, 0.08, 0.15, 0.09, 0.46)

#: The designs that the intervals are judged on; the labels are about as skewed as in real news.
DESIGNS: tuple[CorpusDesign, ...] = (
    CorpusDesign("good", _SKEWED, (0.85, 0.70, 0.75, 0.75, 0.85), 20, 3, 0.8),
    CorpusDesign("weak", _SKEWED, (0.55, 0.30, 0.45, 0.40, 0.75), 20, 3, 0.8),
    CorpusDesign("strong", _SKEWED, (0.95, 0.90, 0.92, 0.92, 0.96), 20, 3, 1.0),
    CorpusDesign("short documents", _SKEWED, (0.55, 0.30, 0.45, 0.40, 0.75), 6, 2, 0.8),
    CorpusDesign("narrow documents", _SKEWED, (0.85, 0.70, 0.75, 0.75, 0.85), 10, 1, 1.0),
)


def simulate_counts(design: CorpusDesign, *, n_corpora: int, n_documents: int, seed: int) -> Array:
    """Draw confusion counts, shape (n_corpora, n_documents, L, L), [gold, predicted]."""
    return _draw(design, (n_corpora, n_documents), np.random.default_rng(seed))


def simulate_models(
    designs: Sequence[CorpusDesign],
    *,
    n_corpora: int,
    n_documents: int,
    seed: int,
    shared: float = 0.6,
) -> Array:
    """Draw the confusion counts of several models on the same corpora.

    The documents and their gold labels are drawn from the first design; each model has its own
    recalls. A document is hard for all models by the share ``shared`` of its difficulty's
    variance and for each model by the rest, and each model confuses labels in its own way there.
    So models differ by document, not just by sentence. Each model's counts alone are
    distributed as `simulate_counts` of its own design, whose population has its true score.

    Parameters
    ----------
    designs : sequence of CorpusDesign
        One for each model, which differ in ``recalls`` alone.
    n_corpora, n_documents, seed : int
        How many of each, and the seed of all that is random.
    shared : float
        From 0 to 1.

    Returns
    -------
    ndarray, shape (n_models, n_corpora, n_documents, L, L)
    """
    generator = np.random.default_rng(seed)
    shape = (n_corpora, n_documents)
    gold = _draw_gold(designs[0], shape, generator)
    common = _draw_difficulty(designs[0], shape, generator)
    models = []
    for design in designs:
        own = _draw_difficulty(design, shape, generator)
        shift = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        models.append(_draw_predictions(design, gold, shift, generator))
    return np.stack(models)


def simulate_disagreements(one: Array, other: Array, *, seed: int) -> tuple[Counts, Counts]:
    """Draw how many sentences just one of two models has right, given both models' counts.

    Which sentences of a label a model has right in a document is independent of the other model.

    Parameters
    ----------
    one, other : ndarray, shape (..., n_documents, L, L)
        Of `simulate_models`.
    seed : int
        Of the draw.

    Returns
    -------
    only_one, only_other : int ndarray, shape (...)
    """
    generator = np.random.default_rng(seed)
    gold = one.sum(axis=-1).astype(np.int64)
    right, other_right = (
        np.diagonal(each, axis1=-2, axis2=-1).astype(np.int64) for each in (one, other)
    )
    both = generator.hypergeometric(right, gold - right, other_right)
    return (right - both).sum(axis=(-2, -1)), (other_right - both).sum(axis=(-2, -1))


def simulated_confusions(counts: Array) -> DocumentConfusions:
    """Give simulated documents, shape (n_documents, L, L), names: what the statistics take."""
    n_documents, n_labels, _ = counts.shape
    documents = tuple(f"document-{number:06d}" for number in range(n_documents))
    labels = tuple(f"label-{number}" for number in range(n_labels))
    full = counts[np.newaxis]
    return DocumentConfusions(documents, ("",) * n_documents, labels, full, full)


def with_skill(design: CorpusDesign, logits: float) -> CorpusDesign:
    """Return the design of a model whose every recall is this many logits better.

    >>> round(with_skill(DESIGNS[0], -0.5).recalls[0], 3)
    0.775
    """
    odds = [recall / (1 - recall) * float(np.exp(logits)) for recall in design.recalls]
    return replace(design, recalls=tuple(each / (1 + each) for each in odds))


def population_counts(design: CorpusDesign, *, seed: int = 0) -> Array:
    """Return the counts of 200,000 documents, shape (L, L): a score of them is the true score."""
    generator = np.random.default_rng(seed)
    chunks = _POPULATION_DOCUMENTS // _POPULATION_CHUNK
    totals = [_draw(design, (_POPULATION_CHUNK,), generator).sum(axis=0) for _ in range(chunks)]
    return np.asarray(np.sum(totals, axis=0))


def _draw(design: CorpusDesign, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    gold = _draw_gold(design, shape, generator)
    shift = _draw_difficulty(design, shape, generator)
    return _draw_predictions(design, gold, shift, generator)


def _draw_gold(
    design: CorpusDesign, shape: tuple[int, ...], generator: np.random.Generator
) -> Counts:
    """Draw each document's sentences by label, shape (*shape, L)."""
    shares = np.asarray(design.shares)
    n_labels = len(shares)
    more = design.mean_length - 1
    lengths = 1 + generator.negative_binomial(2.0, 2.0 / (2.0 + more), size=shape)
    mix = _dirichlet(np.broadcast_to(design.mixing * shares, (*shape, n_labels)), generator)
    return np.asarray(generator.multinomial(lengths, mix))


def _draw_difficulty(
    design: CorpusDesign, shape: tuple[int, ...], generator: np.random.Generator
) -> Array:
    """Draw how easy each document is, in all and by label, in units of the design's difficulty."""
    n_labels = len(design.shares)
    return np.asarray(
        generator.standard_normal((*shape, 1)) + 0.5 * generator.standard_normal((*shape, n_labels))
    )


def _draw_predictions(
    design: CorpusDesign, gold: Counts, shift: Array, generator: np.random.Generator
) -> Array:
    """Draw the confusion counts of documents with these gold labels and this ease."""
    shares, recalls = np.asarray(design.shares), np.asarray(design.recalls)
    *shape, n_labels = gold.shape
    recall = 1 / (1 + np.exp(-(np.log(recalls / (1 - recalls)) + design.difficulty * shift)))

    wrong = np.where(np.eye(n_labels, dtype=bool), 0.0, shares)
    wrong = _CONFUSION_CONCENTRATION * wrong / wrong.sum(axis=1, keepdims=True)
    mistakes = _dirichlet(np.broadcast_to(wrong, (*shape, n_labels, n_labels)), generator)
    rows = (1 - recall)[..., np.newaxis] * mistakes
    diagonal = np.arange(n_labels)
    rows[..., diagonal, diagonal] = recall
    rows /= rows.sum(axis=-1, keepdims=True)
    return generator.multinomial(gold, rows).astype(np.float64)


def _dirichlet(parameters: Array, generator: np.random.Generator) -> Array:
    """Draw one Dirichlet vector along the last axis for every set of parameters."""
    draws = generator.standard_gamma(parameters)
    # Gammas of tiny shape underflow to zero, all at once now and then.
    draws += np.finfo(np.float64).tiny * (parameters > 0)
    return np.asarray(draws / draws.sum(axis=-1, keepdims=True))
