"""What chooses a run's settings and mends its probabilities, made from its configuration."""

from __future__ import annotations

from typing import Any

from sitrepbench.calibration.calibrators import Calibrator
from sitrepbench.config.run_config import ABOUT, RunConfig, build
from sitrepbench.errors import ConfigError
from sitrepbench.protocols import Plan
from sitrepbench.tuning.searches import Given
from sitrepbench.tuning.space import Settings, with_settings
from sitrepbench.tuning.tune import Tuning, bind


def bound_tuner(config: RunConfig) -> Tuning | None:
    """Return the tuner bound to the model, None where there is none."""
    tuner = config.build("tuner")
    if tuner is None:
        return None
    node = config.tree["model"]

    def with_chosen(settings: Settings) -> Any:
        return build(with_settings(node, settings), path="model")

    return bind(tuner, node, node.get(ABOUT) or {}, with_chosen)


def bound_calibrator(config: RunConfig) -> Calibrator | None:
    """Return the calibrator, None where there is none.

    Raises
    ------
    ConfigError
        When the target is no calibrator.
    """
    made = config.build("calibrator")
    if made is not None and not (hasattr(made, "fit") and hasattr(made, "n_folds")):
        raise ConfigError(
            f"calibrator: {type(made).__name__} is no calibrator; choose temperature, isotonic or "
            "platt"
        )
    calibrator: Calibrator | None = made
    return calibrator


def check_trains(plan: Plan, tuning: Tuning | None, calibrator: Calibrator | None) -> None:
    """Refuse to tune or to calibrate where nothing is trained.

    Raises
    ------
    ConfigError
        With a protocol that trains on nothing.
    """
    if plan.fits:
        return
    if tuning is not None and tuning.searches:
        raise ConfigError(
            "protocol 'score' trains on nothing, so there is nothing to tune on; use tuner=none"
        )
    if calibrator is not None:
        raise ConfigError(
            "protocol 'score' trains on nothing, so there is nothing to calibrate on; use "
            "calibrator=none"
        )


def unused_tuner(config: RunConfig, tuning: Tuning | None) -> list[str]:
    """Return a note where a tuner finds nothing to tune."""
    if tuning is None or tuning.changes or isinstance(tuning.tuner, Given):
        return []
    kind = "grid" if config.names["tuner"] == "grid" else "space"
    return [f"tuner={config.names['tuner']} does not apply: {config.names['model']} has no {kind}"]
