"""Published numbers: ``experiments/<study>/published.yaml``, and how a study's runs stand to them.

A study that repeats other people's work may have such a file beside its expectations. It says where
the numbers stand, which metric of which part they are, which of the published systems the study's
runs are meant to repeat, and how near they have to come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sitrepbench.errors import ConfigError, did_you_mean
from sitrepbench.reproduction.facts import RunFacts

PUBLISHED_FILE = "published.yaml"

_KINDS: dict[str, type | tuple[type, ...]] = {
    "source": str,
    "part": str,
    "metric": str,
    "compared": str,
    "within": (int, float),
    "mean_within": (int, float),
    "runs": dict,
}
#: A run that is described by several values has them in one key, separated so.
_SEPARATOR = ","
#: Floating point, in sums of numbers with few digits.
_SLACK = 1e-9


@dataclass(frozen=True)
class Published:
    """What was published, and how near a study's runs have to come to it.

    Parameters
    ----------
    source : str
        The publication and the place in it.
    part, metric : str
        What the numbers are, in this program's names.
    compared : str
        The published system that the runs repeat.
    within : float
        By how much each run may differ from it.
    mean_within : float
        By how much the runs may differ on average, differences without their signs.
    runs : mapping
        By a run's own overrides: the numbers of all published systems.
    """

    source: str
    part: str
    metric: str
    compared: str
    within: float
    mean_within: float
    runs: Mapping[frozenset[str], Mapping[str, float]]

    @property
    def systems(self) -> tuple[str, ...]:
        """The published systems, the compared one first."""
        names = dict.fromkeys(name for run in self.runs.values() for name in run)
        return (self.compared, *(name for name in names if name != self.compared))


@dataclass(frozen=True)
class BesidePublished:
    """One run beside the published numbers.

    Parameters
    ----------
    name : str
        The run's.
    ours : float or None
        None where the run was not computed, or has no such score.
    numbers : mapping
        By system; empty where nothing is published for the run.
    compared : float or None
        The number of the system that is compared.
    within : float
        By how much ours may differ.
    """

    name: str
    ours: float | None
    numbers: Mapping[str, float]
    compared: float | None
    within: float

    @property
    def difference(self) -> float | None:
        """Ours minus the published number."""
        if self.ours is None or self.compared is None:
            return None
        return self.ours - self.compared

    @property
    def passed(self) -> bool | None:
        """Whether ours is near enough; None where nothing is published."""
        if self.compared is None:
            return None
        return self.difference is not None and abs(self.difference) <= self.within + _SLACK


@dataclass(frozen=True)
class PublishedComparison:
    """A study's runs beside the published numbers.

    Parameters
    ----------
    published : Published
        What was published.
    rows : tuple of BesidePublished
        In the order of the runs.
    whole : bool
        Whether all published runs are among them; the mean is judged only then.
    """

    published: Published
    rows: tuple[BesidePublished, ...]
    whole: bool

    @property
    def mean(self) -> float | None:
        """The mean of the differences without their signs; None where there is none."""
        found = [abs(row.difference) for row in self.rows if row.difference is not None]
        return math.fsum(found) / len(found) if found else None

    @property
    def passed(self) -> bool:
        """Whether every run, and where all are there their mean, is near enough."""
        near = all(row.passed is not False for row in self.rows)
        if not self.whole:
            return near
        return near and self.mean is not None and self.mean <= self.published.mean_within + _SLACK

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        published = self.published
        return {
            "source": published.source,
            "part": published.part,
            "metric": published.metric,
            "compared": published.compared,
            "within": published.within,
            "mean_within": published.mean_within,
            "mean_difference": self.mean,
            "passed": self.passed,
            "runs": [
                {
                    "name": row.name,
                    "ours": row.ours,
                    "published": dict(row.numbers),
                    "difference": row.difference,
                    "passed": row.passed,
                }
                for row in self.rows
            ],
        }


def beside_published(
    published: Published, runs: Sequence[tuple[str, Sequence[str], RunFacts | None]]
) -> PublishedComparison:
    """Return a study's runs beside the published numbers.

    Parameters
    ----------
    published : Published
        What was published.
    runs : sequence of (name, overrides, facts)
        Of the study, with its own overrides; facts are None where it was not computed.
    """
    rows = []
    for name, overrides, facts in runs:
        numbers = published.runs.get(frozenset(overrides), {})
        scores = {} if facts is None else facts.scores.get(published.part, {})
        rows.append(
            BesidePublished(
                name,
                scores.get(published.metric),
                numbers,
                numbers.get(published.compared),
                published.within,
            )
        )
    asked = {frozenset(overrides) for _, overrides, _ in runs}
    return PublishedComparison(published, tuple(rows), whole=set(published.runs) <= asked)


def read_published(path: Path) -> Published | None:
    """Read published numbers; None where there is no file.

    Raises
    ------
    ConfigError
        With all that is wrong with the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    problems = _problems(content)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    runs = {
        frozenset(piece.strip() for piece in str(key).split(_SEPARATOR)): {
            str(name): float(value) for name, value in numbers.items()
        }
        for key, numbers in content.pop("runs").items()
    }
    return Published(**content, runs=runs)


def _problems(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return [f"a mapping is expected, and this is a {type(content).__name__}"]
    problems = [
        f"{name}: unknown key.{did_you_mean(str(name), _KINDS)}"
        for name in content
        if name not in _KINDS
    ]
    for name, kind in _KINDS.items():
        value = content.get(name)
        if name not in content:
            problems.append(f"{name}: is missing")
        elif not isinstance(value, kind) or isinstance(value, bool):
            problems.append(f"{name}: {_expected(kind)} is expected, found {value!r}")
        elif isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            problems.append(f"{name}: a number of 0 or more is expected, found {value!r}")
    runs = content.get("runs")
    if isinstance(runs, dict):
        problems += _run_problems(runs, content.get("compared"))
    return problems


def _expected(kind: type | tuple[type, ...]) -> str:
    return "a text" if kind is str else "a mapping" if kind is dict else "a number"


def _run_problems(runs: Mapping[Any, Any], compared: Any) -> list[str]:
    problems = [] if runs else ["runs: is empty; give at least one run's numbers"]
    for key, numbers in runs.items():
        if not isinstance(numbers, dict):
            problems.append(f"runs.{key}: systems and numbers are expected, found {numbers!r}")
            continue
        if "=" not in str(key):
            problems.append(f"runs.{key}: a run is named by its overrides, such as model=majority")
        if compared not in numbers:
            problems.append(
                f"runs.{key}: has no {compared!r}, which is compared."
                f"{did_you_mean(str(compared), map(str, numbers))}"
            )
        problems += [
            f"runs.{key}.{name}: a number is expected, found {value!r}"
            for name, value in numbers.items()
            if isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ]
    return problems
