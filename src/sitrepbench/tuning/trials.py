"""Trials: what was tried in a search, and what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sitrepbench.tuning.space import Settings

#: The columns of a run's table of trials; ``settings`` is JSON.
TRIAL_COLUMNS = (
    "part",
    "repeat",
    "fold",
    "trial",
    "state",
    "score",
    "seconds",
    "settings",
    "error",
)
DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class Trial:
    """One choice of settings.

    Parameters
    ----------
    settings : dict
        By path below the model.
    score : float
        Macro-F1 of the inner folds, pooled; NaN where the trial failed.
    seconds : float
        What it took.
    error : str
        Why it failed; empty where it did not.
    """

    settings: Settings
    score: float
    seconds: float
    error: str = ""

    @property
    def state(self) -> str:
        """``done`` or ``failed``."""
        return FAILED if self.error else DONE


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the highest score, the first of those that are alike; None if none."""
    done = [trial for trial in trials if not trial.error and math.isfinite(trial.score)]
    return max(done, key=lambda trial: trial.score, default=None)


def trials_table(
    trials: Sequence[tuple[str, int, int, int, Trial]],
) -> pd.DataFrame:
    """Return the table of (part, repeat, fold, number, trial)."""
    rows = [
        (
            part,
            repeat,
            fold,
            number,
            trial.state,
            trial.score,
            trial.seconds,
            json.dumps(trial.settings, sort_keys=True),
            trial.error,
        )
        for part, repeat, fold, number, trial in trials
    ]
    return pd.DataFrame(rows, columns=list(TRIAL_COLUMNS)).astype(
        {"score": "float64", "seconds": "float64"}
    )
