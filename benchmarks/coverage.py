"""How often do the 95 % intervals hold the true score? By simulation, beside the usual rivals.

    python benchmarks/coverage.py                 # 2,000 corpora per row, some minutes
    python benchmarks/coverage.py --corpora 300

Each row: corpora of one design and number of documents (see `sitrepbench.stats.simulation`); the
share of their intervals that hold the macro-F1 of 200,000 documents; the same for each label's
F1, the lowest and highest of the labels; and the mean width for macro-F1. The simulation's own
standard error is 0.5 points with 2,000 corpora. Corpora that lack a label are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, stdtrit

from sitrepbench.metrics.scores import f1_per_label
from sitrepbench.stats.intervals import (
    Jackknife,
    bootstrap_distribution,
    jackknife,
    label_effective_documents,
    proportion_interval,
)
from sitrepbench.stats.simulation import DESIGNS, CorpusDesign, population_counts, simulate_counts

Array = npt.NDArray[np.float64]
Interval = tuple[Array, Array]

RESAMPLES = 600
TAILS = [0.025, 0.975]


def scores(confusion: Array) -> Array:
    """Macro-F1 first, then the F1 of each label."""
    f1 = f1_per_label(confusion)
    return np.concatenate([f1.mean(axis=-1, keepdims=True), f1], axis=-1)


def effective_documents(counts: Array) -> Array:
    """How many documents each score rests on; the macro's number is the labels' mean."""
    per_label = label_effective_documents(counts)
    return np.concatenate([[per_label.mean()], per_label])


def _plain_t(result: Jackknife, counts: Array, seed: int) -> Interval:
    half = stdtrit(len(result.replicates) - 1, TAILS[1]) * result.standard_error
    return result.estimate - half, result.estimate + half


def _logit_t(result: Jackknife, counts: Array, seed: int) -> Interval:
    inside = np.clip(result.estimate, 1e-6, 1 - 1e-6)
    t = stdtrit(len(result.replicates) - 1, TAILS[1])
    half = t * result.standard_error / (inside * (1 - inside))
    return expit(logit(inside) - half), expit(logit(inside) + half)


def _score(result: Jackknife, counts: Array, seed: int) -> Interval:
    return proportion_interval(result)


def _document_bootstrap(result: Jackknife, counts: Array, seed: int) -> Interval:
    values = bootstrap_distribution(counts[np.newaxis], scores, n_resamples=RESAMPLES, seed=seed)
    low, high = np.quantile(values, TAILS, axis=0)
    return low, high


def _sentence_bootstrap(result: Jackknife, counts: Array, seed: int) -> Interval:
    # Drawing sentences with replacement is drawing cells of the pooled confusion matrix.
    pooled = counts.sum(axis=0)
    n_sentences = int(pooled.sum())
    cells = np.random.default_rng(seed).multinomial(
        n_sentences, pooled.ravel() / n_sentences, size=RESAMPLES
    )
    values = scores(cells.reshape(RESAMPLES, *pooled.shape).astype(np.float64))
    low, high = np.quantile(values, TAILS, axis=0)
    return low, high


METHODS: dict[str, Callable[[Jackknife, Array, int], Interval]] = {
    "score interval, t (ours)": _score,
    "jackknife t": _plain_t,
    "jackknife t, logit": _logit_t,
    "percentile, documents": _document_bootstrap,
    "percentile, sentences": _sentence_bootstrap,
}


def coverage(
    design: CorpusDesign, *, n_documents: int, n_corpora: int, seed: int
) -> dict[str, tuple[Array, float]]:
    """Return per method the coverage of macro-F1 and each label's F1, and the mean width."""
    truth = scores(population_counts(design))
    drawn = simulate_counts(design, n_corpora=n_corpora, n_documents=n_documents, seed=seed)
    corpora = drawn[(drawn.sum(axis=(1, 3)) > 0).all(axis=-1)]
    held = {name: np.zeros(len(truth)) for name in METHODS}
    width = dict.fromkeys(METHODS, 0.0)
    for number, counts in enumerate(corpora):
        effective = effective_documents(counts[np.newaxis])
        result = jackknife(counts[np.newaxis], scores, effective_documents=effective)
        for name, method in METHODS.items():
            low, high = method(result, counts, number)
            held[name] += (low <= truth) & (truth <= high)
            width[name] += float(min(high[0], 1.0) - max(low[0], 0.0))
    return {name: (held[name] / len(corpora), width[name] / len(corpora)) for name in METHODS}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=int, default=2000, help="simulated corpora per row")
    parser.add_argument("--documents", type=int, nargs="+", default=[20, 40, 70, 100])
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"{'design':17}{'docs':>5}  {'method':25}{'macro-F1':>9}{'label F1':>15}{'width':>7}")
    for design in DESIGNS:
        for n_documents in chosen.documents:
            rows = coverage(
                design, n_documents=n_documents, n_corpora=chosen.corpora, seed=chosen.seed
            )
            for name, (held, width) in rows.items():
                labels = f"{100 * held[1:].min():.1f}-{100 * held[1:].max():.1f}"
                print(
                    f"{design.name:17}{n_documents:5}  {name:25}{100 * held[0]:8.1f}%"
                    f"{labels:>14}%{width:7.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
