"""One run's configuration, checked and as plain values; and the objects it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sitrepbench.config.building import build
from sitrepbench.config.schema import GROUPS, Resume, RunSchema
from sitrepbench.config.targets import TARGET, check_targets
from sitrepbench.errors import ConfigError, did_you_mean

__all__ = ["RunConfig", "build", "check_config"]

ABOUT = "_about_"
_TOP_LEVEL = frozenset(RunSchema.__dataclass_fields__)


@dataclass(frozen=True)
class RunConfig:
    """A checked configuration.

    Parameters
    ----------
    tree : mapping
        The whole configuration, resolved, as plain containers.
    names : mapping
        The chosen option of each group, such as ``{"model": "linear_svm"}``: labels only.
    overrides : tuple of str
        What was given on the command line, in order.
    """

    tree: Mapping[str, Any]
    names: Mapping[str, str]
    overrides: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """What seeds the model's own random numbers."""
        return int(self.tree["seed"])

    @property
    def results_dir(self) -> Path:
        """The results store, absolute."""
        return Path(self.tree["results_dir"]).expanduser().resolve()

    @property
    def resume(self) -> Resume:
        """What to do about runs that the store has."""
        return Resume[str(self.tree["resume"])]

    @property
    def study(self) -> str | None:
        """The study that the run belongs to."""
        study: str | None = self.tree["study"]
        return study

    @property
    def unlock_reason(self) -> str | None:
        """Why a test split may be read, as given by hand."""
        reason: str | None = self.tree["unlock"]["reason"]
        return reason

    def short_name(self, group: str) -> str:
        """Return a group's option in its short form for lists: ``_about_.short`` or its name."""
        about = self.tree[group].get(ABOUT) or {}
        return str(about.get("short") or self.names[group])

    def build(self, group: str) -> Any:
        """Return the object that a group's ``_target_`` makes, None where it is null.

        Raises
        ------
        ConfigError
            When it refuses its arguments.
        """
        return build(self.tree[group], path=group)


def check_config(composed: DictConfig) -> RunConfig:
    """Check a composed configuration, and return it as plain values.

    Parameters
    ----------
    composed : DictConfig
        As `compose` returns it, with its ``hydra`` node.

    Raises
    ------
    ConfigError
        With every unknown, missing or mistyped key at once.
    """
    choices = group_names(composed.hydra.runtime.choices)
    # As they were given: an interpolation in one is resolved where its value stands.
    overrides = OmegaConf.to_container(composed.hydra.overrides.task, resolve=False)
    bare = composed.copy()
    OmegaConf.set_struct(bare, False)
    del bare["hydra"]
    plain = plain_values(bare)
    check_top_level(plain, choices)
    check_targets(plain)
    return RunConfig(plain, choices, tuple(str(text) for text in overrides or ()))


def group_names(choices: Mapping[str, Any]) -> dict[str, str]:
    """Return the chosen option of each group, out of all that Hydra chose."""
    return {group: str(choices.get(group)) for group in GROUPS}


def plain_values(bare: DictConfig) -> dict[str, Any]:
    """Return a composed configuration without its ``hydra`` node, resolved, as plain containers.

    Raises
    ------
    ConfigError
        When an interpolation names nothing.
    """
    try:
        tree = OmegaConf.to_container(bare, resolve=True, enum_to_str=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def check_top_level(plain: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    """Check that all keys at the top are known and that every group's file names a target.

    Raises
    ------
    ConfigError
        With every unknown key; otherwise with the first group that names none.
    """
    unknown = [key for key in plain if key not in _TOP_LEVEL]
    if unknown:
        raise ConfigError(
            "\n".join(
                f"{key}: unknown key at the top level.{did_you_mean(key, _TOP_LEVEL)}"
                for key in unknown
            )
        )
    for group in GROUPS:
        if not isinstance(plain[group], dict) or TARGET not in plain[group]:
            raise ConfigError(
                f"{group}={choices[group]}: the file has no _target_; it names the public class "
                "or function that is meant, such as sklearn.svm.LinearSVC"
            )
