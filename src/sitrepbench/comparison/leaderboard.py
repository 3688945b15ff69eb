"""A leaderboard: models of one study in order, with what can and cannot be told of that order.

The score is macro-F1, the mean over the repeats (and over runs that differ in their seed only).
The estimand is that of `sitrepbench.stats.intervals`: these predictions, over all documents that
might have been collected. Every pair of rows is compared on the same documents; from the
p-values, adjusted for the number of pairs (Holm 1979), follow simultaneous rank intervals
(Mogstad, Romano, Shaikh & Wilhelm 2024, Review of Economic Studies 91, 476-518) and the groups
of rows within which no pair differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from sitrepbench.comparison.annotators import AnnotatorScores
from sitrepbench.comparison.comparable import check_cells, check_comparable, check_gold
from sitrepbench.comparison.costs import Costs, LookCount, costs_of, count_looks
from sitrepbench.comparison.entries import Entry
from sitrepbench.comparison.scoring import PartScores, score_part
from sitrepbench.errors import DataError
from sitrepbench.metrics.calibration import calibration_of
from sitrepbench.metrics.confusion import document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.metrics.selective import risk_coverage
from sitrepbench.predictions import REPEAT, PredictionsTable
from sitrepbench.stats.ranks import Ranking, rank_models
from sitrepbench.stats.selection import Optimism, best_of_optimism
from sitrepbench.store.looks import Look

LEVEL = 0.95
#: Letters of tie groups, in order of score.
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Row:
    """One ranked row.

    Parameters
    ----------
    name : str
        Of the model or the submission.
    kind : str
        ``run`` or ``submission``.
    scores : PartScores
        Macro-F1, labels and worst domain, with intervals.
    best_rank, worst_rank : int
        The ends of its rank interval; the intervals of all rows hold at once with 95 %.
    groups : tuple of int
        The groups, counted from 0 in order of score, that it belongs to: no pair of rows within
        a group differs.
    classwise_ece, aurc : float
        Calibration error and area under the risk-coverage curve, both better if small; NaN
        without probabilities.
    costs : Costs
        Seconds; unknown for a submission.
    looks : LookCount
        The looks at test splits that its runs, or its file, took.
    n_repeats, n_runs : int
        Repeats scored, over all its runs; and how many runs those are.
    keys : tuple of str
        The content keys of its runs.
    authors : str
        Of a submission.
    """

    name: str
    kind: str
    scores: PartScores
    best_rank: int
    worst_rank: int
    groups: tuple[int, ...]
    classwise_ece: float
    aurc: float
    costs: Costs
    looks: LookCount
    n_repeats: int
    n_runs: int
    keys: tuple[str, ...]
    authors: str = ""

    @property
    def rank(self) -> str:
        """Its rank interval, such as ``1-3``."""
        if self.best_rank == self.worst_rank:
            return str(self.best_rank)
        return f"{self.best_rank}-{self.worst_rank}"

    @property
    def letters(self) -> str:
        """Its groups as letters, such as ``ab``."""
        return "".join(map(group_letter, self.groups))

    @property
    def is_tied_with_best(self) -> bool:
        """Whether no row is told to be better."""
        return self.best_rank == 1


def group_letter(number: int) -> str:
    """Return a tie group's letter; beyond z it has a number as well.

    >>> [group_letter(number) for number in (0, 25, 26, 52)]
    ['a', 'z', 'a2', 'a3']
    """
    again, at = divmod(number, len(_LETTERS))
    return _LETTERS[at] + (str(again + 1) if again else "")


@dataclass(frozen=True)
class Leaderboard:
    """The rows of a study, best first, and what goes with them.

    Parameters
    ----------
    study, question : str
        The study's name and question.
    part : str
        What is ranked by.
    dataset, digest : str
        Of what was scored.
    labels : tuple of str
        In order.
    rows : tuple of Row
        Best first.
    annotators : AnnotatorScores or None
        Not ranked.
    optimism : Optimism or None
        Of the best row's score, for having been chosen as the best of these rows; ``best`` counts
        in the order of ``rows``. None for a single row or document.
    looks : LookCount
        All recorded looks at test splits of this dataset, by these rows and by others.
    n_sentences, n_documents : int
        Of the part.
    n_differ, n_pairs : int
        How many pairs of rows are told apart, and of how many.
    notes : tuple of str
        What a reader should know, one line each.
    """

    study: str
    question: str
    part: str
    dataset: str
    digest: str
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    annotators: AnnotatorScores | None
    optimism: Optimism | None
    looks: LookCount
    n_sentences: int
    n_documents: int
    n_differ: int
    n_pairs: int
    notes: tuple[str, ...] = ()

    @property
    def cheapest(self) -> Row | None:
        """The row with the least fit and predict time among those that no row is better than."""
        tied = [row for row in self.rows if row.is_tied_with_best and row.costs.known]
        return min(tied, key=lambda row: (row.costs.total, row.name), default=None)


@dataclass(frozen=True)
class Ledger:
    """The looks that a board tells of, and the dataset whose they are."""

    looks: tuple[Look, ...] = ()
    dataset: str = ""
    digest: str = ""


def build_leaderboard(
    entries: Sequence[Entry],
    *,
    study: str,
    part: str,
    question: str = "",
    ledger: Ledger | None = None,
    annotators: AnnotatorScores | None = None,
    submission_keys: Mapping[str, str] | None = None,
) -> Leaderboard:
    """Rank entries.

    Parameters
    ----------
    entries : sequence of Entry
        Runs of one name are runs of one model that differ in their seed; their repeats are put
        together.
    study, question : str
        Whose they are.
    part : str
        What to rank by.
    ledger : Ledger or None
        Of looks at test splits.
    annotators : AnnotatorScores or None
        Shown unranked.
    submission_keys : mapping or None
        Under which key the ledger has a submission's looks, by name.

    Raises
    ------
    DataError, ProtocolError, StoreError
        When runs were made on other data, by other protocols or code, or lack cells, with all of
        them by name; and when an entry lacks the part.
    """
    ledger = ledger or Ledger()
    members = _members(entries)
    runs = {
        name: [one.record for one in group if one.record is not None]
        for name, group in members.items()
    }
    check_comparable(runs)
    _check_part(members, part)
    tables = {name: merged([one.predictions for one in group], part)
              for name, group in members.items()}  # fmt: skip
    confusions = {name: document_confusions(table) for name, table in tables.items()}
    check_cells(confusions, part)
    check_gold(confusions)
    models = list(confusions.values())
    score = partial(macro_f1, labels=models[0].supported)
    ranking = rank_models(models, score, level=LEVEL)
    keys = dict(submission_keys or {})
    unordered = [
        _row(
            group,
            score_part(tables[name], confusions[name]),
            _calibration(tables[name]),
            _Place.of(ranking, at, len(confusions[name].counts)),
            _looked(group, ledger, keys),
        )
        for at, (name, group) in enumerate(members.items())
    ]
    order = sorted(range(len(unordered)), key=lambda at: -unordered[at].scores.macro_f1)
    several = len(models) > 1 and len(models[0].documents) > 1
    optimism = best_of_optimism([models[at] for at in order], score) if several else None
    n_pairs = len(models) * (len(models) - 1) // 2
    table = next(iter(tables.values()))
    return Leaderboard(
        study=study,
        question=question,
        part=part,
        dataset=ledger.dataset,
        digest=ledger.digest,
        labels=models[0].labels,
        rows=tuple(unordered[at] for at in order),
        annotators=annotators,
        optimism=optimism,
        looks=count_looks(look for look in ledger.looks if look.digest == ledger.digest),
        n_sentences=int(table.frame["sentence_id"].nunique()),
        n_documents=len(models[0].documents),
        n_differ=_told_apart(ranking),
        n_pairs=n_pairs,
        notes=tuple(_notes(unordered, models[0].documents)),
    )


def merged(tables: Sequence[PredictionsTable], part: str) -> PredictionsTable:
    """Return one part of several runs of one model as one table: their repeats in a row."""
    parts = [table.part(part) for table in tables]
    if len(parts) == 1:
        return parts[0]
    frames, before = [], 0
    for one in parts:
        frames.append(one.frame.assign(**{REPEAT: one.frame[REPEAT] + before}))
        before += int(one.frame[REPEAT].max()) + 1
    return PredictionsTable(pd.concat(frames, ignore_index=True), parts[0].labels)


@dataclass(frozen=True)
class _Place:
    best_rank: int
    worst_rank: int
    groups: tuple[int, ...]
    n_repeats: int

    @classmethod
    def of(cls, ranking: Ranking, at: int, n_repeats: int) -> _Place:
        groups = tuple(number for number, group in enumerate(ranking.groups) if at in group)
        return cls(int(ranking.best_rank[at]), int(ranking.worst_rank[at]), groups, n_repeats)


def _members(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Return entries by name; a run that stands under several seeds counts once."""
    members: dict[str, list[Entry]] = {}
    for entry in entries:
        group = members.setdefault(entry.name, [])
        if any(one.kind != entry.kind or one.record is None for one in group):
            raise DataError(
                f"two entries are called {entry.name!r}: give the submission another name"
            )
        known = {one.record.key for one in group if one.record is not None}
        if entry.record is None or entry.record.key not in known:
            group.append(entry)
    if not members:
        raise DataError("a leaderboard needs at least one entry")
    return members


def _check_part(members: Mapping[str, Sequence[Entry]], part: str) -> None:
    lacking = [
        f"  {name}: has {', '.join(entry.predictions.parts) or 'nothing'}"
        for name, group in members.items()
        for entry in group
        if part not in entry.predictions.parts
    ]
    if lacking:
        raise DataError(
            f"no predictions of part {part!r}:\n" + "\n".join(dict.fromkeys(lacking))
            + "\nRank by a part that all have: --part NAME"
        )  # fmt: skip


def _row(
    group: Sequence[Entry],
    scores: PartScores,
    calibration: tuple[float, float],
    place: _Place,
    looks: LookCount,
) -> Row:
    records = [entry.record for entry in group if entry.record is not None]
    card = group[0].card
    return Row(
        name=group[0].name,
        kind=group[0].kind,
        scores=scores,
        best_rank=place.best_rank,
        worst_rank=place.worst_rank,
        groups=place.groups,
        classwise_ece=calibration[0],
        aurc=calibration[1],
        costs=costs_of(records),
        looks=looks,
        n_repeats=place.n_repeats,
        n_runs=max(1, len(records)),
        keys=tuple(record.key for record in records),
        authors="" if card is None else str(card.authors),
    )


def _calibration(table: PredictionsTable) -> tuple[float, float]:
    """Return classwise ECE and AURC; NaN without probabilities."""
    calibration, curve = calibration_of(table), risk_coverage(table)
    return (
        math.nan if calibration is None else float(calibration.classwise_ece),
        math.nan if curve is None else float(curve.aurc),
    )


def _looked(group: Sequence[Entry], ledger: Ledger, keys: Mapping[str, str]) -> LookCount:
    own = {entry.record.key for entry in group if entry.record is not None}
    if group[0].name in keys:
        own.add(keys[group[0].name])
    return count_looks(look for look in ledger.looks if look.key in own)


def _told_apart(ranking: Ranking) -> int:
    """Count the pairs that differ, whichever way."""
    n_models = len(ranking.scores)
    pairs = ((one, two) for one in range(n_models) for two in range(one + 1, n_models))
    return sum(bool(ranking.p_values[pair] <= 1 - LEVEL) for pair in pairs)


def _notes(rows: Sequence[Row], documents: Sequence[str]) -> Iterable[str]:
    if any(row.n_runs > 1 for row in rows):
        seeds = max(row.n_runs for row in rows)
        yield (
            f"Rows of several runs (up to {seeds}) are means over seeds; the interval is over "
            "documents, with every seed's predictions as they are."
        )
    again = [row.name for row in rows if row.kind == "run" and math.isnan(row.costs.search)]
    if again:
        yield (
            "No search time where settings that a search had chosen before were fitted again: "
            f"{', '.join(again)}."
        )
    if len(documents) == 1:
        yield "One document: no intervals, and no row can be told from another."
