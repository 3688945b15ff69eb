"""The runs that a study of ``experiments/`` consists of, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from sitrepbench.config.compose import (
    CONFIG_NAME,
    EXPERIMENTS,
    compose_with,
    explained,
    hydra_session,
)
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.config.sweeping import compose_jobs
from sitrepbench.config.targets import locate
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder


def committed_studies() -> list[str]:
    """Return the names of the studies in ``experiments/``."""
    return sorted(file.stem for file in resource_folder("experiments").glob("*.yaml"))


def study_configs(study: str) -> list[RunConfig]:
    """Return the checked configuration of every run of a study, in its order.

    Raises
    ------
    ConfigError
        When it does not compose, or its runs are not known before they are run, as with a
        sweeper that searches.
    """
    return [job.config for job in study_jobs(study)]


@dataclass(frozen=True)
class StudyJob:
    """One run of a study.

    Parameters
    ----------
    own : tuple of str
        What tells it from the study's other runs: the values of the keys that the study sweeps,
        such as ``("model=linear_svm",)``; empty for a study of one run.
    config : RunConfig
        Checked.
    """

    own: tuple[str, ...]
    config: RunConfig


def study_jobs(
    study: str,
    *,
    overrides: Sequence[str] = (),
    config_dirs: Sequence[Path] = (),
) -> list[StudyJob]:
    """Return every run of a study, in its order.

    Parameters
    ----------
    study : str
        Its name in ``experiments/``.
    overrides : sequence of str
        Set for all runs. Values for a key that the study sweeps replace the study's own.
    config_dirs : sequence of Path
        Folders of the user's own groups and studies.

    Raises
    ------
    ConfigError
        As for `study_configs`, and when the overrides sweep what the study does not.
    """
    given = [f"{EXPERIMENTS}={study}", *overrides]
    with hydra_session(config_dirs) as hydra:
        try:
            if hydra.get_mode(config_name=CONFIG_NAME, overrides=given) is RunMode.MULTIRUN:
                return _combinations(hydra, study, given)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(hydra, error, given) from error
        return [StudyJob((), check_config(compose_with(hydra, given)))]


def _combinations(hydra: Hydra, study: str, given: list[str]) -> list[StudyJob]:
    master = compose_with(hydra, given, run_mode=RunMode.MULTIRUN)
    sweeper: Any = locate(str(master.hydra.sweeper._target_))
    # By name: Hydra loads its plugins a second time, as classes of their own.
    if BasicSweeper.__name__ not in (kind.__name__ for kind in sweeper.__mro__):
        raise ConfigError(
            f"study {study!r}: its sweeper {sweeper.__name__} chooses the runs while it runs"
        )
    params = {str(key): value for key, value in (master.hydra.sweeper.get("params") or {}).items()}
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)  # the only one that Hydra has
    parser = OverridesParser.create(config_loader=loader)
    parsed = parser.parse_overrides(given)
    taken = {item.get_key_element() for item in parsed}
    strange = [
        str(item.input_line)
        for item in parsed
        if item.is_sweep_override() and item.get_key_element() not in params
    ]
    if strange:
        raise ConfigError(
            f"{', '.join(strange)}: study {study!r} does not sweep that; give it one value. It "
            f"sweeps: {', '.join(params) or 'nothing'}"
        )
    lines = [f"{key}={value}" for key, value in params.items() if key not in taken]
    swept = parser.parse_overrides(lines)
    (jobs,) = BasicSweeper.split_arguments([*swept, *parsed], max_batch_size=None)
    named = [_own(job, params) for job in jobs]
    configs = compose_jobs(loader, master, jobs)
    return [StudyJob(own, config) for own, config in zip(named, configs, strict=True)]


def _own(job: Sequence[str], params: Iterable[str]) -> tuple[str, ...]:
    """Return a job's values of the swept keys, in the study's order."""
    values = {text.partition("=")[0]: text for text in job}
    return tuple(values[key] for key in params if key in values)
