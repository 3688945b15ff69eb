"""One run: a plan and a pipeline in, predictions and timings out. Knows no Hydra and no MLflow."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sitrepbench.data.dataset import (
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    SECONDARY,
    SENTENCE_ID,
    Dataset,
)
from sitrepbench.environment import peak_memory_mb, reset_peak_memory
from sitrepbench.errors import ModelError
from sitrepbench.models.answers import Answers, predict
from sitrepbench.models.pipeline import unset_seeds
from sitrepbench.predictions import FOLD, KEY_COLUMNS, PART, PREDICTED, REPEAT, PredictionsTable
from sitrepbench.protocols.cells import Cell, Plan
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.reuse.transformed import (
    CellName,
    Matrix,
    Transformed,
    handed_out,
    wants_to_write,
    writeable_copy,
)
from sitrepbench.seeding import seed_for


@dataclass(frozen=True)
class CellTiming:
    """What one cell cost: wall time in seconds, counts of rows.

    Times are those of a run by itself. Where fitted features were taken over from another run,
    ``fit_seconds`` and ``predict_seconds`` count what they cost when they were made; so the sum
    over runs that share features is more than the time that passed.

    Parameters
    ----------
    part, repeat, fold
        The cell.
    n_train, n_test : int
        Rows.
    fit_seconds : float
        Fitting the features and the model.
    predict_seconds : float
        Transforming the test rows and predicting them.
    features_seconds : float
        The part of ``fit_seconds`` that went into the features.
    reused : bool
        Whether the features were taken over, from memory or from the disk.
    """

    part: str
    repeat: int
    fold: int
    n_train: int
    n_test: int
    fit_seconds: float
    predict_seconds: float
    features_seconds: float
    reused: bool


@dataclass(frozen=True)
class CellResult:
    """What one cell gives: its prediction rows, what it cost, and the warnings that were heard."""

    rows: pd.DataFrame
    timing: CellTiming
    notes: tuple[str, ...]


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
        The highest resident set of the process while the run was computed, MiB, with what the
        process held before: libraries, data, features kept from other runs. Where the system
        cannot count anew (other than Linux), the highest since the process began.
    notes : tuple of str
        Warnings of the libraries, each once with its count.
    """

    predictions: PredictionsTable
    timings: pd.DataFrame
    peak_memory_mb: float
    notes: tuple[str, ...]


def execute(
    plan: Plan,
    pipeline: Pipeline,
    *,
    seed: int = 0,
    on_cell: Callable[[int, int], None] | None = None,
    fitted: FittedFeatures | None = None,
    features_key: str = "",
    dear: bool = False,
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
    fitted : FittedFeatures or None
        Where features are looked for, and kept for the next run. The predictions are the same,
        byte for byte, with it and without.
    features_key : str
        As `sitrepbench.reuse.keys.features_key` gives it; where it is empty, nothing is reused.
    dear : bool
        Whether the features are worth the disk.

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
    reset_peak_memory()
    results: list[CellResult] = []
    for done, cell in enumerate(plan.cells, start=1):
        results.append(
            fit_cell(
                plan,
                cell,
                pipeline=pipeline,
                seed=seed,
                fitted=fitted,
                features_key=features_key,
                dear=dear,
            )
        )
        if on_cell is not None:
            on_cell(done, len(plan.cells))
    caught = Counter(note for result in results for note in result.notes)
    notes = tuple(f"{text} ({count} times)" for text, count in caught.items())
    rows = results[0].rows
    if len(results) > 1:
        rows = pd.concat([result.rows for result in results], ignore_index=True)
    return RunResult(
        PredictionsTable(rows, plan.training.labels),
        pd.DataFrame([asdict(result.timing) for result in results]),
        peak_memory_mb(),
        notes,
    )


def fit_cell(
    plan: Plan,
    cell: Cell,
    *,
    pipeline: Pipeline,
    seed: int,
    fitted: FittedFeatures | None = None,
    features_key: str = "",
    dear: bool = False,
) -> CellResult:
    """Fit a clone of ``pipeline`` on one cell and predict its test rows; see `execute`."""
    fresh, seeds = _seeded(pipeline, cell, seed)
    unfitted = fresh.steps[-1][1]
    where = f"{cell.part}, repeat {cell.repeat}, fold {cell.fold}"
    found: Transformed | None = None
    notes: list[str] = []
    shared = fitted if features_key and plan.fits and len(fresh.steps) > 1 else None
    name = CellName(features_key, cell.part, cell.repeat, cell.fold, seeds)
    if shared is not None:
        found = shared.find(name, dear=dear)
    with _blaming("features", where):
        features = found or _transform(plan, cell, fresh)
    notes += features.notes
    if shared is not None and found is None:
        notes += shared.keep(name, features, dear=dear)
    with _blaming(type(unfitted).__name__, where), _listening() as heard:
        labels = plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train]
        model, fit_seconds = unfitted, 0.0
        if plan.fits:
            model, fit_seconds = _fit(unfitted, features.train, labels, heard)
        answer = partial(predict, n_rows=len(cell.test), labels=plan.training.labels)
        answers, predict_seconds = _answer(answer, model, features.test, heard)
    timing = CellTiming(
        cell.part,
        cell.repeat,
        cell.fold,
        len(cell.train),
        len(cell.test),
        features.fit_seconds + fit_seconds,
        features.transform_seconds + predict_seconds,
        features.fit_seconds,
        found is not None,
    )
    return CellResult(_rows(plan, cell, *answers), timing, (*notes, *_texts(heard)))


def _seeded(
    pipeline: Pipeline, cell: Cell, seed: int
) -> tuple[Pipeline, tuple[tuple[str, int], ...]]:
    """Return an unfitted clone that is seeded for one cell, and the seeds of its features step."""
    fresh = clone(pipeline)
    seeds = {
        name: seed_for("model", parameter=name, seed=seed, repeat=cell.repeat, fold=cell.fold)
        for name in unset_seeds(fresh)
    }
    fresh.set_params(**seeds)
    model = f"{fresh.steps[-1][0]}__"
    return fresh, tuple(item for item in seeds.items() if not item[0].startswith(model))


@contextmanager
def _blaming(name: str, where: str) -> Iterator[None]:
    """Turn whatever goes wrong into an error that says what failed, and on which cell."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    except Exception as error:  # a model is anybody's code
        raise ModelError(f"{name} failed ({where}): {type(error).__name__}: {error}") from error


@contextmanager
def _listening() -> Iterator[list[warnings.WarningMessage]]:
    """Gather warnings instead of showing them."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield heard


def _texts(heard: list[warnings.WarningMessage]) -> tuple[str, ...]:
    lines = ((item.category.__name__, str(item.message).splitlines()) for item in heard)
    return tuple(f"{name}: {said[0] if said else ''}" for name, said in lines)


def _transform(plan: Plan, cell: Cell, fresh: Pipeline) -> Transformed:
    """Fit the features step on the training rows, and apply it to both sides of a cell."""
    train = _inputs(plan.training, cell.train) if plan.fits else None
    test = _inputs(plan.scored, cell.test)
    if len(fresh.steps) < 2:
        return Transformed(train, test, 0.0, 0.0)
    features = fresh[:-1]
    with _listening() as heard:
        started = time.perf_counter()
        if train is not None:
            labels = plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train]
            train = features.fit_transform(train, labels)
        fit_done = time.perf_counter()
        for _, step in features.steps:
            # Not the pipeline's own: it refuses steps that have learned nothing.
            test = test if step in (None, "passthrough") else step.transform(test)
        done = time.perf_counter()
    return Transformed(train, test, fit_done - started, done - fit_done, _texts(heard))


def _fit(
    unfitted: Any, train: Matrix, labels: Any, heard: list[warnings.WarningMessage]
) -> tuple[Any, float]:
    """Return a fitted clone and the seconds that it took.

    A model that must write into its input gets a copy of what is kept for others.
    """
    model, given = clone(unfitted), handed_out(train)
    started = time.perf_counter()
    try:
        model.fit(given, labels)
    except Exception as error:
        if not wants_to_write(error, train):
            raise
        heard.clear()
        model, given = clone(unfitted), writeable_copy(train)
        started = time.perf_counter()
        model.fit(given, labels)
    return model, time.perf_counter() - started


def _answer(
    answer: Callable[[Any, Matrix], Answers],
    model: Any,
    test: Matrix,
    heard: list[warnings.WarningMessage],
) -> tuple[Answers, float]:
    """Return predicted labels and probabilities, and the seconds that they took."""
    given, before = handed_out(test), len(heard)
    started = time.perf_counter()
    try:
        answers = answer(model, given)
    except Exception as error:
        if not wants_to_write(error, test):
            raise
        del heard[before:]
        given = writeable_copy(test)
        started = time.perf_counter()
        answers = answer(model, given)
    return answers, time.perf_counter() - started


def _inputs(dataset: Dataset, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return what a model may see: everything but the labels and what was derived from them."""
    hidden = [LABEL, SECONDARY, "split", "cluster"]
    return dataset.frame.drop(columns=hidden).iloc[rows].reset_index(drop=True)


def _rows(
    plan: Plan,
    cell: Cell,
    predicted: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
) -> pd.DataFrame:
    # Column by column: a sweep comes here thousands of times, and pandas copies tables slowly.
    scored = plan.scored.frame
    taken = (SENTENCE_ID, DOCUMENT_ID, DOMAIN, LABEL, SECONDARY)
    columns: dict[str, Any] = {name: scored[name].array.take(cell.test) for name in taken}
    columns[PART] = pd.Series([cell.part], dtype="str").array.repeat(len(cell.test))
    columns[REPEAT] = np.full(len(cell.test), cell.repeat, dtype=np.int64)
    columns[FOLD] = np.full(len(cell.test), cell.fold, dtype=np.int64)
    columns[PREDICTED] = pd.Series(predicted.astype(str), dtype="str").array
    ordered = {name: columns[name] for name in KEY_COLUMNS}
    for index, label in enumerate(plan.training.labels):
        ordered[f"p_{label}"] = probabilities[:, index]
    return pd.DataFrame(ordered)
