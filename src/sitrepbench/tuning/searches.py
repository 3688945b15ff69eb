"""Searches: which settings are tried, in which order, and for how long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from sitrepbench.errors import ConfigError, did_you_mean
from sitrepbench.tuning.space import Dimension, Settings, combinations, read_grid, read_space
from sitrepbench.tuning.trials import Trial

#: How often a random draw is repeated that came before.
_REDRAWS = 100
#: What the chosen settings are fitted on.
ALL_ROWS, OTHER_ROWS = "all", "others"


class Proposals(Protocol):
    """What a search proposes for one cell, one after the other."""

    @property
    def earlier(self) -> list[Trial]:
        """What an interrupted search of the same cell has tried."""

    def ask(self) -> Settings | None:
        """Return what to try next, None where there is nothing left."""

    def tell(self, trial: Trial) -> None:
        """Take the score of what was asked for last."""

    def close(self) -> None:
        """Forget what was kept to go on with."""


class Search(Protocol):
    """A tuner that searches."""

    trials: int | None
    seconds: float | None
    n_folds: int
    #: Distributions whose version decides what is proposed.
    distributions: ClassVar[tuple[str, ...]]

    @property
    def scored_on(self) -> tuple[str, ...]:
        """The splits of the training rows that trials are scored on; empty for inner folds."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The splits of the training rows that the last fit leaves out."""

    def dimensions(self, model: Mapping[str, Any], about: Mapping[str, Any]) -> list[Dimension]:
        """Return what is searched: the tuner's own space, or that beside the model."""

    def proposals(
        self, dimensions: list[Dimension], own: Settings, *, seed: int, file: Path | None
    ) -> Proposals:
        """Begin to propose; ``own`` is what the model is configured with."""


@dataclass(frozen=True)
class Given:
    """Settings that are applied as they are.

    Parameters
    ----------
    settings : dict or None
        By their path below the model; None for none.
    without : sequence of str or None
        Splits of the training rows that are not fitted on, as with a search of ``refit=others``.
    """

    settings: dict[str, Any] | None = None
    without: Sequence[str] | None = None

    @property
    def left_out(self) -> tuple[str, ...]:
        """The splits of the training rows that the fit leaves out."""
        return _split_names(self.without)


@dataclass(frozen=True)
class Budget:
    """What a search may cost, per cell.

    Parameters
    ----------
    trials : int or None
        At most so many.
    seconds : float or None
        No trial is begun after so many seconds. How many there are then depends on the machine;
        the run says how many there were.
    n_folds : int
        Inner folds, by documents.
    held_out : sequence of str or None
        Splits of the training rows, such as ``[dev]``: trials are fitted on the other training
        rows and scored on these, in the place of inner folds.
    refit : {"all", "others"}
        What the chosen settings are fitted on: all training rows, or those that are not held out.
    """

    trials: int | None = 20
    seconds: float | None = None
    n_folds: int = 3
    held_out: Sequence[str] | None = None
    refit: str = ALL_ROWS

    distributions: ClassVar[tuple[str, ...]] = ()
    #: Whether it comes to an end without a budget.
    ends: ClassVar[bool] = False

    def __post_init__(self) -> None:
        problems = []
        if self.trials is not None and self.trials < 1:
            problems.append(f"tuner.trials={self.trials}: at least 1 is expected")
        if self.trials is None and self.seconds is None and not self.ends:
            problems.append(
                "tuner.trials=null, tuner.seconds=null: such a search has no end; give one of them"
            )
        if getattr(self, "seed", 0) < 0:
            problems.append(f"tuner.seed={self.seed}: 0 or more is expected")  # type: ignore[attr-defined]
        if self.seconds is not None and not self.seconds > 0:
            problems.append(f"tuner.seconds={self.seconds}: seconds over 0 are expected")
        if self.n_folds < 2:
            problems.append(f"tuner.n_folds={self.n_folds}: at least 2 are expected")
        if self.refit not in (ALL_ROWS, OTHER_ROWS):
            near = did_you_mean(str(self.refit), (ALL_ROWS, OTHER_ROWS))
            problems.append(f"tuner.refit={self.refit}: expected all or others.{near}")
        elif self.refit == OTHER_ROWS and not self.scored_on:
            problems.append(
                "tuner.refit=others: nothing is held out; name splits, such as tuner.held_out=[dev]"
            )
        if problems:
            raise ConfigError("\n".join(problems))

    @property
    def scored_on(self) -> tuple[str, ...]:
        """The splits of the training rows that trials are scored on; empty for inner folds."""
        return _split_names(self.held_out)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The splits of the training rows that the last fit leaves out."""
        return self.scored_on if self.refit == OTHER_ROWS else ()


@dataclass(frozen=True)
class GridSearch(Budget):
    """Every combination of a grid, in its order.

    Parameters
    ----------
    trials, seconds, n_folds, held_out, refit
        As in `Budget`; ``trials=None`` for all.
    grid : dict or None
        From path to list of values; where it is None, ``_about_.grid`` beside the model.
    """

    trials: int | None = None
    grid: dict[str, Any] | None = None

    ends: ClassVar[bool] = True

    def dimensions(self, model: Mapping[str, Any], about: Mapping[str, Any]) -> list[Dimension]:
        """Return the grid's dimensions."""
        if self.grid:
            return read_grid(self.grid, model, where="tuner.grid")
        return read_grid(about.get("grid") or {}, model, where="model._about_.grid")

    def proposals(
        self, dimensions: list[Dimension], own: Settings, *, seed: int, file: Path | None
    ) -> Proposals:
        """Propose the combinations."""
        return Listed(combinations(dimensions))


@dataclass(frozen=True)
class RandomSearch(Budget):
    """The model's own settings, then independent draws from its space.

    Bergstra & Bengio, JMLR 13 (2012). A draw that came before is drawn again.

    Parameters
    ----------
    trials, seconds, n_folds, held_out, refit
        As in `Budget`.
    seed : int
        Of the draws, with the cell's own.
    space : dict or None
        From path to ``{log|uniform|int: [low, high]}`` or ``{choice: [...]}``; where it is None,
        ``_about_.space`` beside the model.
    """

    seed: int = 0
    space: dict[str, Any] | None = None

    def dimensions(self, model: Mapping[str, Any], about: Mapping[str, Any]) -> list[Dimension]:
        """Return the space's dimensions."""
        return space_of(self.space, model, about)

    def proposals(
        self, dimensions: list[Dimension], own: Settings, *, seed: int, file: Path | None
    ) -> Proposals:
        """Propose the model's own settings, then draws."""
        return Listed(_draws(dimensions, own, np.random.default_rng([self.seed, seed])))


def _split_names(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return splits as a tuple; a single name is one.

    >>> _split_names("dev")
    ('dev',)
    """
    return (given,) if isinstance(given, str) else tuple(given or ())


def space_of(
    space: Mapping[str, Any] | None, model: Mapping[str, Any], about: Mapping[str, Any]
) -> list[Dimension]:
    """Return a tuner's own space, or that beside the model where it has none."""
    if space:
        return read_space(space, model, where="tuner.space")
    return read_space(about.get("space") or {}, model, where="model._about_.space")


class Listed:
    """Proposals that do not depend on the scores."""

    def __init__(self, settings: Iterator[Settings]) -> None:
        self._settings = settings
        self.earlier: list[Trial] = []

    def ask(self) -> Settings | None:
        """Return the next one."""
        return next(self._settings, None)

    def tell(self, trial: Trial) -> None:
        """Learn nothing."""

    def close(self) -> None:
        """Nothing was kept."""


def _draws(
    dimensions: list[Dimension], own: Settings, generator: np.random.Generator
) -> Iterator[Settings]:
    seen = {json.dumps(own, sort_keys=True)}
    yield own
    while True:
        for _ in range(_REDRAWS):
            drawn = {dimension.path: dimension.draw(generator) for dimension in dimensions}
            text = json.dumps(drawn, sort_keys=True)
            if text not in seen:
                break
        else:
            return  # a small space, and all of it was tried
        seen.add(text)
        yield drawn
