"""Where two models disagree: counts by gold label, and sentences to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.predictions import PREDICTED, REPEAT, PredictionsTable
from sitrepbench.seeding import seed_for

Mask = npt.NDArray[np.bool_]
Table = pd.DataFrame

#: The ways to disagree, as columns of the counts.
ONLY_ONE, ONLY_OTHER, BOTH_WRONG = "only_one", "only_other", "both_wrong_differently"
WAYS = (ONLY_ONE, ONLY_OTHER, BOTH_WRONG)


@dataclass(frozen=True)
class Example:
    """A sentence that two models see differently.

    Parameters
    ----------
    sentence_id, document_id : str
        Which.
    label : str
        Its gold label.
    one, other : str
        What the two models say.
    text : str
        Empty where the dataset could not be loaded.
    """

    sentence_id: str
    document_id: str
    label: str
    one: str
    other: str
    text: str = ""


@dataclass(frozen=True)
class Disagreements:
    """Where two models disagree, in one repeat.

    Parameters
    ----------
    by_label : DataFrame
        ``label, n, both_right, only_one, only_other, both_wrong_differently,
        both_wrong_alike``: sentences by gold label, one row for each label with sentences.
    examples : tuple of Example
        Sentences of each way to disagree in turn, each of another document as far as possible.
    one_right, other_right : bool ndarray, shape (n_sentences,)
        Who has which sentence right, for McNemar's test.
    """

    by_label: Table
    examples: tuple[Example, ...]
    one_right: Mask
    other_right: Mask

    @property
    def total(self) -> int:
        """How many sentences the two label differently."""
        return int(self.by_label[list(WAYS)].to_numpy().sum())


def disagreements(
    one: PredictionsTable,
    other: PredictionsTable,
    *,
    n_examples: int = 3,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Disagreements:
    """Count where two models disagree, in the first repeat that both have.

    Parameters
    ----------
    one, other : PredictionsTable
        The rows of one part, with the same sentences and gold labels.
    n_examples : int
        How many sentences to draw; the same ones each time.
    texts : mapping
        Sentence id to text, as far as it is known.
    """
    first, second = first_common_repeat(one, other)
    gold = first["label"].to_numpy()
    left, right = first[PREDICTED].to_numpy(), second[PREDICTED].to_numpy()
    one_right, other_right = left == gold, right == gold
    wrong = ~one_right & ~other_right
    ways = {
        "both_right": one_right & other_right,
        ONLY_ONE: one_right & ~other_right,
        ONLY_OTHER: ~one_right & other_right,
        BOTH_WRONG: wrong & (left != right),
        "both_wrong_alike": wrong & (left == right),
    }
    rows = [
        {"label": label, "n": int((gold == label).sum())}
        | {way: int((there & (gold == label)).sum()) for way, there in ways.items()}
        for label in one.labels
        if (gold == label).any()
    ]
    drawn = _drawn(first["document_id"].to_numpy(), [ways[way] for way in WAYS], n_examples)
    examples = tuple(
        Example(
            sentence_id=str(first["sentence_id"].iloc[at]),
            document_id=str(first["document_id"].iloc[at]),
            label=str(gold[at]),
            one=str(left[at]),
            other=str(right[at]),
            text=texts.get(str(first["sentence_id"].iloc[at]), ""),
        )
        for at in drawn
    )
    return Disagreements(
        pd.DataFrame(rows, columns=["label", "n", *ways]), examples, one_right, other_right
    )


def first_common_repeat(one: PredictionsTable, other: PredictionsTable) -> tuple[Table, Table]:
    """Return the first repeat that two models share, else the first of each; by sentence id."""
    repeats = [{int(number) for number in table.frame[REPEAT].unique()} for table in (one, other)]
    common = repeats[0] & repeats[1]
    chosen = [min(common or numbers) for numbers in repeats]
    first, second = (
        table.frame[table.frame[REPEAT] == number].sort_values("sentence_id", ignore_index=True)
        for table, number in zip((one, other), chosen, strict=True)
    )
    return first, second


def _drawn(documents: npt.NDArray[np.object_], ways: Sequence[Mask], n: int) -> list[int]:
    """Draw rows of each way in turn; a document comes again only where no other is left."""
    generator = np.random.default_rng(seed_for("disagreements"))
    order = generator.permutation(len(documents))
    queues = [[int(at) for at in order if there[at]] for there in ways]
    drawn: list[int] = []
    used: set[str] = set()
    while len(drawn) < n and any(queues):
        for queue in queues:
            if queue and len(drawn) < n:
                fresh = (at for at in queue if documents[at] not in used)
                at = next(fresh, queue[0])
                queue.remove(at)
                used.add(documents[at])
                drawn.append(at)
    return drawn
