"""Fitting the configuration of a run on all its training rows."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from sitrepbench.calibration.calibrators import Calibrator
from sitrepbench.calibration.fitted import Fitted
from sitrepbench.data.dataset import LABEL
from sitrepbench.errors import ModelError, ProtocolError
from sitrepbench.fitting import Tuned, calibrated, choose_settings, inputs, seeded
from sitrepbench.parts import is_test_part
from sitrepbench.protocols.cells import Cell, Plan, without_splits
from sitrepbench.tuning.tune import Chosen

#: What the one cell of a training is called: the seed of what draws depends on it.
ALL = "all"


@dataclass(frozen=True)
class FittedOnAll:
    """A pipeline fitted on all training rows, and what was found on the way.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    calibrator : Fitted or None
        Fitted on held-out answers about the training rows.
    chosen : Chosen or None
        What a tuner chose.
    rows : array of int
        The training rows.
    shown : DataFrame
        What the pipeline saw of them.
    notes : tuple of str
        Warnings of the libraries, each once with its count.
    """

    pipeline: Pipeline
    calibrator: Fitted | None
    chosen: Chosen | None
    rows: npt.NDArray[np.int64]
    shown: pd.DataFrame
    notes: tuple[str, ...]


def training_rows(plan: Plan) -> npt.NDArray[np.int64]:
    """Return every row that some cell of a plan is fitted on, ascending; never a test split.

    With cross-validation these are all development rows, with official splits the training ones.

    Raises
    ------
    ProtocolError
        When nothing is fitted, or a row belongs to a test split.
    """
    if not plan.fits:
        raise ProtocolError(
            "protocol 'score' trains on nothing; choose one that trains, such as "
            "protocol=grouped_cv or protocol=official"
        )
    rows = np.unique(np.concatenate([cell.train for cell in plan.cells]))
    splits = sorted({str(name) for name in plan.training.frame["split"].to_numpy()[rows]})
    forbidden = [name for name in splits if is_test_part(name)]
    if forbidden:
        raise ProtocolError(f"nothing is ever trained on a test split ({', '.join(forbidden)})")
    return rows


def fit_on_all(
    plan: Plan,
    pipeline: Pipeline,
    *,
    seed: int = 0,
    tuned: Tuned | None = None,
    calibrator: Calibrator | None = None,
    on_trial: Callable[[int, int | None], None] | None = None,
) -> FittedOnAll:
    """Fit a pipeline on all training rows of a plan: settings, model and calibrator.

    Parameters
    ----------
    plan : Plan
        Whose cells tell the training rows.
    pipeline : Pipeline
        Unfitted.
    seed : int
        As for a run.
    tuned : Tuned or None
        What chooses the model's settings, on inner folds of all training rows.
    calibrator : Calibrator or None
        What mends the probabilities, fitted likewise.
    on_trial : callable or None
        Told after each trial how many are done, of how many.

    Raises
    ------
    ProtocolError
        When there is nothing to train on.
    ModelError
        When the pipeline fails.
    """
    rows = training_rows(plan)
    cell = Cell(ALL, 0, 0, rows, rows[:0])
    chosen = None
    if tuned is not None:
        chosen = choose_settings(
            plan, cell, pipeline=pipeline, seed=seed, tuned=tuned, on_trial=on_trial
        )
        if chosen.settings:
            model = tuned.tuning.build(chosen.settings)
            pipeline = Pipeline([*pipeline.steps[:-1], (pipeline.steps[-1][0], model)])
        cell = without_splits(plan, cell, tuned.tuning.left_out)
        rows = cell.train
    fresh, _ = seeded(pipeline, cell, seed)
    shown = inputs(plan.training, rows)
    labels = plan.training.frame[LABEL].to_numpy(dtype=object)[rows]
    model = fresh.steps[-1][1]
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            fitted = fresh.fit(shown, labels)
            mended = None
            if calibrator is not None:
                unfitted, _ = seeded(pipeline, cell, seed)
                mended = calibrated(calibrator, plan, cell, unfitted, fitted.steps[-1][1])
    except ModelError:
        raise
    except Exception as error:  # a model is anybody's code
        raise ModelError(
            f"{type(model).__name__} failed on all {len(rows)} training rows: "
            f"{type(error).__name__}: {error}"
        ) from error
    said = Counter(f"{item.category.__name__}: {item.message}".splitlines()[0] for item in heard)
    notes = tuple(f"{text} ({times} times)" for text, times in said.items())
    return FittedOnAll(fitted, mended, chosen, rows, shown, notes)
