"""What chooses a run's settings and mends its probabilities, made from its configuration."""

from __future__ import annotations

from typing import Any

from sitrepbench.calibration.calibrators import Calibrator
from sitrepbench.config.run_config import ABOUT, RunConfig, build
from sitrepbench.data.dataset import SPLIT
from sitrepbench.errors import ConfigError, did_you_mean
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
    """Refuse to tune or to calibrate where nothing is trained, or held out of it.

    Raises
    ------
    ConfigError
        With a protocol that trains on nothing, or not on what a search holds out.
    """
    if plan.fits:
        _check_held_out(plan, tuning)
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


def _check_held_out(plan: Plan, tuning: Tuning | None) -> None:
    """Refuse a search that holds out what a cell does not train on, or all of it."""
    if tuning is None:
        return
    splits = plan.training.frame[SPLIT].to_numpy(dtype=object)
    named = dict.fromkeys((*tuning.scored_on, *tuning.left_out))
    key = "held_out" if tuning.searches else "without"
    for cell in plan.cells if named else ():
        there = {str(name) for name in set(splits[cell.train])}
        listed = ", ".join(sorted(filter(None, there))) or "no split"
        for name in named:
            if name not in there:
                message = f"tuner.{key}: {cell.part} does not train on a split {name!r}, but on "
                message += f"{listed}.{did_you_mean(name, there)}"
                # Never advice to train on a test split.
                if name in splits and not name.startswith("test"):
                    message += f" With protocol=official, protocol.train=[train,{name}] adds it"
                raise ConfigError(message)
        if there <= set(named):
            raise ConfigError(
                f"tuner.{key}: {cell.part} trains on nothing but {listed}, so nothing is left to "
                "fit on. Add a split with protocol.train, or name fewer"
            )


def unused_tuner(config: RunConfig, tuning: Tuning | None) -> list[str]:
    """Return a note where a tuner finds nothing to tune."""
    if tuning is None or tuning.changes or isinstance(tuning.tuner, Given):
        return []
    kind = "grid" if config.names["tuner"] == "grid" else "space"
    return [f"tuner={config.names['tuner']} does not apply: {config.names['model']} has no {kind}"]
