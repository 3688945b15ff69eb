"""One run: a plan and a pipeline in, predictions and timings out. Knows no Hydra and no MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sitrepbench.calibration.calibrators import Calibrator
from sitrepbench.environment import peak_memory_mb, reset_peak_memory
from sitrepbench.errors import ModelError
from sitrepbench.fitting import CellResult, Tuned, choose_settings, fit_cell, fits_of
from sitrepbench.predictions import PredictionsTable
from sitrepbench.protocols.cells import Plan
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.tuning.trials import trials_table


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
    trials : DataFrame
        What a tuner tried, columns `sitrepbench.tuning.trials.TRIAL_COLUMNS`; empty without one.
    chosen : list of dict
        Per cell what a tuner chose: ``part, repeat, fold, settings, score, trials``.
    tuning_seconds : float
        What the searches took.
    """

    predictions: PredictionsTable
    timings: pd.DataFrame
    peak_memory_mb: float
    notes: tuple[str, ...]
    trials: pd.DataFrame
    chosen: list[dict[str, Any]]
    tuning_seconds: float


def execute(
    plan: Plan,
    pipeline: Pipeline,
    *,
    seed: int = 0,
    on_cell: Callable[[float, int], None] | None = None,
    fitted: FittedFeatures | None = None,
    features_key: str = "",
    dear: bool = False,
    tuned: Tuned | None = None,
    calibrator: Calibrator | None = None,
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
        Told after each cell how many are done, of how many; after each trial a part of one.
    fitted : FittedFeatures or None
        Where features are looked for, and kept for the next run. The predictions are the same,
        byte for byte, with it and without.
    features_key : str
        As `sitrepbench.reuse.keys.features_key` gives it; where it is empty, nothing is reused.
    dear : bool
        Whether the features are worth the disk.
    tuned : Tuned or None
        What chooses the model's settings, cell by cell, from the cell's training rows.
    calibrator : Calibrator or None
        What mends the probabilities, fitted on inner folds of each cell's training rows; the
        predicted labels stay the model's own.

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
    fits = fits_of(plan)
    for done, fit in enumerate(fits, start=1):
        chosen = None
        if tuned is not None:

            def on_trial(tried: int, most: int | None, before: int = done - 1) -> None:
                if on_cell is not None:
                    on_cell(before + (tried / (most + 1) if most else 0), len(fits))

            chosen = choose_settings(
                plan, fit.cell, pipeline=pipeline, seed=seed, tuned=tuned, on_trial=on_trial
            )
        results.append(
            fit_cell(
                plan,
                fit,
                pipeline=pipeline,
                seed=seed,
                fitted=fitted,
                features_key=features_key,
                dear=dear,
                tuned=tuned,
                chosen=chosen,
                calibrator=calibrator,
            )
        )
        if on_cell is not None:
            on_cell(done, len(fits))
    caught = Counter(note for result in results for note in result.notes)
    notes = tuple(f"{text} ({count} times)" for text, count in caught.items())
    notes += tuple(_calibrator_notes(results))
    rows = results[0].rows
    if len(results) > 1:
        rows = pd.concat([result.rows for result in results], ignore_index=True)
    return RunResult(
        PredictionsTable(rows, plan.training.labels),
        pd.DataFrame([asdict(result.timing) for result in results]),
        peak_memory_mb(),
        notes,
        *_tuning_tables(results),
    )


def _calibrator_notes(results: list[CellResult]) -> Iterator[str]:
    """Yield one line per parameter of the fitted calibrators, over all cells."""
    for name in dict.fromkeys(name for result in results for name in result.calibrator):
        values = [result.calibrator[name] for result in results]
        among = f" to {max(values):.3g}, {len(values)} cells" if len(values) > 1 else ""
        yield f"calibrator: {name} {min(values):.3g}{among}"


def _tuning_tables(results: list[CellResult]) -> tuple[pd.DataFrame, list[dict[str, Any]], float]:
    """Return the trials of all cells, what was chosen, and what the searches took."""
    found = [(result.timing, result.chosen) for result in results if result.chosen is not None]
    trials = [
        (cell.part, cell.repeat, cell.fold, number, trial)
        for cell, chosen in found
        for number, trial in enumerate(chosen.trials)
    ]
    taken = [
        {
            "part": cell.part,
            "repeat": cell.repeat,
            "fold": cell.fold,
            "settings": chosen.settings,
            "score": chosen.score,
            "trials": len(chosen.trials),
        }
        for cell, chosen in found
    ]
    return trials_table(trials), taken, sum(chosen.seconds for _, chosen in found)
