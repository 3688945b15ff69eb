"""Composing with Hydra: the program's own folders, the user's, and readable errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sitrepbench.config.messages import explain_composition
from sitrepbench.config.schema import register_schema
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

CONFIG_NAME = "config"
EXPERIMENTS = "experiments"
#: What Hydra raises for a configuration that does not compose; ValueError for an odd choice,
#: YAMLError for a file that is no YAML.
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError, YAMLError)


@contextlib.contextmanager
def hydra_session(config_dirs: Sequence[Path] = ()) -> Iterator[Hydra]:
    """Yield a Hydra that knows the program's config folders and then the user's.

    Parameters
    ----------
    config_dirs : sequence of Path
        Folders of the user's own groups and studies. They add choices; one with the name of a
        choice that the program brings would silently not be used, so it is an error.

    Raises
    ------
    ConfigError
        When a folder does not exist or holds such a name.
    """
    search_path = _search_path(config_dirs)
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2(task_name="sitrepbench", config_search_path=search_path)
    finally:
        GlobalHydra.instance().clear()


def _search_path(config_dirs: Sequence[Path]) -> ConfigSearchPath:
    conf = resource_folder("conf")
    version.setbase("1.3")
    setup_globals()
    register_schema()
    search_path = create_config_search_path(str(conf))
    # Hydra wants its schema source last, so ours go before it.
    top = resource_folder("experiments").parent
    search_path.prepend("sitrepbench", f"file://{top}", anchor="schema")
    for folder in config_dirs:
        _check_user_folder(folder, conf)
        search_path.prepend("command-line", f"file://{folder.resolve()}", anchor="schema")
    return search_path


def program_loader() -> ConfigLoaderImpl:
    """Return a loader of the program's own configs, beside whatever session is open."""
    return ConfigLoaderImpl(config_search_path=_search_path([]))


def master_config(loader: ConfigLoader) -> DictConfig:
    """Return the configuration of a sweep for which nothing is given."""
    return loader.load_configuration(
        config_name=CONFIG_NAME, overrides=[], run_mode=RunMode.MULTIRUN
    )


def compose(
    overrides: Sequence[str],
    *,
    config_dirs: Sequence[Path] = (),
    config_name: str = CONFIG_NAME,
) -> DictConfig:
    """Return the composed configuration of one run, with its ``hydra`` node.

    Raises
    ------
    ConfigError
        With the nearest legal name for what is unknown.
    """
    with hydra_session(config_dirs) as hydra:
        return compose_with(hydra, overrides, config_name=config_name)


def as_named(overrides: Sequence[str]) -> list[str]:
    """Return overrides as this program's defaults list takes them.

    A study is chosen by ``experiments=NAME``; Hydra users know it as ``+experiments=NAME``.

    >>> as_named(["+experiments=seeds", "+model.tol=0.1"])
    ['experiments=seeds', '+model.tol=0.1']
    """
    plus = f"+{EXPERIMENTS}="
    return [text[1:] if text.startswith(plus) else text for text in overrides]


def compose_with(
    hydra: Hydra,
    overrides: Sequence[str],
    *,
    config_name: str = CONFIG_NAME,
    run_mode: RunMode = RunMode.RUN,
) -> DictConfig:
    """Compose in an open `hydra_session`; errors as in `compose`."""
    try:
        return hydra.compose_config(
            config_name=config_name,
            overrides=as_named(overrides),
            run_mode=run_mode,
            with_log_configuration=False,
            from_shell=True,
        )
    except COMPOSITION_ERRORS as error:
        raise explained(hydra, error, overrides) from error


def sweep_with(
    hydra: Hydra, composed: DictConfig, task: TaskFunction, *, config_name: str = CONFIG_NAME
) -> Any:
    """Let the sweeper of a composed configuration run; `Hydra.multirun` would compose it again.

    Parameters
    ----------
    hydra : Hydra
        Of an open `hydra_session`.
    composed : DictConfig
        As `compose_with` returns it for a sweep, with its ``hydra`` node.
    task : callable
        What the launcher is given.
    """
    callbacks = Callbacks(composed)
    callbacks.on_multirun_start(config=composed, config_name=config_name)
    sweeper = Plugins.instance().instantiate_sweeper(
        config=composed,
        hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
        task_function=task,
    )
    returned = sweeper.sweep(arguments=list(composed.hydra.overrides.task))
    callbacks.on_multirun_end(config=composed, config_name=config_name)
    return returned


def explained(hydra: Hydra, error: Exception, overrides: Sequence[str]) -> ConfigError:
    """Return the readable form of what Hydra raised while composing ``overrides``."""
    return explained_by(hydra.config_loader, error, overrides)


def explained_by(loader: ConfigLoader, error: Exception, overrides: Sequence[str]) -> ConfigError:
    """Return the same as `explained`, from Hydra's loader alone."""
    defaults: DictConfig | None = None
    chosen = [text for text in overrides if "." not in text.partition("=")[0]]
    # Legal keys depend on the groups chosen; if a group is what is wrong, on the defaults.
    for attempt in (chosen, []):
        with contextlib.suppress(*COMPOSITION_ERRORS):
            defaults = loader.load_configuration(
                config_name=CONFIG_NAME,
                overrides=attempt,
                run_mode=RunMode.RUN,
                from_shell=True,
                validate_sweep_overrides=False,
            )
            break
    if defaults is not None:
        defaults = defaults.copy()
        defaults._set_flag("struct", False)
        defaults.pop("hydra", None)
    return explain_composition(error, overrides, defaults)


def _check_user_folder(folder: Path, conf: Path) -> None:
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {folder}: no such folder")
    own = {file.relative_to(conf) for file in conf.rglob("*.yaml")}
    taken = sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*.yaml")
        if file.relative_to(folder) in own
    )
    if taken:
        raise ConfigError(
            f"--config-dir {folder}: {', '.join(taken)}: the program brings a choice of that "
            "name, and yours would not be used. Give yours another name."
        )
