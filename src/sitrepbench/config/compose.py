"""Composing with Hydra: the program's own folders, the user's, and readable errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sitrepbench.config.messages import explain_composition
from sitrepbench.config.schema import register_schema
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

CONFIG_NAME = "config"
EXPERIMENTS = "experiments"


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
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2(task_name="sitrepbench", config_search_path=search_path)
    finally:
        GlobalHydra.instance().clear()


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
            overrides=list(overrides),
            run_mode=run_mode,
            with_log_configuration=False,
            from_shell=True,
        )
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(hydra, error, overrides) from error


def explained(hydra: Hydra, error: Exception, overrides: Sequence[str]) -> ConfigError:
    """Return the readable form of what Hydra raised while composing ``overrides``."""
    defaults: DictConfig | None = None
    chosen = [text for text in overrides if "." not in text.partition("=")[0]]
    # Legal keys depend on the groups chosen; if a group is what is wrong, on the defaults.
    for attempt in (chosen, []):
        with contextlib.suppress(HydraException, OmegaConfBaseException):
            defaults = hydra.compose_config(
                config_name=CONFIG_NAME,
                overrides=attempt,
                run_mode=RunMode.RUN,
                with_log_configuration=False,
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
