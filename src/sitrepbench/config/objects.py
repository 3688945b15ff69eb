"""Classes and objects as config nodes: what a YAML would have said to make them."""

from __future__ import annotations

import contextlib
import inspect
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from sitrepbench.config.targets import TARGET, locate
from sitrepbench.errors import ConfigError


def object_node(given: Any, *, what: str, defaults: bool = False) -> dict[str, Any]:
    """Return the config node that makes an estimator anew.

    Parameters
    ----------
    given : class or estimator
        A class, or an unfitted object of one that has ``get_params``.
    what : str
        What it is, for messages: ``model`` or ``features``.
    defaults : bool
        Whether to keep arguments that are as the class has them by default, for a tuner searches
        among what stands in the node; otherwise they are left out, as in most files.

    Raises
    ------
    ConfigError
        When its class cannot be imported by its name, or an argument has no plain form.

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> object_node(LinearSVC(C=0.5), what="model")
    {'_target_': 'sklearn.svm.LinearSVC', 'C': 0.5}
    """
    if not inspect.isclass(given) and not hasattr(given, "get_params"):
        raise ConfigError(
            f"{what}={given!r}: expected the name of a choice, a class, or an estimator that "
            "inherits from sklearn.base.BaseEstimator"
        )
    located = given if inspect.isclass(given) else type(given)
    node: dict[str, Any] = {TARGET: _name_of(located, what)}
    parameters = inspect.signature(located.__init__).parameters
    for name, value in _arguments(given, parameters).items():
        parameter = parameters.get(name)
        if parameter is None or not _same(value, parameter.default):
            node[name] = _plain(value, f"{what}.{name}", defaults=defaults)
        elif defaults:
            # What has no plain form cannot be tuned, and the class has it anyway.
            with contextlib.suppress(ConfigError):
                node[name] = _plain(value, f"{what}.{name}", defaults=defaults)
    return node


def _arguments(given: Any, parameters: Mapping[str, inspect.Parameter]) -> Mapping[str, Any]:
    """Return an object's arguments by name; of a class, those that it has by default."""
    if not inspect.isclass(given):
        found: dict[str, Any] = given.get_params(deep=False)
        return found
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }


def _name_of(located: type, what: str) -> str:
    name = f"{located.__module__}.{located.__qualname__}"
    if "<locals>" in name:
        raise ConfigError(
            f"{what}: {located.__qualname__} is defined inside a function, where no run can find "
            "it again; define it at the top of a module or of your session"
        )
    try:
        found = locate(name)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error
    if found is not located:
        raise ConfigError(
            f"{what}: {name} is another class by now, for it was defined or loaded anew; make the "
            "object anew from the class as it is"
        )
    return _public(located, name)


def _public(located: type, name: str) -> str:
    """Return the name under which a library shows what it defines in a private module."""
    way = located.__module__.split(".")
    hidden = next((index for index, part in enumerate(way) if part.startswith("_")), None)
    if not hidden:
        return name
    module = ".".join(way[:hidden])
    shown = getattr(sys.modules.get(module), located.__qualname__, None)
    return f"{module}.{located.__qualname__}" if shown is located else name


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    plain = (bool, int, float, str, tuple)
    return type(value) is type(default) and isinstance(value, plain) and value == default


def _plain(value: Any, path: str, *, defaults: bool) -> Any:
    """Return an argument as YAML can hold it, estimators as nodes."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and "${" not in value and value != "???":
        return value
    if isinstance(value, list):
        return [
            _plain(item, f"{path}[{index}]", defaults=defaults) for index, item in enumerate(value)
        ]
    if isinstance(value, tuple):
        items = [
            _plain(item, f"{path}[{index}]", defaults=defaults) for index, item in enumerate(value)
        ]
        return {TARGET: "builtins.tuple", "_args_": [items]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {
            key: _plain(item, f"{path}.{key}", defaults=defaults) for key, item in value.items()
        }
    if hasattr(value, "get_params") and not inspect.isclass(value):
        return object_node(value, what=path, defaults=defaults)
    raise ConfigError(
        f"{path}: {type(value).__name__} {value!r} has no plain form, and a run is known by its "
        "configuration. Give numbers, texts, lists, mappings or estimators; wrap what is more in "
        "a class of your own that makes it in fit"
    )
