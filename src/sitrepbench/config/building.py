"""Building the objects that a configuration names: Hydra's `instantiate`, fast when repeated.

`instantiate` takes a millisecond and a half, and a sweep builds three objects per run that differ
from those of the run before in a number. What it does for them comes down to calling the target
with the values, once Hydra has agreed to that: so the first of a kind is built by Hydra, and the
next ones by a call.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate

from sitrepbench.config.targets import HYDRA_KEYS, OWN_KEYS, TARGET, locate
from sitrepbench.errors import ConfigError, SitrepBenchError

#: The kinds that Hydra has built: target, what it names, and the arguments given.
_Kind = tuple[str, Any, frozenset[str]]
_AGREED: set[_Kind] = set()
#: Kinds with values that scikit-learn has found good.
_SOUND: set[tuple[_Kind, str]] = set()
_SOUND_LIMIT = 10_000


def build(node: Mapping[str, Any], *, path: str) -> Any:
    """Return what a config node's ``_target_`` makes of its arguments; None where it is null.

    Parameters
    ----------
    node : mapping
        Resolved, as plain containers.
    path : str
        Where it stands in the configuration, for messages.

    Raises
    ------
    ConfigError
        When the target refuses its arguments.
    SitrepBenchError
        What a target of this program raises.
    """
    if node.get(TARGET) is None:
        return None
    arguments = without_own_keys(node)
    kind = _kind(arguments)
    if kind is not None and kind in _AGREED:
        try:
            made = _call(kind[1], arguments)
        except Exception:
            # Told below, in Hydra's words.
            made = _instantiate(arguments, path)
    else:
        made = _instantiate(arguments, path)
        if kind is not None and not callable(made):
            _AGREED.add(kind)
    _check_values(made, kind, arguments, path)
    return made


def without_own_keys(node: Any) -> Any:
    """Return a config node without the keys that are for this program, at every depth."""
    if isinstance(node, Mapping):
        return {key: without_own_keys(value) for key, value in node.items() if key not in OWN_KEYS}
    if isinstance(node, list):
        return [without_own_keys(value) for value in node]
    return node


def _instantiate(arguments: Mapping[str, Any], path: str) -> Any:
    try:
        return instantiate(_fit_types(arguments), _convert_="all")
    except HydraException as error:
        cause = error.__cause__
        if isinstance(cause, SitrepBenchError):
            raise cause from error
        said = str(cause or error).splitlines()[0]
        raise ConfigError(f"{path}: {arguments[TARGET]} refuses its arguments: {said}") from error


def _kind(arguments: Mapping[str, Any]) -> _Kind | None:
    """Return what Hydra's agreement depends on, None where that is more than names."""
    target = arguments[TARGET]
    if not isinstance(target, str):
        return None
    given = {key: value for key, value in arguments.items() if key != TARGET}
    if HYDRA_KEYS & given.keys() or not all(_is_plain(value) for value in given.values()):
        return None
    try:
        located = locate(target)
    except ConfigError:
        return None
    if not (inspect.isclass(located) or inspect.isfunction(located)):
        return None
    known = located.__module__.startswith("sitrepbench.") or hasattr(located, "get_params")
    return (target, located, frozenset(given)) if known else None


def _is_plain(value: Any) -> bool:
    """Return whether `instantiate` hands a value over as it is."""
    if isinstance(value, str):
        return "${" not in value and value != "???"
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return not HYDRA_KEYS & value.keys() and all(
            isinstance(key, str) and _is_plain(item) for key, item in value.items()
        )
    return value is None or isinstance(value, bool | int | float)


def _call(located: Any, arguments: Mapping[str, Any]) -> Any:
    # `arguments` are this call's own copies.
    tuples = _takes_tuples(located)
    return located(
        **{
            key: tuple(value) if isinstance(value, list) and key in tuples else value
            for key, value in arguments.items()
            if key != TARGET
        }
    )


def _fit_types(node: Any) -> Any:
    """Turn lists into tuples where scikit-learn accepts nothing else; YAML has no tuples."""
    if isinstance(node, list):
        return [_fit_types(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    fitted = {key: _fit_types(value) for key, value in node.items()}
    if not isinstance(node.get(TARGET), str):
        return fitted
    tuples = _takes_tuples(locate(node[TARGET]))
    for key, value in fitted.items():
        if isinstance(value, list) and key in tuples:
            fitted[key] = {TARGET: "builtins.tuple", "_args_": [value]}
    return fitted


def _takes_tuples(located: Any) -> frozenset[str]:
    constraints = getattr(located, "_parameter_constraints", None) or {}
    return frozenset(
        key for key, kinds in constraints.items() if isinstance(kinds, list) and tuple in kinds
    )


def _check_values(made: Any, kind: _Kind | None, arguments: Mapping[str, Any], path: str) -> None:
    """Ask scikit-learn about the values now, not after the data are loaded."""
    if not hasattr(made, "get_params"):
        return
    if kind is None:
        _check_constraints(made, path)
        return
    values = (kind, json.dumps(arguments, sort_keys=True))
    if values not in _SOUND:
        _check_constraints(made, path)
        if len(_SOUND) >= _SOUND_LIMIT:
            _SOUND.clear()
        _SOUND.add(values)


def _check_constraints(made: Any, path: str) -> None:
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
