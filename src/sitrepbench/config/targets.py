"""Checks every ``_target_`` of a configuration against the signature of what it names.

Hydra refuses an unknown key, but not one that is added with ``+`` or stands in a user's YAML;
here both are errors, with the nearest legal name.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import typing
from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sitrepbench.errors import ConfigError, did_you_mean

TARGET = "_target_"
#: Keys of a config node that are for Hydra, not for the target.
HYDRA_KEYS = frozenset({TARGET, "_convert_", "_recursive_", "_partial_", "_args_"})
#: Keys of a config node that are for this program, not for the target.
OWN_KEYS = frozenset({"_about_"})


def check_targets(tree: Mapping[str, Any]) -> None:
    """Raise one `ConfigError` with every unknown, missing or mistyped argument of a config.

    Parameters
    ----------
    tree : mapping
        The resolved configuration as plain containers.
    """
    problems = target_problems(tree)
    if problems:
        raise ConfigError("\n".join(problems))


def target_problems(node: Any, path: str = "") -> list[str]:
    """Return every unknown, missing or mistyped argument in a part of a config, as messages.

    Parameters
    ----------
    node : object
        The part, resolved, as plain containers.
    path : str
        Its own dotted path; empty for a whole config.
    """
    return [problem for where, found in _nodes(node, path) for problem in _problems(where, found)]


def locate(target: str) -> Any:
    """Return the object that a dotted path names.

    Raises
    ------
    ConfigError
        When it cannot be imported; with the nearest name of its module, or the install command
        of the extra that it needs.
    """
    module_name, _, attribute = target.rpartition(".")
    if not module_name:
        raise ConfigError(f"{target!r} is not a dotted path such as sklearn.svm.LinearSVC")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        owner = _nested_owner(module_name)
        if owner is not None and hasattr(owner, attribute):
            return getattr(owner, attribute)
        unknown = error.name == module_name.partition(".")[0]
        advice = "; install it, or put its folder on PYTHONPATH" if unknown else ""
        raise ConfigError(f"{target!r} cannot be imported: {error}{advice}") from error
    except Exception as error:  # a user's module may fail in any way
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{target!r} cannot be imported: {told}") from error
    if not hasattr(module, attribute):
        public = [name for name in dir(module) if not name.startswith("_")]
        raise ConfigError(f"{module_name} has no {attribute!r}.{did_you_mean(attribute, public)}")
    return getattr(module, attribute)


def parameters_of(target: str) -> dict[str, inspect.Parameter]:
    """Return the parameters that a target can be given by name; empty if it tells none."""
    return dict(_parameters(locate(target)))


def _parameters(located: Any) -> Mapping[str, inspect.Parameter]:
    return _signature(located) if isinstance(located, Hashable) else {}


# Kept per object, not per name: a module that is loaded anew brings new objects.
@lru_cache(maxsize=256)
def _signature(located: Any) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(located)
    except (TypeError, ValueError):
        return {}
    return dict(signature.parameters)


@lru_cache(maxsize=256)
def _type_hints(located: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(located):
        # Its fields may be those of a base in another module, whose names its __init__ lacks.
        return typing.get_type_hints(located)
    return typing.get_type_hints(located.__init__ if inspect.isclass(located) else located)


@lru_cache(maxsize=2048)
def _value_check(located: Any, key: str) -> TypeAdapter[Any]:
    return TypeAdapter(_type_hints(located)[key], config={"arbitrary_types_allowed": True})


def _nested_owner(path: str) -> Any:
    # A class attribute: package.module.Class.method.
    try:
        return locate(path)
    except ConfigError:
        return None


def _nodes(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if isinstance(node.get(TARGET), str):
            yield path, node
        for key, child in node.items():
            if key not in OWN_KEYS:
                yield from _nodes(child, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _nodes(child, f"{path}[{index}]")


def _problems(path: str, node: Mapping[str, Any]) -> Iterator[str]:
    target = node[TARGET]
    try:
        located = locate(target)
    except ConfigError as error:
        yield f"{path}._target_: {error}"
        return
    parameters = _parameters(located)
    if not parameters and not inspect.isclass(located):
        return
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    given = [key for key in node if key not in HYDRA_KEYS and key not in OWN_KEYS]
    short = target.rpartition(".")[2]
    for key in given:
        if key not in named and not anything:
            yield (
                f"{path}.{key}: {short} takes no argument {key!r}.{did_you_mean(key, named)} "
                f"It takes {', '.join(named) or 'nothing'}."
            )
    if "_args_" not in node and not node.get("_partial_"):
        for name, parameter in named.items():
            if parameter.default is parameter.empty and (name not in node or node[name] == "???"):
                yield f"{path}.{name} is required: give {path}.{name}=..."
    if target.startswith("sitrepbench."):
        yield from _type_problems(path, node, located, [key for key in given if key in named])


def _type_problems(
    path: str, node: Mapping[str, Any], located: Any, given: list[str]
) -> Iterator[str]:
    hints = _type_hints(located)
    for key in given:
        value = node[key]
        if key not in hints or value == "???" or (isinstance(value, Mapping) and TARGET in value):
            continue
        try:
            _value_check(located, key).validate_python(value)
        except ValidationError as error:
            said = "; ".join(dict.fromkeys(item["msg"] for item in error.errors()))
            yield f"{path}.{key}={value!r}: {said[0].lower()}{said[1:]}"
