"""A run's first cell fitted once more, to see how it does on the rows that it was fitted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sitrepbench.checks.gathering import prepared_of
from sitrepbench.checks.material import CheckedRun
from sitrepbench.errors import SitrepBenchError
from sitrepbench.fitting import Fit, Tuned, fit_cell, fits_of
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.predictions import PredictionsTable
from sitrepbench.preparing import PreparedRun
from sitrepbench.protocols.cells import Cell, Plan, without_splits
from sitrepbench.tuning.tune import Chosen
from sitrepbench.wording import one_line

_PART = "training"
_CELLS = 160


def with_training_score(run: CheckedRun) -> CheckedRun:
    """Return a run with the macro-F1 of its first cell on that cell's own training rows.

    Nothing else is scored, and nothing is kept. Where the run cannot be fitted as it was, it says
    why.
    """
    prepared = prepared_of(run.record)
    if isinstance(prepared, str):
        return replace(run, no_training_score=f"{run.name}: {prepared}")
    if prepared.key != run.record.key:
        why = f"{run.name}: code, data or libraries are not those of the run; run it again first"
        return replace(run, no_training_score=why)
    if not prepared.plan.fits:
        return replace(run, no_training_score=f"{run.name} is fitted on nothing")
    try:
        score = _training_score(prepared, run)
    except SitrepBenchError as error:
        return replace(run, no_training_score=one_line(f"{run.name}: {error}", _CELLS))
    return replace(run, training_score=score, no_training_score="")


def _training_score(prepared: PreparedRun, run: CheckedRun) -> float:
    training = prepared.plan.training
    first = fits_of(prepared.plan)[0].cell
    tuned, chosen = _choice(prepared, run, first)
    left_out = tuned.tuning.left_out if tuned is not None else ()
    seen = without_splits(prepared.plan, first, left_out).train
    cell = Cell(_PART, first.repeat, first.fold, first.train, seen)
    result = fit_cell(
        Plan(training, training, (cell,)),
        Fit(cell, np.full(len(seen), _PART, dtype=object)),
        pipeline=prepared.pipeline,
        seed=prepared.config.seed,
        tuned=tuned,
        chosen=chosen,
    )
    confusions = document_confusions(PredictionsTable(result.rows, training.labels))
    return float(macro_f1(confusions.pooled, labels=confusions.supported).mean())


def _choice(
    prepared: PreparedRun, run: CheckedRun, first: Cell
) -> tuple[Tuned | None, Chosen | None]:
    """Return the settings that were chosen for a cell, in the form that a fit takes."""
    if prepared.tuning is None or not prepared.tuning.changes:
        return None, None
    for cell in run.record.tuning.get("chosen", ()):
        if (cell["part"], cell["repeat"], cell["fold"]) == (first.part, first.repeat, first.fold):
            return Tuned(prepared.tuning), Chosen(dict(cell["settings"]))
    return None, None
