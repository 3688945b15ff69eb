"""Models compared two by two on the same documents: how much better, and whether by chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import pandas as pd

from sitrepbench.comparison.disagreements import Disagreements, disagreements
from sitrepbench.comparison.entries import Entry, Kind, common_part
from sitrepbench.comparison.scoring import PartScores, score_part
from sitrepbench.data.problems import shown
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.metrics.confusion import DocumentConfusions, document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.metrics.summary import CHECKED_DOCUMENTS, summarise
from sitrepbench.predictions import FOLD, REPEAT, PredictionsTable
from sitrepbench.stats.mcnemar import McNemar, mcnemar
from sitrepbench.stats.multiple import holm
from sitrepbench.stats.paired import (
    PAIRED_METHOD,
    PairedDifference,
    label_differences,
    paired_difference,
)
from sitrepbench.stats.power import minimum_detectable_difference
from sitrepbench.stats.randomisation import randomisation_test
from sitrepbench.stats.resampled import ResampledTest, nadeau_bengio

LEVEL = 0.95
POWER = 0.8
PERMUTATIONS = 9999

#: What all numbers of a comparison are about, said once.
ESTIMAND = (
    "These fixed predictions, on documents like these: how far the scores would differ if other "
    "documents of the same kind had been drawn. Another training run is not in the intervals."
)


@dataclass(frozen=True)
class EntryScores:
    """One entry's scores on the part.

    Parameters
    ----------
    name, kind
        As of the `Entry`.
    key : str
        The content key of a run; else empty.
    n_repeats : int
        How many predictions each sentence has; scores are means over them.
    scores : PartScores
        Macro-F1 and the F1 of each label with 95 % intervals by documents.
    """

    name: str
    kind: Kind
    key: str
    n_repeats: int
    scores: PartScores


@dataclass(frozen=True)
class PairComparison:
    """Two entries compared; differences are positive where the first is better.

    Parameters
    ----------
    one, other : str
        Their names.
    macro_f1 : PairedDifference
        With the jackknife-t interval and its p-value.
    labels : dict
        The same of each label's F1; label by label, not adjusted for their number.
    p_value : float
        Of the randomisation test by document: the test of the comparison.
    p_adjusted : float
        The same, adjusted by Holm for the number of pairs.
    minimum_detectable : float
        The macro-F1 difference that such data find in four cases of five, at 0.05 and without
        adjustment; NaN where the documents show no spread.
    mcnemar : McNemar
        By sentences, which are not independent: anti-conservative.
    resampled : ResampledTest or None
        Nadeau and Bengio's, over the folds of a cross-validation that both share; approximate.
    disagreements : Disagreements
        Counts and examples.
    """

    one: str
    other: str
    macro_f1: PairedDifference
    labels: dict[str, PairedDifference]
    p_value: float
    p_adjusted: float
    minimum_detectable: float
    mcnemar: McNemar
    resampled: ResampledTest | None
    disagreements: Disagreements

    @property
    def told_apart(self) -> bool:
        """Whether the difference is more than chance, with Holm's adjustment, at 0.05."""
        return self.p_adjusted <= 1 - LEVEL


@dataclass(frozen=True)
class Comparison:
    """All pairs of some entries, compared on one part.

    Parameters
    ----------
    part : str
        What was compared on.
    dataset : str
        Its name, as far as a run tells it.
    n_sentences, n_documents : int
        Of the part.
    labels : tuple of str
        Those that some gold sentence bears: macro-F1 is their mean.
    entries : tuple of EntryScores
        In the order in which they were named.
    pairs : tuple of PairComparison
        Each two of them, in that order.
    n_permutations : int
        Of each randomisation test.
    method : str
        How the intervals were made.
    notes : tuple of str
        What a reader should know, one line each.
    """

    part: str
    dataset: str
    n_sentences: int
    n_documents: int
    labels: tuple[str, ...]
    entries: tuple[EntryScores, ...]
    pairs: tuple[PairComparison, ...]
    n_permutations: int
    method: str
    notes: tuple[str, ...]


def compare(
    entries: Sequence[Entry],
    *,
    part: str | None = None,
    dataset: str = "",
    n_permutations: int = PERMUTATIONS,
    n_examples: int = 3,
    texts: Mapping[str, str] = MappingProxyType({}),
    on_pair: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare every two of some entries on the same documents.

    Parameters
    ----------
    entries : sequence of Entry
        Two or more, under different names.
    part : str, optional
        What to compare on; by default the development part that all have.
    dataset : str
        What to call the data where no run tells it.
    n_permutations : int
        Of each randomisation test.
    n_examples : int
        Sentences to draw per pair where the two disagree.
    texts : mapping
        Sentence id to text, as far as it is known.
    on_pair : callable, optional
        Told after each pair how many are done, of how many.

    Raises
    ------
    ConfigError
        With fewer than two entries.
    DataError
        When they have no part in common, or were not scored on the same sentences with the same
        gold labels; with all of them that differ from the first.
    """
    if len(entries) < 2:
        raise ConfigError(
            f"a comparison needs two entries or more, found {len(entries)}. See what there is: "
            "sitrepbench list"
        )
    part = common_part([entry.predictions for entry in entries], part)
    tables = [entry.predictions.part(part) for entry in entries]
    _check_same_sentences(entries, tables)
    confusions = [document_confusions(table) for table in tables]
    pairs = _all_pairs(
        [_Side(*side) for side in zip(entries, tables, confusions, strict=True)],
        n_permutations=n_permutations,
        n_examples=n_examples,
        texts=texts,
        on_pair=on_pair,
    )
    adjusted = holm([pair.p_value for pair in pairs])
    scored = [
        EntryScores(
            entry.name,
            entry.kind,
            "" if entry.record is None else entry.record.key,
            len(counts.counts),
            score_part(table, counts),
        )
        for entry, table, counts in zip(entries, tables, confusions, strict=True)
    ]
    first = confusions[0]
    made = Comparison(
        part=part,
        dataset=next((e.record.dataset["name"] for e in entries if e.record), dataset),
        n_sentences=int(tables[0].frame["sentence_id"].nunique()),
        n_documents=len(first.documents),
        labels=tuple(name for name, there in zip(first.labels, first.supported, strict=True)
                     if there),
        entries=tuple(scored),
        pairs=tuple(
            replace(pair, p_adjusted=float(p)) for pair, p in zip(pairs, adjusted, strict=True)
        ),
        n_permutations=n_permutations,
        method=PAIRED_METHOD,
        notes=(),
    )  # fmt: skip
    return replace(made, notes=_notes(made))


@dataclass(frozen=True)
class _Side:
    """One entry with its rows of the part, and their confusions."""

    entry: Entry
    table: PredictionsTable
    confusions: DocumentConfusions


def _all_pairs(
    sides: Sequence[_Side],
    *,
    n_permutations: int,
    n_examples: int,
    texts: Mapping[str, str],
    on_pair: Callable[[int, int], None] | None,
) -> list[PairComparison]:
    """Compare every two; p-values are not adjusted yet."""
    couples = list(itertools.combinations(sides, 2))
    pairs = []
    for done, (one, other) in enumerate(couples, start=1):
        found = disagreements(one.table, other.table, n_examples=n_examples, texts=texts)
        pairs.append(_pair(one, other, found, n_permutations=n_permutations))
        if on_pair is not None:
            on_pair(done, len(couples))
    return pairs


def _pair(one: _Side, other: _Side, found: Disagreements, *, n_permutations: int) -> PairComparison:
    first, second = one.confusions, other.confusions
    statistic = partial(macro_f1, labels=first.supported)
    difference = paired_difference(first, second, statistic, level=LEVEL)
    p = randomisation_test(first, second, statistic, n_permutations=n_permutations)
    return PairComparison(
        one=one.entry.name,
        other=other.entry.name,
        macro_f1=difference,
        labels=label_differences(first, second, level=LEVEL),
        p_value=p,
        p_adjusted=p,
        minimum_detectable=minimum_detectable_difference(difference, power=POWER, level=LEVEL),
        mcnemar=mcnemar(found.one_right, found.other_right),
        resampled=_resampled(one, other),
        disagreements=found,
    )


def _check_same_sentences(entries: Sequence[Entry], tables: Sequence[PredictionsTable]) -> None:
    """Refuse entries that were not scored on the sentences and gold labels of the first."""
    first, labels = tables[0], tables[0].labels
    gold = _gold_series(first)
    problems = []
    for entry, table in zip(entries[1:], tables[1:], strict=True):
        if table.labels != labels:
            problems.append(f"{entry.name}: labels {list(table.labels)}, not {list(labels)}")
            continue
        own = _gold_series(table)
        alone = own.index.symmetric_difference(gold.index)
        if len(alone):
            example = shown(str(alone[0]))
            problems.append(
                f"{entry.name}: {len(own):,} sentences, not the same {len(gold):,}; {len(alone):,} "
                f"are in one of the two only, the first is {example}"
            )
            continue
        differ = (own != gold.loc[own.index]).to_numpy()
        if differ.any():
            at = own.index[int(np.argmax(differ))]
            problems.append(
                f"{entry.name}: {int(differ.sum()):,} sentences bear another gold label, the first "
                f"is {shown(str(at))}: {own.loc[at]}, not {gold.loc[at]}"
            )
    if problems:
        raise DataError(
            f"not scored on the same sentences as {entries[0].name}:\n  " + "\n  ".join(problems)
            + "\nOnly predictions for the same sentences with the same gold labels can be "
            "compared: run the models on one dataset with one protocol, or name a part that they "
            "share with --part"
        )  # fmt: skip


def _gold_series(table: PredictionsTable) -> pd.Series:
    """Return the gold label by sentence id and document, sorted."""
    frame = table.frame.drop_duplicates("sentence_id")
    return frame.set_index("sentence_id")["label"].sort_index()


def _resampled(one: _Side, other: _Side) -> ResampledTest | None:
    """Return Nadeau and Bengio's test where two runs share the folds of a cross-validation."""
    record = one.entry.record
    if record is None or other.entry.record is None:
        return None
    tables = [one.table, other.table]
    (part,) = one.table.parts
    keys = ["sentence_id", REPEAT, FOLD]
    cells = [table.frame[keys].sort_values(keys, ignore_index=True) for table in tables]
    if not cells[0].equals(cells[1]) or cells[0][FOLD].nunique() < 2:
        return None
    sizes = record.cells()
    sizes = sizes[sizes["part"] == part]
    n_train, n_test = float(sizes["n_train"].mean()), float(sizes["n_test"].mean())
    if not n_train >= 1 or not n_test >= 1:
        return None
    scores = [
        summarise(table, part).per_fold.set_index([REPEAT, FOLD])["macro_f1"].sort_index()
        for table in tables
    ]
    differences = (scores[0] - scores[1]).to_numpy(dtype=np.float64)
    if not np.isfinite(differences).all():
        return None
    return nadeau_bengio(differences, n_train=round(n_train), n_test=round(n_test))


def _notes(made: Comparison) -> tuple[str, ...]:
    notes = []
    if made.n_documents < CHECKED_DOCUMENTS:
        notes.append(
            f"{made.n_documents} document(s) are few: intervals are checked from "
            f"{CHECKED_DOCUMENTS} documents on"
        )
    smallest = len(made.pairs) / (made.n_permutations + 1)
    if smallest > 1 - LEVEL:
        needed = math.ceil(len(made.pairs) / (1 - LEVEL))
        notes.append(
            f"with {made.n_permutations:,} permutations and {len(made.pairs)} pairs no adjusted p "
            f"can be below {smallest:.2g}: give --permutations {needed:,} or more".replace(",", "")
        )
    if len({entry.n_repeats for entry in made.entries}) > 1:
        notes.append("the entries differ in their number of repeats; scores are means over them")
    if any(entry.n_repeats > 1 for entry in made.entries):
        notes.append("disagreements and McNemar's test are of the first repeat")
    return tuple(notes)
