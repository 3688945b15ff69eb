"""What a model's ``_about_`` says of it, held against the model: its source, cost and spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sitrepbench.config.building import build
from sitrepbench.config.run_config import ABOUT
from sitrepbench.errors import SitrepBenchError, did_you_mean
from sitrepbench.models.parameters import Finding
from sitrepbench.models.trial import FAILURES, told_error
from sitrepbench.tuning.space import (
    Dimension,
    Settings,
    combinations,
    read_grid,
    read_space,
    value_at,
    with_settings,
)

KEYS = ("short", "source", "cost", "probabilities", "space", "grid")
COSTS = ("cheap", "moderate", "dear")
SHORT_LENGTH = 8
#: Fits a model that was built.
Fit = Callable[[Any], object]
_EXPECTED = "an _about_ that is true, for lists, tables and tuners go by it"


def check_description(node: Mapping[str, Any], *, fit: Fit | None = None) -> list[Finding]:
    """Return what is wrong with the ``_about_`` of a model's configuration, or missing in it.

    Parameters
    ----------
    node : mapping
        The model's configuration, resolved, as plain containers.
    fit : callable or None
        What is tried on the model at each end of its space and with each value of its grid; None
        where it is built only.
    """
    about = node.get(ABOUT)
    if about is None:
        advice = "Add one as in conf/model/linear_svm.yaml, to have the model described and tuned."
        found = "the file has no _about_, so tuners find nothing to search"
        return [Finding("description", "note", found, _EXPECTED, advice)]
    if not isinstance(about, Mapping):
        found = f"_about_ is {about!r}"
        advice = f"Give it the keys {', '.join(KEYS)}."
        return [Finding("description", "error", found, "a mapping", advice)]
    spaces = [*_check_space(node, about, fit), *_check_grid(node, about, fit)]
    return [*_check_words(about), *spaces]


def check_probabilities(node: Mapping[str, Any], found: bool) -> list[Finding]:
    """Return a finding where a model has probabilities and denies it, or the other way round.

    Parameters
    ----------
    node : mapping
        As in `check_description`.
    found : bool
        Whether the fitted model has ``predict_proba``.
    """
    about = node.get(ABOUT)
    declared = about.get("probabilities") if isinstance(about, Mapping) else None
    if not isinstance(declared, bool) or declared == found:
        return []
    has = "has predict_proba" if found else "has no predict_proba"
    return [
        Finding(
            "probabilities",
            "error",
            f"_about_.probabilities is {str(declared).lower()}, but the fitted model {has}",
            _EXPECTED,
            f"Set probabilities: {str(found).lower()}, or mend the model.",
        )
    ]


def _check_words(about: Mapping[str, Any]) -> Iterator[Finding]:
    for key in about:
        if key not in KEYS:
            found = f"_about_.{key} is unknown.{did_you_mean(str(key), KEYS)}".rstrip(".?")
            advice = "Correct it or leave it out."
            yield Finding("description", "error", found, f"only {', '.join(KEYS)}", advice)
    wrong = {
        "short": not isinstance(about.get("short", ""), str)
        or len(about.get("short", "")) > SHORT_LENGTH,
        "source": not isinstance(about.get("source", ""), str),
        "cost": about.get("cost", COSTS[0]) not in COSTS,
        "probabilities": not isinstance(about.get("probabilities", True), bool),
    }
    wanted = {
        "short": f"a name of at most {SHORT_LENGTH} characters",
        "source": "a text: the paper, the library or the person that it comes from",
        "cost": f"one of {', '.join(COSTS)}",
        "probabilities": "true or false",
    }
    for key, expected in wanted.items():
        if wrong[key]:
            found = f"_about_.{key} is {about[key]!r}"
            yield Finding("description", "error", found, expected, f"Set _about_.{key}.")
    missing = [key for key in (*wanted, "space") if about.get(key) is None or about[key] == ""]
    if missing:
        found = f"_about_ does not tell {', '.join(missing)}"
        advice = "Add it; a model without settings to tune has space: {}."
        yield Finding("description", "note", found, _EXPECTED, advice)


def _check_space(
    node: Mapping[str, Any], about: Mapping[str, Any], fit: Fit | None
) -> Iterator[Finding]:
    expected = "a space such as {C: {log: [0.01, 10]}}, of settings that stand in the file"
    given = about.get("space") or {}
    try:
        dimensions = read_space(given, node, where=f"{ABOUT}.space")
    except (SitrepBenchError, AttributeError) as error:
        found = f"{ABOUT}.space is {given!r}" if isinstance(error, AttributeError) else str(error)
        yield Finding("space", "error", found, expected, "Correct the path or the values.")
        return
    yield from _check_values("space", node, dimensions, fit)
    for dimension in dimensions:
        value = value_at(node, dimension.path)
        if not dimension.contains(value):
            yield Finding(
                "space",
                "note",
                f"{dimension.path}={value} lies outside of its own space",
                "a space around the model's own setting",
                "Widen the space, or fine where the setting cannot be drawn.",
            )


def _check_grid(
    node: Mapping[str, Any], about: Mapping[str, Any], fit: Fit | None
) -> Iterator[Finding]:
    given = about.get("grid") or {}
    try:
        dimensions = read_grid(given, node, where=f"{ABOUT}.grid")
    except (SitrepBenchError, AttributeError) as error:
        found = f"{ABOUT}.grid is {given!r}" if isinstance(error, AttributeError) else str(error)
        expected = "a grid such as {C: [0.1, 1, 10]}, of settings that stand in the file"
        yield Finding("grid", "error", found, expected, "Correct the path or the values.")
        return
    yield from _check_values("grid", node, dimensions, fit)
    yield from _refusal("grid", node, next(combinations(dimensions)), fit)


def _check_values(
    check: str, node: Mapping[str, Any], dimensions: list[Dimension], fit: Fit | None
) -> Iterator[Finding]:
    """Build and fit the model with each end or choice of each dimension; the others as they are."""
    for dimension in dimensions:
        for value in dimension.values:
            yield from _refusal(check, node, {dimension.path: value}, fit)


def _refusal(
    check: str, node: Mapping[str, Any], settings: Settings, fit: Fit | None
) -> Iterator[Finding]:
    told = ", ".join(f"{path}={value}" for path, value in settings.items())
    try:
        model = build(with_settings(node, settings), path="model")
    except (SitrepBenchError, SystemExit) as error:
        found = f"with {told} it cannot be built: {error}"
    else:
        try:
            if fit is not None:
                fit(model)
        except FAILURES as error:
            found = f"with {told} it does not fit: {told_error(error)}"
        else:
            return
    advice = "Correct the value, or the ends between which it is drawn."
    yield Finding(check, "error", found, "values that the model takes", advice)
