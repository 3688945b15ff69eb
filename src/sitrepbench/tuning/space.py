"""What may be chosen: the space of a model's settings, drawn from, listed, and its edges."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sitrepbench.errors import ConfigError

#: From a path below the model's node, such as ``C`` or ``parts.svm.model.C``, to a value.
Settings = dict[str, Any]

KINDS = ("log", "uniform", "int", "choice")
#: A number this near to an end of its range, as a share of the range, lies at its edge.
EDGE = 0.02


@dataclass(frozen=True)
class Dimension:
    """The values that one setting may take.

    Parameters
    ----------
    path : str
        Where it stands below the model's node.
    kind : str
        ``log``, ``uniform`` (numbers between two ends, both included), ``int`` or ``choice``.
    values : tuple
        The two ends, or the choices.
    """

    path: str
    kind: str
    values: tuple[Any, ...]

    def draw(self, generator: np.random.Generator) -> Any:
        """Return a random value."""
        if self.kind == "choice":
            return self.values[int(generator.integers(len(self.values)))]
        low, high = self.values
        if self.kind == "int":
            return int(generator.integers(low, high + 1))
        if self.kind == "log":
            return float(f"{math.exp(generator.uniform(math.log(low), math.log(high))):.4g}")
        return float(f"{generator.uniform(low, high):.4g}")

    def contains(self, value: Any) -> bool:
        """Return whether a value is one that may be drawn."""
        if self.kind == "choice":
            return value in self.values
        low, high = self.values
        whole = self.kind != "int" or isinstance(value, int)
        return _is_number(value) and whole and bool(low <= value <= high)

    def edge(self, value: Any) -> str:
        """Return ``lower`` or ``upper`` where a value lies at that edge or beyond, else "".

        Of choices, only three or more numbers have edges.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        if self.kind == "choice":
            numbers = [item for item in self.values if _is_number(item)]
            if len(numbers) < 3 or len(numbers) < len(self.values):
                return ""
            low, high, margin = min(numbers), max(numbers), 0.0
        else:
            low, high = self.values
            margin = 0.0 if self.kind == "int" else EDGE
        if value <= low:
            return "lower"
        if value >= high:
            return "upper"
        if self.kind == "log":
            low, high, value = math.log(low), math.log(high), math.log(value)
        if value <= low + margin * (high - low):
            return "lower"
        return "upper" if value >= high - margin * (high - low) else ""


def read_space(node: Mapping[str, Any], model: Mapping[str, Any], *, where: str) -> list[Dimension]:
    """Return the dimensions of a ``space`` node.

    Parameters
    ----------
    node : mapping
        Such as ``{"C": {"log": [0.01, 10]}, "class_weight": {"choice": ["balanced", None]}}``.
    model : mapping
        The model's configuration, in which every path must stand.
    where : str
        What the node is called in messages.

    Raises
    ------
    ConfigError
        With everything that is wrong with it.
    """
    problems: list[str] = []
    found: list[Dimension] = []
    for path, given in node.items():
        kind, values = next(iter(given.items())) if _is_one_pair(given) else ("", ())
        wrong = _path_problem(model, path) or _value_problem(kind, values)
        if wrong:
            problems.append(f"{where}.{path}: {wrong}")
        else:
            found.append(Dimension(path, kind, tuple(values)))
    if problems:
        raise ConfigError("\n".join(problems))
    return found


def read_grid(node: Mapping[str, Any], model: Mapping[str, Any], *, where: str) -> list[Dimension]:
    """Return the dimensions of a ``grid`` node, ``{"C": [0.1, 1.0]}``; as `read_space`."""
    spaces = {
        path: {"choice": values if isinstance(values, list) else [values]}
        for path, values in node.items()
    }
    return read_space(spaces, model, where=where)


def combinations(dimensions: list[Dimension]) -> Iterator[Settings]:
    """Yield every combination of choices, the last dimension varying fastest; one where none."""
    for values in itertools.product(*(dimension.values for dimension in dimensions)):
        yield dict(zip((dimension.path for dimension in dimensions), values, strict=True))


def value_at(model: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a path of a model's configuration; KeyError where nothing does."""
    node: Any = model
    for name in path.split("."):
        if isinstance(node, list) and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, Mapping):
            node = node[name]
        else:
            raise KeyError(path)
    return node


def with_settings(model: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a model's configuration with some settings replaced.

    >>> with_settings({"C": 1, "inner": {"p": 2}}, {"inner.p": 3})
    {'C': 1, 'inner': {'p': 3}}
    """
    copied: dict[str, Any] = dict(model)
    for path, value in settings.items():
        *parents, last = path.split(".")
        node: Any = copied
        for name in parents:
            key = int(name) if isinstance(node, list) else name
            node[key] = copy.copy(node[key])
            node = node[key]
        node[int(last) if isinstance(node, list) else last] = value
    return copied


def check_settings(settings: Mapping[str, Any], model: Mapping[str, Any], *, where: str) -> None:
    """Raise `ConfigError` for settings whose path does not stand in the model's configuration."""
    problems = [
        f"{where}.{path}: {wrong}" for path in settings if (wrong := _path_problem(model, path))
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def edge_notes(settings: Mapping[str, Any], dimensions: list[Dimension]) -> list[str]:
    """Return a line for each chosen number that lies at the edge of its space."""
    return [
        f"tuning: {dimension.path}={settings[dimension.path]} lies "
        f"{'at' if dimension.contains(settings[dimension.path]) else 'beyond'} the {edge} edge of "
        f"its space ({_range(dimension)}); the optimum may lie further out"
        for dimension in dimensions
        if (edge := dimension.edge(settings[dimension.path]))
    ]


def _range(dimension: Dimension) -> str:
    numbers = dimension.values
    return f"{min(numbers)} to {max(numbers)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_one_pair(given: Any) -> bool:
    return isinstance(given, Mapping) and len(given) == 1 and next(iter(given)) in KINDS


def _path_problem(model: Mapping[str, Any], path: str) -> str:
    try:
        value_at(model, str(path))
    except KeyError:
        known = ", ".join(sorted(key for key in model if not key.startswith("_")))
        return f"the model has no such setting; it has {known or 'none'}"
    return ""


def _value_problem(kind: str, values: Any) -> str:
    if not kind:
        return "expected one of {log: [low, high]}, {uniform: ...}, {int: ...}, {choice: [...]}"
    if not isinstance(values, list | tuple) or not values:
        return f"{kind}: expected a list, found {values!r}"
    if kind == "choice":
        return ""
    if len(values) != 2 or not all(map(_is_number, values)) or not values[0] < values[1]:
        return f"{kind}: expected two numbers, the lower one first, found {list(values)!r}"
    if kind == "log" and values[0] <= 0:
        return f"log: expected numbers over 0, found {list(values)!r}"
    if kind == "int" and not all(isinstance(value, int) for value in values):
        return f"int: expected whole numbers, found {list(values)!r}"
    return ""
