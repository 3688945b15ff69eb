"""One fit: settings, features and model from a cell's training rows, and answers for the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sitrepbench.calibration.calibrators import Calibrator
from sitrepbench.calibration.fitted import Fitted
from sitrepbench.calibration.values import check_answers, label_values
from sitrepbench.data.dataset import (
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    SECONDARY,
    SENTENCE_ID,
    SPLIT,
    Dataset,
)
from sitrepbench.data.duplicates import document_groups
from sitrepbench.models.answers import predict
from sitrepbench.models.pipeline import transform, unset_seeds
from sitrepbench.predictions import FOLD, KEY_COLUMNS, PART, PREDICTED, REPEAT
from sitrepbench.protocols.cells import Cell, Plan, without_splits
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.reuse.transformed import (
    CellName,
    Matrix,
    Transformed,
    shielded,
)
from sitrepbench.seeding import seed_for
from sitrepbench.tuning.inner import Answer, InnerFolds
from sitrepbench.tuning.tune import Chosen, Tuning, choose
from sitrepbench.watching import blaming, listening, stopwatch, texts, timed_together

#: Between the parts that one fit is asked about.
PARTS_JOINT = "+"


@dataclass(frozen=True)
class Fit:
    """Cells with the same training rows: fitted once, and asked about all their test rows.

    Parameters
    ----------
    cell : Cell
        The cells in one; ``part`` joins theirs by ``+``.
    parts : array of str, shape (n_test,)
        What each test row counts towards.
    """

    cell: Cell
    parts: npt.NDArray[np.object_]


def fits_of(plan: Plan) -> list[Fit]:
    """Return the fits that a plan takes: neighbouring cells that are fitted alike are one."""
    fits = []
    for _, group in groupby(plan.cells, key=lambda c: (c.repeat, c.fold, c.train.tobytes())):
        cells = list(group)
        first = cells[0]
        joined = Cell(
            PARTS_JOINT.join(cell.part for cell in cells),
            first.repeat,
            first.fold,
            first.train,
            np.concatenate([cell.test for cell in cells]),
        )
        parts = np.repeat(
            np.array([cell.part for cell in cells], dtype=object),
            [len(cell.test) for cell in cells],
        )
        fits.append(Fit(joined, parts))
    return fits


@dataclass(frozen=True)
class CellTiming:
    """What one fit cost: wall time in seconds, counts of rows.

    Times are those of a run by itself. Where fitted features were taken over from another run,
    ``fit_seconds`` and ``predict_seconds`` count what they cost when they were made; so the sum
    over runs that share features is more than the time that passed.

    Parameters
    ----------
    part, repeat, fold
        The cell; where one fit serves several parts, they are joined by ``+``.
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
    """What one cell gives: its prediction rows, what it cost, and the warnings that were heard.

    ``chosen`` is what a tuner chose, ``calibrator`` a fitted calibrator's parameters by name.
    """

    rows: pd.DataFrame
    timing: CellTiming
    notes: tuple[str, ...]
    chosen: Chosen | None = None
    calibrator: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """A tuner for `sitrepbench.execution.execute`.

    Parameters
    ----------
    tuning : Tuning
        Bound to the model.
    folder : Path or None
        Where searches under way are kept, to go on with after an interruption.
    """

    tuning: Tuning
    folder: Path | None = None


def choose_settings(
    plan: Plan,
    cell: Cell,
    *,
    pipeline: Pipeline,
    seed: int,
    tuned: Tuned,
    on_trial: Callable[[int, int | None], None] | None = None,
) -> Chosen:
    """Return the settings of a cell's model, from the cell's training rows alone."""
    name = f"{cell.part}-{cell.repeat}-{cell.fold}"
    where = f"{cell.part}, repeat {cell.repeat}, fold {cell.fold}"
    fresh, _ = seeded(pipeline, cell, seed)

    def prepare(model: Any) -> Any:
        return seeded(_with_model(pipeline, model), cell, seed)[0].steps[-1][1]

    with blaming("tuning", where):
        return choose(
            tuned.tuning,
            partial(_inner_folds, plan, cell, fresh, scored_on=tuned.tuning.scored_on),
            prepare=prepare,
            seed=seed_for("tuner", repeat=cell.repeat, fold=cell.fold),
            file=None if tuned.folder is None else tuned.folder / f"{name}.log",
            on_trial=on_trial,
        )


def _inner_folds(
    plan: Plan, cell: Cell, fresh: Pipeline, n_folds: int, *, scored_on: Sequence[str] = ()
) -> InnerFolds:
    """Return inner folds of a cell's training rows; ``fresh`` is seeded for the cell."""
    splits = plan.training.frame[SPLIT].to_numpy(dtype=object)[cell.train]
    return InnerFolds(
        inputs(plan.training, cell.train),
        plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train],
        fresh[:-1] if len(fresh.steps) > 1 else None,
        # The clusters that the dataset declares, which a model does not see.
        groups=document_groups(plan.training.frame)[cell.train],
        known=plan.training.labels,
        n_folds=n_folds,
        held_out=np.isin(splits, list(scored_on)) if scored_on else None,
    )


def calibrated(
    calibrator: Calibrator, plan: Plan, cell: Cell, fresh: Pipeline, model: Any
) -> Fitted:
    """Return a calibrator fitted on held-out answers about a cell's training rows."""
    check_answers(model)
    found = _inner_folds(plan, cell, fresh, calibrator.n_folds).answers(
        fresh.steps[-1][1], label_values
    )
    values, codes = zip(*found, strict=True)
    return calibrator.fit(np.concatenate(values), np.concatenate(codes))


def _with_model(pipeline: Pipeline, model: Any) -> Pipeline:
    """Return a pipeline of the same features with another model."""
    return Pipeline([*pipeline.steps[:-1], (pipeline.steps[-1][0], model)])


@timed_together()
def fit_cell(
    plan: Plan,
    fit: Fit,
    *,
    pipeline: Pipeline,
    seed: int,
    fitted: FittedFeatures | None = None,
    features_key: str = "",
    dear: bool = False,
    tuned: Tuned | None = None,
    chosen: Chosen | None = None,
    calibrator: Calibrator | None = None,
) -> CellResult:
    """Fit a clone of ``pipeline`` and predict its test rows; see `execute`."""
    left_out = tuned.tuning.left_out if tuned is not None and chosen is not None else ()
    cell = without_splits(plan, fit.cell, left_out)
    if features_key and left_out:
        # Fitted on other rows than those that the key stands for.
        features_key = f"{features_key} without {'|'.join(left_out)}"
    if tuned is not None and chosen is not None and chosen.settings:
        pipeline = _with_model(pipeline, tuned.tuning.build(chosen.settings))
    fresh, seeds = seeded(pipeline, cell, seed)
    unfitted = fresh.steps[-1][1]
    where = f"{cell.part}, repeat {cell.repeat}, fold {cell.fold}"
    found: Transformed | None = None
    notes: list[str] = []
    shared = fitted if features_key and plan.fits and len(fresh.steps) > 1 else None
    name = CellName(features_key, cell.part, cell.repeat, cell.fold, seeds)
    if shared is not None:
        found = shared.find(name, dear=dear)
    with blaming("features", where):
        features = found or _transform(plan, cell, fresh)
    notes += features.notes
    if shared is not None and found is None:
        notes += shared.keep(name, features, dear=dear)
    with blaming(type(unfitted).__name__, where), listening() as heard:
        labels = plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train]
        model, fit_seconds = unfitted, 0.0
        if plan.fits:
            model, fit_seconds = _fit(unfitted, features.train, labels, heard)
        answer = partial(predict, n_rows=len(cell.test), labels=plan.training.labels)
        answers, predict_seconds = _answer(answer, model, features.test, heard)
    mended = Fitted(np.asarray)
    if calibrator is not None:
        with blaming(type(calibrator).__name__, where):
            with stopwatch() as now:
                started = now()
                mended = calibrated(calibrator, plan, cell, fresh, model)
                fit_seconds += now() - started
            asked = partial(label_values, n_rows=len(cell.test), labels=plan.training.labels)
            values, seconds = _answer(asked, model, features.test, heard)
            # The label stays the model's own: a calibrator says how sure it may be.
            answers = (answers[0], mended.apply(values))
            predict_seconds += seconds
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
    notes += chosen.notes if chosen is not None else ()
    rows = _rows(plan, fit, *answers)
    return CellResult(rows, timing, (*notes, *texts(heard)), chosen, mended.told)


def seeded(
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


def _transform(plan: Plan, cell: Cell, fresh: Pipeline) -> Transformed:
    """Fit the features step on the training rows, and apply it to both sides of a cell."""
    train = inputs(plan.training, cell.train) if plan.fits else None
    test = inputs(plan.scored, cell.test)
    if len(fresh.steps) < 2:
        return Transformed(train, test, 0.0, 0.0)
    features = fresh[:-1]
    with listening() as heard, stopwatch() as now:
        started = now()
        if train is not None:
            labels = plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train]
            train = features.fit_transform(train, labels)
        fit_done = now()
        test = transform(features, test)
        done = now()
    return Transformed(train, test, fit_done - started, done - fit_done, texts(heard))


def _fit(
    unfitted: Any, train: Matrix, labels: Any, heard: list[warnings.WarningMessage]
) -> tuple[Any, float]:
    """Return a fitted clone and the seconds that it took."""

    def fit(given: Matrix) -> tuple[Any, float]:
        heard.clear()
        model = clone(unfitted)
        with stopwatch() as now:
            started = now()
            model.fit(given, labels)
            return model, now() - started

    return shielded(fit, train)


def _answer(
    answer: Callable[[Any, Matrix], Answer],
    model: Any,
    test: Matrix,
    heard: list[warnings.WarningMessage],
) -> tuple[Answer, float]:
    """Return what a fitted model answers, and the seconds that it took."""
    before = len(heard)

    def ask(given: Matrix) -> tuple[Answer, float]:
        del heard[before:]
        with stopwatch() as now:
            started = now()
            answers = answer(model, given)
            return answers, now() - started

    return shielded(ask, test)


def inputs(dataset: Dataset, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Return what a model may see of some rows: all but the labels and what derives from them."""
    hidden = [LABEL, SECONDARY, "split", "cluster"]
    return dataset.frame.drop(columns=hidden).iloc[rows].reset_index(drop=True)


def _rows(
    plan: Plan,
    fit: Fit,
    predicted: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
) -> pd.DataFrame:
    # Column by column: a sweep comes here thousands of times, and pandas copies tables slowly.
    cell, scored = fit.cell, plan.scored.frame
    taken = (SENTENCE_ID, DOCUMENT_ID, DOMAIN, LABEL, SECONDARY)
    columns: dict[str, Any] = {name: scored[name].array.take(cell.test) for name in taken}
    columns[PART] = pd.Series(fit.parts, dtype="str").array
    columns[REPEAT] = np.full(len(cell.test), cell.repeat, dtype=np.int64)
    columns[FOLD] = np.full(len(cell.test), cell.fold, dtype=np.int64)
    columns[PREDICTED] = pd.Series(predicted.astype(str), dtype="str").array
    ordered = {name: columns[name] for name in KEY_COLUMNS}
    for index, label in enumerate(plan.training.labels):
        ordered[f"p_{label}"] = probabilities[:, index]
    return pd.DataFrame(ordered)
