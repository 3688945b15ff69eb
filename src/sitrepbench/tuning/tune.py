"""Choosing a model's settings for one cell, from the cell's training rows alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.tuning.inner import InnerFolds
from sitrepbench.tuning.searches import Given, Search
from sitrepbench.tuning.space import Dimension, Settings, check_settings, edge_notes, value_at
from sitrepbench.tuning.trials import Trial, best_of

#: How much of a failed trial's message is kept.
MAX_ERROR = 300


@dataclass(frozen=True)
class Tuning:
    """A tuner bound to a model's configuration.

    Parameters
    ----------
    tuner : Given or Search
        What chooses.
    model : mapping
        The model's configuration, plain.
    build : callable
        From settings to the unfitted model that has them.
    dimensions : list of Dimension
        What is searched; empty where settings are given or the model has nothing to tune.
    """

    tuner: Given | Search
    model: Mapping[str, Any]
    build: Callable[[Settings], Any]
    dimensions: list[Dimension] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        """Whether anything can come of it but the model as it is configured."""
        if isinstance(self.tuner, Given):
            return bool(self.tuner.settings or self.tuner.left_out)
        return bool(self.dimensions)

    @property
    def searches(self) -> bool:
        """Whether something is searched."""
        return bool(self.dimensions)

    @property
    def scored_on(self) -> tuple[str, ...]:
        """The splits of the training rows that trials are scored on; empty for inner folds."""
        if isinstance(self.tuner, Given) or not self.searches:
            return ()
        return self.tuner.scored_on

    @property
    def left_out(self) -> tuple[str, ...]:
        """The splits of the training rows that the last fit leaves out."""
        return self.tuner.left_out if self.changes else ()


@dataclass(frozen=True)
class Chosen:
    """What was chosen for one cell.

    Parameters
    ----------
    settings : dict
        By path below the model.
    score : float or None
        Macro-F1 on the inner folds; None where nothing was searched.
    trials : tuple of Trial
        All that was tried, in order.
    notes : tuple of str
        What a reader should know.
    seconds : float
        What the search took.
    """

    settings: Settings
    score: float | None = None
    trials: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def bind(
    tuner: Any,
    model: Mapping[str, Any],
    about: Mapping[str, Any],
    build: Callable[[Settings], Any],
) -> Tuning:
    """Return a tuner bound to a model; `ConfigError` where its space does not fit the model."""
    if isinstance(tuner, Given):
        settings = tuner.settings or {}
        if not isinstance(settings, Mapping):
            raise ConfigError(
                f"tuner.settings: expected paths below the model and values, found {settings!r}"
            )
        check_settings(settings, model, where="tuner.settings")
        return Tuning(tuner, model, build)
    return Tuning(tuner, model, build, tuner.dimensions(model, about))


def choose(
    tuning: Tuning,
    folds: Callable[[int], InnerFolds],
    *,
    prepare: Callable[[Any], Any],
    seed: int,
    file: Path | None = None,
    on_trial: Callable[[int, int | None], None] | None = None,
) -> Chosen:
    """Return the settings of one cell.

    Parameters
    ----------
    tuning : Tuning
        What chooses.
    folds : callable
        Makes so many inner folds of the cell; called once, and only where something is searched.
    prepare : callable
        Seeds a model.
    seed : int
        Of what is proposed.
    file : Path or None
        Where a search may be kept, to go on with after an interruption.
    on_trial : callable or None
        Told after each trial how many are done, and of how many at most.

    Raises
    ------
    ModelError
        When every trial failed.
    """
    tuner = tuning.tuner
    if isinstance(tuner, Given):
        return Chosen(dict(tuner.settings or {}))
    if not tuning.dimensions:
        return Chosen({})
    inner = folds(tuner.n_folds)
    own = {dim.path: value_at(tuning.model, dim.path) for dim in tuning.dimensions}
    proposals = tuner.proposals(tuning.dimensions, own, seed=seed, file=file)
    trials = list(proposals.earlier)
    # What an interrupted search has spent counts.
    started = time.perf_counter() - sum(trial.seconds for trial in trials)
    while tuner.trials is None or len(trials) < tuner.trials:
        spent = time.perf_counter() - started
        # One trial there must be.
        if trials and tuner.seconds is not None and spent >= tuner.seconds:
            break
        settings = proposals.ask()
        if settings is None:
            break
        trial = _try(settings, tuning, inner, prepare)
        proposals.tell(trial)
        trials.append(trial)
        if on_trial is not None:
            on_trial(len(trials), tuner.trials)
    best = best_of(trials)
    if best is None:
        raise ModelError(
            f"tuning: all {len(trials)} trials failed; the first with {trials[0].settings}: "
            f"{trials[0].error}"
        )
    proposals.close()
    failed = sum(1 for trial in trials if trial.error)
    notes = edge_notes(best.settings, tuning.dimensions)
    if failed:
        first = next(trial for trial in trials if trial.error)
        notes.append(
            f"tuning: {failed} of {len(trials)} trials failed, the first with {first.settings}: "
            f"{first.error}"
        )
    return Chosen(
        best.settings, best.score, tuple(trials), tuple(notes), time.perf_counter() - started
    )


def _try(
    settings: Settings, tuning: Tuning, inner: InnerFolds, prepare: Callable[[Any], Any]
) -> Trial:
    started = time.perf_counter()
    try:
        score = inner.score(prepare(tuning.build(settings)))
        error = ""
    except (
        Exception,
        SystemExit,
    ) as failure:  # a model is anybody's code; one failed trial ends no search
        score, error = float("nan"), _shortened(f"{type(failure).__name__}: {failure}")
    return Trial(settings, score, time.perf_counter() - started, error)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_ERROR else f"{text[:MAX_ERROR]} ..."
