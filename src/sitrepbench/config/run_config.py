"""One run's configuration, checked and as plain values; and the objects it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sitrepbench.config.schema import GROUPS, Resume, RunSchema
from sitrepbench.config.targets import OWN_KEYS, TARGET, check_targets, locate
from sitrepbench.errors import ConfigError, SitrepBenchError, did_you_mean

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
    choices = {group: str(composed.hydra.runtime.choices.get(group)) for group in GROUPS}
    overrides = tuple(str(text) for text in composed.hydra.overrides.task)
    bare = composed.copy()
    OmegaConf.set_struct(bare, False)
    del bare["hydra"]
    try:
        tree = OmegaConf.to_container(bare, resolve=True, enum_to_str=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    assert isinstance(tree, dict)
    plain = {str(key): value for key, value in tree.items()}
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
    check_targets(plain)
    return RunConfig(plain, choices, overrides)


def build(node: Mapping[str, Any], *, path: str) -> Any:
    """Return what a config node's ``_target_`` makes of its arguments; None where it is null."""
    if node.get(TARGET) is None:
        return None
    arguments = without_own_keys(node)
    try:
        made = instantiate(_fit_types(arguments), _convert_="all")
    except HydraException as error:
        cause = error.__cause__
        if isinstance(cause, SitrepBenchError):
            raise cause from error
        said = str(cause or error).splitlines()[0]
        raise ConfigError(f"{path}: {node[TARGET]} refuses its arguments: {said}") from error
    _check_constraints(made, path)
    return made


def without_own_keys(node: Any) -> Any:
    """Return a config node without the keys that are for this program, at every depth."""
    if isinstance(node, Mapping):
        return {key: without_own_keys(value) for key, value in node.items() if key not in OWN_KEYS}
    if isinstance(node, list):
        return [without_own_keys(value) for value in node]
    return node


def _fit_types(node: Any) -> Any:
    """Turn lists into tuples where scikit-learn accepts nothing else; YAML has no tuples."""
    if isinstance(node, list):
        return [_fit_types(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    fitted = {key: _fit_types(value) for key, value in node.items()}
    if not isinstance(node.get(TARGET), str):
        return fitted
    constraints = getattr(locate(node[TARGET]), "_parameter_constraints", None) or {}
    for key, value in fitted.items():
        if isinstance(value, list) and tuple in _kinds(constraints.get(key)):
            fitted[key] = {TARGET: "builtins.tuple", "_args_": [value]}
    return fitted


def _kinds(constraint: Any) -> Sequence[Any]:
    return constraint if isinstance(constraint, list) else ()


def _check_constraints(made: Any, path: str) -> None:
    """Ask scikit-learn about the values now, not after the data are loaded."""
    if not hasattr(made, "get_params"):
        return
    from sklearn.utils._param_validation import (
        InvalidParameterError,
        validate_parameter_constraints,
    )

    inner = [value for value in made.get_params(deep=True).values() if hasattr(value, "get_params")]
    for estimator in (made, *inner):
        constraints = getattr(estimator, "_parameter_constraints", None)
        if not constraints or isinstance(estimator, type):
            continue
        try:
            validate_parameter_constraints(
                constraints,
                estimator.get_params(deep=False),
                caller_name=type(estimator).__name__,
            )
        except InvalidParameterError as error:
            raise ConfigError(f"{path}: {error}") from error
