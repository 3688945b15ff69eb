"""What a run came to, as far as another computation of it must come to the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.record import RunRecord

Settings = dict[str, Any]

#: How many digits of a number are kept: more than people read, fewer than floating point has.
DIGITS = 6
#: Under this name stands what was chosen where all cells chose the same.
ALL_CELLS = "all"
#: The group that says how settings are chosen; a refit has another one than the search.
TUNER = "tuner"
#: What of an environment can move a number; the rest of it says who ran when.
_KEPT = ("sitrepbench", "python", "platform", "libraries", "thread_pools", "cpu", "cpus")


@dataclass(frozen=True)
class RunFacts:
    """What a run came to.

    Parameters
    ----------
    name : str
        For people: the values that tell it from the study's other runs, or the run's name.
    overrides : tuple of str
        Its own overrides, as `sitrepbench.config.combinations.StudyJob.own`: its identity within
        a study.
    chosen : dict
        What a tuner chose: settings by cell (``part/repeat/fold``), or under ``all`` where all
        cells chose the same; empty without a tuner.
    key_parts : dict
        The ingredients of its content key.
    environment : dict
        The program's, Python's and the libraries' versions, platform, processor and threads.
    deterministic : bool
        Whether nothing in it draws random numbers that depend on the seed.
    predictions_digest : str
        As `sitrepbench.predictions.PredictionsTable.digest` gives it.
    scores : dict
        By part and metric, 6 digits; None where a metric is not defined.
    n : dict
        How many sentences each part has.
    """

    name: str
    overrides: tuple[str, ...]
    chosen: Mapping[str, Settings]
    key_parts: Mapping[str, Any]
    environment: Mapping[str, Any]
    deterministic: bool
    predictions_digest: str
    scores: Mapping[str, Mapping[str, float | None]]
    n: Mapping[str, int]

    @property
    def settings(self) -> Settings | None:
        """The settings that all cells chose; None where there is no tuner, or they differ."""
        return self.chosen.get(ALL_CELLS)


def facts_of(record: RunRecord, overrides: Sequence[str] = ()) -> RunFacts:
    """Return what a record comes to, scored anew from its predictions.

    Parameters
    ----------
    record : RunRecord
        As the store gives it.
    overrides : sequence of str
        Its own within a study.
    """
    predictions = record.predictions()
    scores, n = scores_of(predictions)
    return RunFacts(
        name=run_label(overrides) or record.run_name,
        overrides=tuple(overrides),
        chosen=chosen_by_cell(record.tuning.get("chosen", ())),
        key_parts=record.key_parts,
        environment=environment_of(record.environment),
        deterministic=record.key_parts.get("seed") is None,
        predictions_digest=predictions.digest(),
        scores=scores,
        n=n,
    )


def scores_of(
    predictions: PredictionsTable,
) -> tuple[dict[str, dict[str, float | None]], dict[str, int]]:
    """Return by part the headline scores, 6 digits, and how many sentences it has."""
    from sitrepbench.told import headline, summarise_parts

    summaries = summarise_parts(predictions)
    scores = {
        part: {name: _rounded(value) for name, value in headline(summary).items()}
        for part, summary in summaries.items()
    }
    return scores, {part: summary.n_sentences for part, summary in summaries.items()}


def environment_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an environment can move a number."""
    kept = {name: environment.get(name) for name in _KEPT}
    kept["platform"] = system_of(str(kept["platform"] or ""))
    pools = kept["thread_pools"] or []
    kept["thread_pools"] = [pool for at, pool in enumerate(pools) if pool not in pools[:at]]
    return kept


def system_of(platform: str) -> str:
    """Return a platform without its kernel's version, which moves no number.

    >>> system_of("Linux-6.1.0-18-amd64-x86_64-with-glibc2.36")
    'Linux x86_64-with-glibc2.36'
    """
    pieces = platform.split("-")
    return " ".join([pieces[0], "-".join(pieces[-3:])]) if len(pieces) > 3 else platform


def run_label(overrides: Sequence[str]) -> str:
    """Return a run's own overrides in short.

    >>> run_label(["model=linear_svm", "features=word", "protocol.documents=20"])
    'linear_svm word documents=20'
    """
    pieces = []
    for text in overrides:
        key, _, value = text.lstrip("+").partition("=")
        last = key.rpartition(".")[2]
        pieces.append(f"{last}={value}" if "." in key or key == "seed" else value)
    return " ".join(pieces)


def chosen_by_cell(chosen: Sequence[Mapping[str, Any]]) -> dict[str, Settings]:
    """Return settings by cell, or under ``all`` where all cells chose the same.

    >>> cell = {"part": "dev", "repeat": 0, "settings": {"C": 1.0}}
    >>> chosen_by_cell([{**cell, "fold": 0}, {**cell, "fold": 1}])
    {'all': {'C': 1.0}}
    """
    cells = {
        f"{cell['part']}/{cell['repeat']}/{cell['fold']}": dict(cell["settings"]) for cell in chosen
    }
    values = list(cells.values())
    if values and all(value == values[0] for value in values):
        return {ALL_CELLS: values[0]} if values[0] else {}
    return cells


def with_tuner_of(facts: RunFacts, other: RunFacts) -> RunFacts:
    """Return facts of a refit with the search and the choice that came before it."""
    config = {**facts.key_parts.get("config", {})}
    config.pop(TUNER, None)
    searched = other.key_parts.get("config", {})
    if TUNER in searched:
        config[TUNER] = searched[TUNER]
    return replace(facts, chosen=other.chosen, key_parts={**facts.key_parts, "config": config})


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) if math.isfinite(value) else None
