"""A run's model fitted once more, to look inside it; nothing is predicted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from sitrepbench.analysis.top_features import top_features
from sitrepbench.data.dataset import LABEL
from sitrepbench.errors import ModelError
from sitrepbench.fitting import inputs, seeded
from sitrepbench.protocols.cells import Cell, Plan


@dataclass(frozen=True)
class TopFeatures:
    """What speaks for each label, or why it cannot be told.

    Parameters
    ----------
    table : DataFrame or None
        As `sitrepbench.analysis.top_features.top_features` returns it.
    told : str
        What was fitted, or why there is no table.
    """

    table: pd.DataFrame | None
    told: str


def first_cell(plan: Plan, part: str) -> Cell | None:
    """Return the first cell of a part; None where nothing is fitted for it."""
    found = (cell for cell in plan.cells if cell.part == part)
    return next(found, None) if plan.fits else None


def fitted_again(plan: Plan, cell: Cell, *, pipeline: Pipeline, seed: int) -> Pipeline:
    """Return a clone of a pipeline, seeded and fitted on a cell's training rows as in the run.

    Raises
    ------
    ModelError
        When it fails to fit.
    """
    fresh, _ = seeded(pipeline, cell, seed)
    labels = plan.training.frame[LABEL].to_numpy(dtype=object)[cell.train]
    name = type(fresh.steps[-1][1]).__name__
    try:
        with warnings.catch_warnings():
            # The run has noted them.
            warnings.simplefilter("ignore")
            fresh.fit(inputs(plan.training, cell.train), labels)
    except Exception as error:  # a model is anybody's code
        raise ModelError(f"{name} failed to fit: {type(error).__name__}: {error}") from error
    return fresh


def read_features(fitted: Pipeline, *, where: str, n_features: int) -> TopFeatures:
    """Return what speaks for each label in a fitted pipeline, or why it cannot be told."""
    model: Any = fitted.steps[-1][1]
    kind = type(model).__name__
    if len(fitted.steps) < 2:
        return TopFeatures(None, f"{kind} reads the sentences itself: it has no weights to show.")
    names = _names(fitted)
    if names is None:
        return TopFeatures(None, "These features have no names, so there is nothing to show.")
    table = top_features(model, names, n_features=n_features)
    if table is None:
        return TopFeatures(None, f"{kind} has no weight per feature and label to show.")
    return TopFeatures(table, f"{kind} fitted once more on {where}.")


def _names(fitted: Pipeline) -> list[str] | None:
    try:
        return [str(name) for name in fitted[:-1].get_feature_names_out()]
    except (AttributeError, ValueError, TypeError, NotImplementedError):
        return None  # hashing, and transformers that do not say
