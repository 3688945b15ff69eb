"""Composing many choices of config groups with Hydra's own algorithm, but without its settings.

Four fifths of a composition are Hydra's own settings (the ``hydra`` node with a dozen files), and
reading files that the composition before has read. Neither changes what a job is. So here the
``hydra`` node is left out and files are read once; how defaults lists are resolved and configs
are merged is Hydra's code. Where that could make a difference, the caller composes in full.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import GroupDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import Container, DictConfig, Node, OmegaConf, open_dict

HYDRA = "hydra"


@dataclass(frozen=True)
class Choices:
    """A composed choice of groups, before any plain value is set.

    Parameters
    ----------
    config : DictConfig
        Without the ``hydra`` node, in struct mode.
    names : mapping
        The chosen option of each group, as Hydra keeps it in ``hydra.runtime.choices``.
    """

    config: DictConfig
    names: Mapping[str, Any]


class ChoiceComposer:
    """Composes choices of groups; files are read once in its life.

    Parameters
    ----------
    loader : ConfigLoader
        Hydra's, which knows the search path.
    master : DictConfig
        The sweep's own configuration, as Hydra gives it to a launcher.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = cast(ConfigLoaderImpl, loader)  # the only one that Hydra has
        self._master = master
        self._config_name = master.hydra.job.config_name
        given = [str(text) for text in master.hydra.overrides.hydra]
        # Reads hydra.searchpath, so that the folders are those that Hydra looks into.
        _, repository = self._loader._parse_overrides_and_create_caching_repo(
            self._config_name, given
        )
        self._repository = _TaskRepository(repository.delegate)
        self._validated: set[frozenset[str]] = set()
        self._trusted = True

    def is_group(self, name: str) -> bool:
        """Return whether Hydra takes ``name`` for a config group."""
        return self._repository.group_exists(name)

    def compose(self, chosen: Sequence[Override]) -> Choices:
        """Return what a choice of groups composes to.

        Raises
        ------
        HydraException, OmegaConfBaseException
            As Hydra does.
        """
        if not self._trusted:
            return self._compose_fully(chosen)
        try:
            light = self._compose_lightly(chosen)
        except Exception:
            # Whatever it was: Hydra's own word on it is the one to hear.
            return self._compose_fully(chosen)
        settings = frozenset(self._repository.with_settings)
        if HYDRA in light.config:
            return self._compose_fully(chosen)
        if settings in self._validated:
            return light
        # Files with settings for Hydra are checked by Hydra, once; and so is the short way.
        full = self._compose_fully(chosen)
        self._validated.add(settings)
        self._trusted = _equal(light, full)
        return full

    def _compose_fully(self, chosen: Sequence[Override]) -> Choices:
        lines = [str(override.input_line) for override in chosen]
        config = self._loader.load_sweep_config(self._master, lines)
        names = dict(config.hydra.runtime.choices)
        OmegaConf.set_struct(config, False)
        del config[HYDRA]
        OmegaConf.set_struct(config, True)
        return Choices(config, names)

    def _compose_lightly(self, chosen: Sequence[Override]) -> Choices:
        # As ConfigLoaderImpl._load_configuration_impl, without what it does for the hydra node.
        self._repository.begin()
        defaults = create_defaults_list(
            repo=self._repository,
            config_name=self._config_name,
            overrides_list=list(chosen),
            prepend_hydra=False,
            skip_missing=False,
        )
        config = self._loader._compose_config_from_defaults_list(
            defaults=defaults.defaults, repo=self._repository
        )
        OmegaConf.set_struct(config, True)
        OmegaConf.copy_cache(from_config=self._master, to_config=config)
        return Choices(config, dict(defaults.overrides.known_choices))


def _equal(light: Choices, full: Choices) -> bool:
    return (
        list(light.config) == list(full.config)
        and all(full.names.get(group) == name for group, name in light.names.items())
        and _shape(light.config) == _shape(full.config)
    )


def _shape(node: Node | None) -> Any:
    """Return a config's values with the types that decide what can be set."""
    if isinstance(node, DictConfig):
        content = node._value()
        return (
            node._metadata.object_type,
            node._metadata.element_type,
            {key: _shape(child) for key, child in content.items()}
            if isinstance(content, dict)
            else content,
        )
    if isinstance(node, Container):
        content = node._value()
        return [_shape(child) for child in content] if isinstance(content, list) else content
    return None if node is None else (type(node), node._metadata.ref_type, node._value())


class _TaskRepository(IConfigRepository):
    """Hydra's config files without what is for Hydra itself, each read once."""

    def __init__(self, delegate: IConfigRepository) -> None:
        self.delegate = delegate
        #: The files of the present composition from which settings for Hydra were left out.
        self.with_settings: set[str] = set()
        self._kept: dict[str, tuple[ConfigResult | None, bool]] = {}
        self._given: dict[str, ConfigResult | None] = {}
        self._groups: dict[str, bool] = {}

    def begin(self) -> None:
        """Begin a composition: what the one before was given belongs to it."""
        self._given = {}
        self.with_settings = set()

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self._given:
            if config_path not in self._kept:
                self._kept[config_path] = self._load(config_path)
            kept, settings = self._kept[config_path]
            if settings:
                self.with_settings.add(config_path)
            # A composition takes nodes over and changes them.
            self._given[config_path] = copy.deepcopy(kept)
        return self._given[config_path]

    def _load(self, config_path: str) -> tuple[ConfigResult | None, bool]:
        loaded = self.delegate.load_config(config_path=config_path)
        if loaded is None:
            return None, False
        found = loaded.defaults_list or []
        loaded.defaults_list = [item for item in found if not _for_hydra(item, config_path)]
        settings = len(loaded.defaults_list) < len(found)
        if _is_global(loaded, config_path) and HYDRA in loaded.config:
            with open_dict(loaded.config):
                del loaded.config[HYDRA]
            settings = True
        return loaded, settings

    def group_exists(self, config_path: str) -> bool:
        if config_path not in self._groups:
            self._groups[config_path] = self.delegate.group_exists(config_path)
        return self._groups[config_path]

    def get_schema_source(self) -> ConfigSource:
        return self.delegate.get_schema_source()

    def config_exists(self, config_path: str) -> bool:
        return bool(self.delegate.config_exists(config_path))

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG
    ) -> list[str]:
        return list(self.delegate.get_group_options(group_name, results_filter))

    def get_sources(self) -> list[ConfigSource]:
        return list(self.delegate.get_sources())

    def initialize_sources(self, config_search_path: Any) -> None:
        self.delegate.initialize_sources(config_search_path)


def _for_hydra(default: Any, config_path: str) -> bool:
    """Return whether an entry of a defaults list chooses a part of Hydra."""
    group = default.group or "" if isinstance(default, GroupDefault) else ""
    return group.startswith(f"/{HYDRA}/") or (
        group.startswith(f"{HYDRA}/") and "/" not in config_path
    )


def _is_global(loaded: ConfigResult, config_path: str) -> bool:
    """Return whether a file's ``hydra`` key is Hydra's node, not an argument of some object."""
    return isinstance(loaded.config, DictConfig) and (
        loaded.header["package"] == "_global_" or "/" not in config_path
    )
