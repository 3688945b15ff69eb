"""Optuna as a tuner: driven directly, kept on the disk while it runs, gone on with after a kill."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sitrepbench.errors import ConfigError
from sitrepbench.seeding import seed_for
from sitrepbench.tuning.searches import Budget, Proposals, space_of
from sitrepbench.tuning.space import Dimension, Settings
from sitrepbench.tuning.trials import Trial

SAMPLERS = ("tpe", "random")
#: After so many proposals in a row that came before, the space is taken as searched.
_REPEATS = 30
#: Where a finished trial keeps what it was, in Optuna's own file.
_SETTINGS, _SECONDS, _ERROR = "settings", "seconds", "error"


@dataclass(frozen=True)
class OptunaSearch(Budget):
    """The model's own settings, then what Optuna proposes (Akiba et al., KDD 2019).

    Every proposal is seeded by its number, so that a search that was interrupted comes to the
    same end as one that was not.

    Parameters
    ----------
    trials, seconds, n_folds, held_out, refit
        As in `sitrepbench.tuning.searches.Budget`.
    seed : int
        Of the proposals.
    sampler : str
        ``tpe`` (tree-structured Parzen estimators) or ``random``.
    space : dict or None
        As in `sitrepbench.tuning.RandomSearch`.
    """

    seed: int = 0
    sampler: str = "tpe"
    space: dict[str, Any] | None = None

    distributions: ClassVar[tuple[str, ...]] = ("optuna",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"tuner.sampler={self.sampler}: expected {' or '.join(SAMPLERS)}")
        try:
            import optuna  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "tuner=optuna needs Optuna: pip install 'sitrepbench[optuna]'"
            ) from error

    def dimensions(self, model: Mapping[str, Any], about: Mapping[str, Any]) -> list[Dimension]:
        """Return the space's dimensions."""
        return space_of(self.space, model, about)

    def proposals(
        self, dimensions: list[Dimension], own: Settings, *, seed: int, file: Path | None
    ) -> Proposals:
        """Begin to propose, or go on with what ``file`` has."""
        own_seed = seed_for("optuna", seed=self.seed, cell=seed)
        return OptunaProposals(dimensions, own, sampler=self.sampler, seed=own_seed, file=file)


class OptunaProposals:
    """One cell's Optuna study.

    Parameters
    ----------
    dimensions : list of Dimension
        What is searched.
    own : dict
        Tried first.
    sampler : str
        One of `SAMPLERS`.
    seed : int
        Of the proposals.
    file : Path or None
        Optuna's journal; None keeps the study in memory.
    """

    def __init__(
        self,
        dimensions: list[Dimension],
        own: Settings,
        *,
        sampler: str,
        seed: int,
        file: Path | None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._sampler, self._seed, self._file = sampler, seed, file
        self._own = own
        self._dimensions = dimensions
        self._distributions = {dim.path: _distribution(dim) for dim in dimensions}
        self._asked: Any = None
        self._study = _opened(file)
        finished = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL
        self.earlier = [
            _earlier(trial)
            for trial in self._study.get_trials(deepcopy=False, states=finished)
            if _SETTINGS in trial.user_attrs
        ]
        self._count = len(self.earlier)
        self._tried = {json.dumps(t.settings, sort_keys=True): t for t in self.earlier}

    def ask(self) -> Settings | None:
        """Return what Optuna proposes; first the model's own settings.

        What was tried before is answered from then; None when nothing else comes.
        """
        for _ in range(_REPEATS):
            settings = self._propose()
            before = self._tried.get(json.dumps(settings, sort_keys=True))
            if before is None:
                return settings
            self._count += 1
            self._study.tell(
                self._asked, None if before.error else before.score, state=_state(before)
            )
        return None

    def _propose(self) -> Settings:
        import optuna

        if self._count == 0:
            self._asked = None
            return dict(self._own)
        seed = seed_for("optuna", seed=self._seed, trial=self._count)
        kinds = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        with warnings.catch_warnings():
            # What Optuna calls experimental is not the user's concern.
            warnings.simplefilter("ignore")
            self._study.sampler = kinds[self._sampler](seed=seed)
            self._asked = self._study.ask(self._distributions)
        return {dim.path: _value(dim, self._asked.params[dim.path]) for dim in self._dimensions}

    def tell(self, trial: Trial) -> None:
        """Give Optuna the score, and the file what it needs to go on."""
        import optuna

        kept = {
            _SETTINGS: json.dumps(trial.settings),
            _SECONDS: trial.seconds,
            _ERROR: trial.error,
        }
        if self._asked is None:
            # The model's own settings may lie outside of its space; Optuna then learns nothing.
            inside = all(dim.contains(trial.settings[dim.path]) for dim in self._dimensions)
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=_state(trial),
                    params={dim.path: _param(dim, trial.settings[dim.path])
                            for dim in self._dimensions if inside},
                    distributions=self._distributions if inside else {},
                    value=None if trial.error else trial.score,
                    user_attrs=kept,
                )
            )  # fmt: skip
        else:
            for name, value in kept.items():
                self._asked.set_user_attr(name, value)
            self._study.tell(self._asked, None if trial.error else trial.score, state=_state(trial))
        self._count += 1
        self._tried[json.dumps(trial.settings, sort_keys=True)] = trial

    def close(self) -> None:
        """Remove the file: the run's record has the trials."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _opened(file: Path | None) -> Any:
    """Return the study that a journal holds, or a new one; a torn journal is set aside."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    def study(storage: Any) -> Any:
        return optuna.create_study(
            storage=storage, study_name="cell", direction="maximize", load_if_exists=True
        )

    if file is None:
        return study(None)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return study(JournalStorage(JournalFileBackend(str(file))))
    except (ValueError, KeyError):  # the last line of a process that was killed while writing
        file.rename(file.with_suffix(".damaged"))
        return study(JournalStorage(JournalFileBackend(str(file))))


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if dimension.kind == "choice":
        # By number: Optuna takes few kinds of values as they are.
        return CategoricalDistribution(list(range(len(dimension.values))))
    low, high = dimension.values
    if dimension.kind == "int":
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=dimension.kind == "log")


def _value(dimension: Dimension, param: Any) -> Any:
    return dimension.values[param] if dimension.kind == "choice" else param


def _param(dimension: Dimension, value: Any) -> Any:
    return dimension.values.index(value) if dimension.kind == "choice" else value


def _state(trial: Trial) -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL if trial.error else TrialState.COMPLETE


def _earlier(trial: Any) -> Trial:
    kept = trial.user_attrs
    score = float("nan") if trial.value is None else float(trial.value)
    return Trial(json.loads(kept[_SETTINGS]), score, kept[_SECONDS], kept[_ERROR])
