"""Fitted calibrators as plain values: what is written is what is read, to the last bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression

from sitrepbench.calibration import Isotonic, Platt, Temperature
from sitrepbench.calibration.fitted import Fitted, StaircaseCurve
from sitrepbench.errors import DataError


@pytest.mark.parametrize("calibrator", [Temperature(), Platt(), Isotonic()])
@pytest.mark.parametrize("probable", [True, False])
def test_a_calibrator_survives_json(calibrator: Any, probable: bool) -> None:
    rng = np.random.default_rng(0)
    values = 2 * rng.standard_normal((400, 3))
    values[:80, 2] = -np.inf  # an inner fold's model had not met the label
    values = log_softmax(values, axis=1) if probable else values
    fitted = calibrator.fit(values, rng.integers(0, 2, 400))
    read = Fitted.from_dict(json.loads(json.dumps(fitted.to_dict())), n_labels=3)
    assert read == fitted
    assert read.apply(values).tobytes() == fitted.apply(values).tobytes()


def test_a_staircase_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_normal(300)
    reference = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    reference.fit(values, (rng.random(300) < 1 / (1 + np.exp(-values))).astype(float))
    asked = np.concatenate([values, rng.standard_normal(1000) * 5])
    curve = StaircaseCurve(
        tuple(reference.X_thresholds_.tolist()), tuple(reference.y_thresholds_.tolist())
    )
    assert curve(asked).tobytes() == reference.predict(asked).tobytes()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "not a calibrator"),
        ({"calibrator": "magic"}, "unknown calibrator 'magic'"),
        ({"calibrator": "temperature", "temperature": 0}, "above 0"),
        ({"calibrator": "temperature", "temperature": "1"}, "expected a number"),
        ({"calibrator": "one_against_rest", "probabilities": True, "curves": []}, "for 2 labels"),
        (
            {
                "calibrator": "one_against_rest",
                "probabilities": True,
                "curves": [{"curve": "constant", "share": 1.5}] * 2,
            },
            "share from 0 to 1",
        ),
        (
            {
                "calibrator": "one_against_rest",
                "probabilities": False,
                "curves": [{"curve": "staircase", "values": [1, 0], "probabilities": [0, 1]}] * 2,
            },
            "ascending",
        ),
    ],
)
def test_what_is_no_calibrator_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        Fitted.from_dict(values, n_labels=2)


def test_a_function_cannot_be_written() -> None:
    with pytest.raises(DataError, match="cannot be written as plain values"):
        Fitted(np.asarray).to_dict()
