"""One run: a plan and a pipeline in, predictions and timings out. Knows no Hydra and no MLflow."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sitrepbench.data.dataset import (
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    SECONDARY,
    SENTENCE_ID,
    TEXT,
    Dataset,
)
from sitrepbench.environment import peak_memory_mb
from sitrepbench.errors import ModelError
from sitrepbench.predictions import FOLD, KEY_COLUMNS, PART, PREDICTED, REPEAT, PredictionsTable
from sitrepbench.protocols.cells import Cell, Plan
from sitrepbench.seeding import seed_for

FEATURES_STEP = "features"
MODEL_STEP = "model"
#: Solvers of logistic regression that shuffle nothing (scikit-learn's user guide, 1.1.11.3).
DETERMINISTIC_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky")
#: How far the probabilities of a row may be from summing to one.
SUM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class CellTiming:
    """What one cell cost: wall time in seconds, counts of rows."""

    part: str
    repeat: int
    fold: int
    n_train: int
    n_test: int
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True)
class RunResult:
    """What one run produces.

    Parameters
    ----------
    predictions : PredictionsTable
        All cells' rows.
    timings : DataFrame
        One row per cell, columns as the fields of `CellTiming`.
    peak_memory_mb : float
        The highest resident set of the process by the end of the run, MiB.
    notes : tuple of str
        Warnings of the libraries, each once with its count.
    """

    predictions: PredictionsTable
    timings: pd.DataFrame
    peak_memory_mb: float
    notes: tuple[str, ...]


def reads_frame(model: Any) -> bool:
    """Return whether a model reads the sentence table itself, so that no features apply."""
    return bool(getattr(model, "reads_frame", False))


def build_pipeline(features: Any, model: Any) -> Pipeline:
    """Return the unfitted pipeline from a DataFrame of sentences to labels.

    A bare text vectoriser is bound to the column ``text``: given a DataFrame, it would read the
    column names as its documents.
    """
    if reads_frame(model):
        return Pipeline([(MODEL_STEP, model)])
    if features is None:
        raise ModelError(
            f"{type(model).__name__} needs features; choose some, such as features=word_char"
        )
    if _reads_strings(features):
        features = ColumnTransformer([(TEXT, features, TEXT)], sparse_threshold=1.0)
    return Pipeline([(FEATURES_STEP, features), (MODEL_STEP, model)])


def _reads_strings(transformer: Any) -> bool:
    first = transformer.steps[0][1] if isinstance(transformer, Pipeline) else transformer
    return hasattr(first, "__sklearn_tags__") and bool(get_tags(first).input_tags.string)


def unset_seeds(pipeline: Pipeline) -> list[str]:
    """Return the parameters that seed randomness and that nobody has set, sorted.

    Empty where a pipeline draws no random numbers; then a run's seed decides nothing.
    """
    parameters = pipeline.get_params(deep=True)
    return sorted(
        name
        for name, value in parameters.items()
        if value is None
        and (name.endswith("__random_state") or name == "random_state")
        and not _draws_nothing(parameters.get(name.rpartition("__")[0]))
    )


def _draws_nothing(estimator: Any) -> bool:
    """Return whether an estimator takes a seed but, as it is set, has no use for it."""
    return isinstance(estimator, LogisticRegression) and estimator.solver in DETERMINISTIC_SOLVERS


def execute(
    plan: Plan,
    pipeline: Pipeline,
    *,
    seed: int = 0,
    on_cell: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Fit and predict every cell of a plan.

    Parameters
    ----------
    plan : Plan
        Which rows to fit and which to predict.
    pipeline : Pipeline
        Unfitted; a clone of it is fitted per cell, on that cell's training rows only.
    seed : int
        Seeds what in the pipeline draws random numbers, per cell; splits do not depend on it.
    on_cell : callable or None
        Told after each cell how many are done, of how many.

    Raises
    ------
    ModelError
        When the pipeline fails, or what it predicts breaks the contract.
    """
    if not plan.fits and get_tags(pipeline.steps[-1][1]).requires_fit:
        name = type(pipeline.steps[-1][1]).__name__
        raise ModelError(
            f"protocol 'score' fits nothing, but {name} has to be fitted. Choose a model that "
            "needs no fitting (model=keyword_rules, or model=majority model.label=background), "
            "or a protocol that trains."
        )
    blocks: list[pd.DataFrame] = []
    timings: list[CellTiming] = []
    caught: Counter[str] = Counter()
    for done, cell in enumerate(plan.cells, start=1):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            rows, timing = fit_cell(plan, cell, pipeline=pipeline, seed=seed)
        caught.update(f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in heard)
        blocks.append(rows)
        timings.append(timing)
        if on_cell is not None:
            on_cell(done, len(plan.cells))
    notes = tuple(f"{text} ({count} times)" for text, count in caught.items())
    return RunResult(
        PredictionsTable(pd.concat(blocks, ignore_index=True), plan.training.labels),
        pd.DataFrame([asdict(timing) for timing in timings]),
        peak_memory_mb(),
        notes,
    )


def fit_cell(
    plan: Plan, cell: Cell, *, pipeline: Pipeline, seed: int
) -> tuple[pd.DataFrame, CellTiming]:
    """Fit a clone of ``pipeline`` on one cell and return its prediction rows and timing."""
    fitted = clone(pipeline)
    fitted.set_params(
        **{
            name: seed_for("model", parameter=name, seed=seed, repeat=cell.repeat, fold=cell.fold)
            for name in unset_seeds(fitted)
        }
    )
    where = f"{cell.part}, repeat {cell.repeat}, fold {cell.fold}"
    test = _inputs(plan.scored, cell.test)
    try:
        started = time.perf_counter()
        if plan.fits:
            train = plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train]
            fitted.fit(_inputs(plan.training, cell.train), train)
        fit_done = time.perf_counter()
        predicted, probabilities = _predict(fitted, test, plan.training.labels)
        predict_done = time.perf_counter()
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    except Exception as error:  # a model is anybody's code
        name = type(pipeline.steps[-1][1]).__name__
        raise ModelError(f"{name} failed ({where}): {type(error).__name__}: {error}") from error
    rows = _rows(plan, cell, predicted, probabilities)
    timing = CellTiming(
        cell.part,
        cell.repeat,
        cell.fold,
        len(cell.train),
        len(cell.test),
        fit_done - started,
        predict_done - fit_done,
    )
    return rows, timing


def _inputs(dataset: Dataset, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return what a model may see: everything but the labels and what was derived from them."""
    hidden = [LABEL, SECONDARY, "split", "cluster"]
    return dataset.frame.drop(columns=hidden).iloc[rows].reset_index(drop=True)


def _predict(
    fitted: Pipeline, inputs: pd.DataFrame, labels: tuple[str, ...]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    transformed = fitted[:-1].transform(inputs) if len(fitted.steps) > 1 else inputs
    model = fitted.steps[-1][1]
    predicted = np.asarray(model.predict(transformed), dtype=object)
    if predicted.shape != (len(inputs),):
        raise ModelError(
            f"predict gave an array of shape {predicted.shape} for {len(inputs)} sentences; "
            "one label per sentence is expected"
        )
    unknown = sorted({str(value) for value in predicted} - set(labels))
    if unknown:
        raise ModelError(
            f"predicted label(s) that the dataset does not have: {', '.join(unknown[:5])}; "
            f"its labels are {', '.join(labels)}"
        )
    probabilities = np.full((len(inputs), len(labels)), np.nan)
    if hasattr(model, "predict_proba"):
        given = np.asarray(model.predict_proba(transformed), dtype=np.float64)
        _check_probabilities(given, len(inputs), len(model.classes_))
        probabilities[:] = 0.0
        probabilities[:, [labels.index(str(name)) for name in model.classes_]] = given
    return predicted, probabilities


def _check_probabilities(given: npt.NDArray[np.float64], n_rows: int, n_classes: int) -> None:
    if given.shape != (n_rows, n_classes):
        raise ModelError(f"predict_proba gave shape {given.shape}, expected {(n_rows, n_classes)}")
    broken = ~np.isfinite(given).all(axis=1)
    if broken.any():
        raise ModelError(
            f"predict_proba gave NaN or infinite values for {int(broken.sum())} of {n_rows} "
            "sentences"
        )
    off = np.abs(given.sum(axis=1) - 1.0)
    if len(off) and (off.max() > SUM_TOLERANCE or given.min() < -SUM_TOLERANCE):
        raise ModelError(
            f"predict_proba gave rows that are no probabilities: sums are off by up to "
            f"{off.max():.3g}, the smallest value is {given.min():.3g}"
        )


def _rows(
    plan: Plan,
    cell: Cell,
    predicted: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
) -> pd.DataFrame:
    taken = [SENTENCE_ID, DOCUMENT_ID, DOMAIN, LABEL, SECONDARY]
    rows = plan.scored.frame[taken].iloc[cell.test].reset_index(drop=True)
    rows[PART], rows[REPEAT], rows[FOLD] = cell.part, cell.repeat, cell.fold
    rows[PREDICTED] = predicted.astype(str)
    rows = rows[list(KEY_COLUMNS)]
    columns = [f"p_{label}" for label in plan.training.labels]
    return pd.concat([rows, pd.DataFrame(probabilities, columns=columns)], axis=1)
