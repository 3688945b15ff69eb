"""How sure a run's answers are, and what that is worth: calibration, risk and thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sitrepbench.metrics.calibration import Calibration, calibration_of
from sitrepbench.metrics.selective import RiskCoverage, risk_coverage, thresholds
from sitrepbench.predictions import PredictionsTable

#: The precision that thresholds are looked for.
WANTED_PRECISION = 0.9


@dataclass(frozen=True)
class Sureness:
    """What a run's probabilities are worth in one part.

    Parameters
    ----------
    calibration : Calibration
        Whether they hold.
    risk : RiskCoverage
        How many answers are wrong, the surest first.
    thresholds : DataFrame
        Per label from which probability on its answers have the precision `WANTED_PRECISION`;
        columns as `sitrepbench.metrics.selective.thresholds` gives them.
    """

    calibration: Calibration
    risk: RiskCoverage
    thresholds: pd.DataFrame


def sureness_of(table: PredictionsTable) -> Sureness | None:
    """Return what the probabilities of one part are worth; None where there are none."""
    calibration, risk = calibration_of(table), risk_coverage(table)
    if calibration is None or risk is None:
        return None
    return Sureness(calibration, risk, thresholds(table, precision=WANTED_PRECISION))
