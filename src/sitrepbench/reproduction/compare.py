"""A run against what it must come to: a check per number, and the causes of what differs.

Tolerances follow from what was measured. Every model of the zoo gives the same labels whatever
the threads of the linear algebra libraries, so labels, and all scores that come from labels, are
compared exactly, up to the six digits that are written. Probabilities differ in their last bits,
so log loss and Brier score have a tolerance of 0.0001. Other library versions or processors may
move labels too; that is a failure, with the differences told beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sitrepbench.config.differences import ABSENT, Difference, differences
from sitrepbench.reproduction.facts import TUNER, RunFacts

#: Of scores that come from labels: what is left of a number after six digits.
SCORE_TOLERANCE = 1e-6
#: Of scores that come from probabilities.
PROBABILITY_TOLERANCE = 1e-4
#: Metrics, all from labels, that expectations of earlier versions lack.
_LATER = frozenset({"weighted_f1"})
_FROM_PROBABILITIES = frozenset({"log_loss", "brier"})
#: Two numbers that were rounded differ by whole units of the last digit, and floating point.
_SLACK = 1e-9

DATA, CONFIGURATION, SEARCH, CHOSEN, LABELS, SENTENCES = (
    "data", "configuration", "search", "chosen settings", "labels", "sentences",
)  # fmt: skip
#: Parts of a key, the likeliest cause first, and what they are called.
_CAUSES = {
    "data": "data",
    "config": "setting",
    "seed": "setting",
    "search": "search",
    "contents": "file of a step",
    "own_code": "your own source",
    "sources": "source of the program",
    "versions": "library",
}


@dataclass(frozen=True)
class Check:
    """One thing that must be the same.

    Parameters
    ----------
    part : str
        The part that it is about; empty where it is about the run as a whole.
    name : str
        ``labels``, ``macro_f1``, ``sentences``, ``data`` ...
    expected, found : Any
        Plain values; None where there is none.
    tolerance : float
        By how much numbers may differ; 0 for what must be equal.
    passed : bool
        Whether it is the same.
    """

    part: str
    name: str
    expected: Any
    found: Any
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class Comparison:
    """A run compared with what it must come to.

    Parameters
    ----------
    expected : RunFacts or None
        None where nothing is known of it.
    found : RunFacts or None
        None where it could not be computed.
    checks : tuple of Check
        One per number.
    causes : tuple of str
        What differs in what decides the run's predictions, the likeliest cause first.
    environment : tuple of str
        What differs in what it ran on.
    error : str
        Why it could not be computed, or compared.
    not_run : bool
        Whether nobody came to run it, which says nothing of its numbers.
    """

    expected: RunFacts | None
    found: RunFacts | None
    checks: tuple[Check, ...] = ()
    causes: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    error: str = ""
    not_run: bool = False

    @property
    def passed(self) -> bool:
        """Whether it came to what it must come to."""
        return not self.error and not self.not_run and all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def name(self) -> str:
        """The run's name."""
        facts = self.expected or self.found
        return facts.name if facts is not None else ""


def compare_run(
    expected: RunFacts, found: RunFacts, *, searched: bool, search: Any = ABSENT
) -> Comparison:
    """Compare a run with what it must come to.

    Parameters
    ----------
    expected, found : RunFacts
        As they were and as they are.
    searched : bool
        Whether settings were searched in the same way both times; else the committed choice was
        refitted, and neither the refit's tuner nor what it chose is compared.
    search : object
        Where the committed choice was refitted: the search that the run would have now, as its
        content key would hold it, to be compared with the one that made the choice.
    """
    one, two = _comparable(expected, searched), _comparable(found, searched)
    changed = tuple(differences(one, two))
    other_search = search_changes(expected, search)
    tops = {difference.field.partition(".")[0] for difference in changed}
    checks = [
        Check("", DATA, one.get("data"), two.get("data"), 0.0, "data" not in tops),
        Check(
            "",
            CONFIGURATION,
            *_pair(changed, ("config", "seed", "contents")),
            0.0,
            not tops & {"config", "seed", "contents"},
        ),
    ]
    if search is not ABSENT:
        checks.append(
            Check("", SEARCH, *_pair(other_search, (SEARCH,)), 0.0, passed=not other_search)
        )
    if searched and (expected.chosen or found.chosen):
        checks.append(_equal("", CHOSEN, dict(expected.chosen), dict(found.chosen)))
    checks.append(_equal("", LABELS, expected.predictions_digest, found.predictions_digest))
    checks += _numbers(expected, found)
    surroundings = tuple(environment_differences(expected.environment, found.environment))
    causes = _causes((*other_search, *changed))
    comparison = Comparison(expected, found, tuple(checks), causes, surroundings)
    if not comparison.passed:
        return replace(comparison, causes=tuple(_explained(comparison, "versions" in tops)))
    return comparison


def search_changes(expected: RunFacts, search: Any) -> tuple[Difference, ...]:
    """Return in what a search differs from the one that made the committed choice."""
    if search is ABSENT:
        return ()
    before = expected.key_parts.get("config", {}).get(TUNER)
    return tuple(differences(before, search, field=SEARCH))


def _comparable(facts: RunFacts, searched: bool) -> dict[str, Any]:
    parts = dict(facts.key_parts)
    if not searched:
        parts["config"] = {k: v for k, v in parts.get("config", {}).items() if k != TUNER}
    return parts


def _pair(changed: tuple[Difference, ...], tops: tuple[str, ...]) -> tuple[Any, Any]:
    """Return both sides of what differs below some parts of a key, by field."""
    told = [item.plain() for item in changed if item.field.partition(".")[0] in tops]
    return (
        {item["field"]: item["stored"] for item in told} or None,
        {item["field"]: item["now"] for item in told} or None,
    )


def _equal(part: str, name: str, expected: Any, found: Any) -> Check:
    return Check(part, name, expected, found, 0.0, expected == found)


def _numbers(expected: RunFacts, found: RunFacts) -> Iterator[Check]:
    for part in dict.fromkeys([*expected.scores, *found.scores]):
        yield _equal(part, SENTENCES, expected.n.get(part), found.n.get(part))
        one, two = expected.scores.get(part, {}), found.scores.get(part, {})
        for metric in dict.fromkeys([*one, *two]):
            if metric in _LATER and metric not in one:
                continue  # written before there was such a metric; labels tell what it would
            tolerance = PROBABILITY_TOLERANCE if metric in _FROM_PROBABILITIES else SCORE_TOLERANCE
            before, now = one.get(metric), two.get(metric)
            if before is None or now is None:
                same = before is now and (metric in one) is (metric in two)
            else:
                same = abs(before - now) <= tolerance + _SLACK
            yield Check(part, metric, before, now, tolerance, same)


def _causes(changed: tuple[Difference, ...]) -> tuple[str, ...]:
    order = list(_CAUSES)

    def rank(item: Difference) -> int:
        top = item.field.partition(".")[0]
        return order.index(top) if top in order else len(order)

    return tuple(cause_text(item) for item in sorted(changed, key=rank))


def cause_text(difference: Difference) -> str:
    """Return a difference of two keys as a cause.

    >>> cause_text(Difference("config.model.C", 0.3, 1.0))
    'setting: model.C: 0.3 -> 1.0'
    >>> cause_text(Difference("sources.models/keywords.py", "aa", "bb"))
    'source of the program: models/keywords.py: changed'
    """
    top, _, rest = difference.field.partition(".")
    text = difference.text()
    if rest and top in _CAUSES:
        text = text.removeprefix(f"{top}.")
    return f"{_CAUSES.get(top, top)}: {text}"


def _explained(comparison: Comparison, other_versions: bool) -> Iterator[str]:
    """Yield the causes of a failure, and what its random numbers have to do with it."""
    yield from comparison.causes or (_unexplained(comparison),)
    facts = [one for one in (comparison.expected, comparison.found) if one is not None]
    moved = LABELS in {check.name for check in comparison.failed}
    elsewhere = other_versions or (comparison.environment and not comparison.causes)
    if moved and elsewhere and not all(one.deterministic for one in facts):
        yield (
            "the run draws random numbers, and such a run is exact only with the same library "
            "versions and processor"
        )


def _unexplained(comparison: Comparison) -> str:
    """Say what can be said where nothing that decides predictions differs."""
    names = {check.name for check in comparison.failed}
    if names == {CHOSEN}:
        return "the search chose otherwise, and came to the same labels"
    if LABELS not in names:
        return (
            "the labels, the data and the settings are the same, so scoring differs "
            "(sitrepbench.metrics, sitrepbench.stats)"
        )
    if comparison.environment:
        return "nothing but what it ran on differs"
    return "nothing that is recorded differs; is the model's result the same every time?"


def environment_differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs in what two runs ran on, one line each.

    >>> before, now = {"libraries": {"numpy": "2.1"}}, {"libraries": {"numpy": "2.2"}}
    >>> list(environment_differences(before, now))
    ['numpy: 2.1 -> 2.2']
    """
    one, two = _flat(expected), _flat(found)
    for name in dict.fromkeys([*one, *two]):
        before, now = one.get(name, ABSENT), two.get(name, ABSENT)
        if before != now:
            yield Difference(name, before, now).text()


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in environment.items():
        if name == "libraries" and isinstance(value, Mapping):
            flat.update(value)
        elif name == "thread_pools" and isinstance(value, list):
            for pool in value:
                flat[f"threads of {pool.get('library')}"] = pool.get("threads")
        else:
            flat[name] = value
    return flat
