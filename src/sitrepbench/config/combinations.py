"""The runs that a study of ``experiments/`` consists of, without running it."""

from __future__ import annotations

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
    overrides = [f"{EXPERIMENTS}={study}"]
    with hydra_session() as hydra:
        try:
            if hydra.get_mode(config_name=CONFIG_NAME, overrides=overrides) is RunMode.MULTIRUN:
                return _combinations(hydra, study, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(hydra, error, overrides) from error
        return [check_config(compose_with(hydra, overrides))]


def _combinations(hydra: Hydra, study: str, overrides: list[str]) -> list[RunConfig]:
    master = compose_with(hydra, overrides, run_mode=RunMode.MULTIRUN)
    sweeper: Any = locate(str(master.hydra.sweeper._target_))
    # By name: Hydra loads its plugins a second time, as classes of their own.
    if BasicSweeper.__name__ not in (kind.__name__ for kind in sweeper.__mro__):
        raise ConfigError(
            f"study {study!r}: its sweeper {sweeper.__name__} chooses the runs while it runs"
        )
    params = master.hydra.sweeper.get("params") or {}
    loader = hydra.config_loader
    assert isinstance(loader, ConfigLoaderImpl)  # the only one that Hydra has
    lines = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(lines)
    (jobs,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return compose_jobs(loader, master, jobs)
