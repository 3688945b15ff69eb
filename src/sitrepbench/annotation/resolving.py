"""From several annotators' answers to one label each; what is not settled stays unsettled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from sitrepbench.annotation.answers import join_secondary, secondary_parts
from sitrepbench.annotation.names import ANNOTATOR, LABELLED, SENTENCE_COLUMNS, STATUS
from sitrepbench.data.agreement import ADJUDICATOR

Policy = Literal["majority", "unanimous"]
POLICIES: tuple[Policy, ...] = ("majority", "unanimous")

#: How many labelled a sentence, and how many of them gave it the label that it got.
N_ANNOTATORS = "n_annotators"
N_AGREE = "n_agree"


@dataclass(frozen=True)
class Resolution:
    """What a policy settles, and what it does not.

    Parameters
    ----------
    table : DataFrame
        One row per settled sentence: ``sentence_id, document_id, position, text, label,
        secondary, n_annotators, n_agree`` and the table's further columns. It is a dataset.
    undecided : DataFrame
        ``sentence_id, labels``: sentences on which the annotators differ, with what each said.
    unlabelled : tuple of str
        The ids of sentences that nobody labelled.
    n_single : int
        Settled sentences that only one annotator labelled.
    n_differing : int
        Settled sentences on which not all agreed.
    n_adjudicated : int
        Settled sentences that the adjudicator settled.
    """

    table: pd.DataFrame
    undecided: pd.DataFrame
    unlabelled: tuple[str, ...]
    n_single: int
    n_differing: int
    n_adjudicated: int


def resolve(
    sentences: pd.DataFrame, answers: pd.DataFrame, *, policy: Policy, labels: Sequence[str]
) -> Resolution:
    """Settle the label of each sentence.

    What ``adjudicator`` labelled is settled by that, under any policy. Otherwise ``majority``
    takes the label that more than half of those gave who labelled the sentence, and the
    secondary labels that more than half of them gave; ``unanimous`` takes what all gave. A
    sentence without such a label is left undecided, never guessed.

    Parameters
    ----------
    sentences, answers : DataFrame
        As `read_export` or `read_sentences` gives them.
    policy : {"majority", "unanimous"}
        When a label counts as settled.
    labels : sequence of str
        The label set, in order.
    """
    given: dict[str, list[Mapping[Any, str]]] = {}
    for answer in answers[answers[STATUS] == LABELLED].to_dict("records"):
        given.setdefault(answer["sentence_id"], []).append(answer)
    settled: dict[str, tuple[str, str, int, int]] = {}
    undecided, unlabelled = [], []
    counts: Counter[str] = Counter()
    for sentence_id in sentences["sentence_id"]:
        all_answers = given.get(sentence_id, [])
        votes = [answer for answer in all_answers if answer[ANNOTATOR] != ADJUDICATOR]
        final = [answer for answer in all_answers if answer[ANNOTATOR] == ADJUDICATOR]
        found = _settled(votes, final, policy, labels)
        if not all_answers:
            unlabelled.append(sentence_id)
        elif found is None:
            said = ", ".join(f"{answer[ANNOTATOR]}: {answer['label']}" for answer in votes)
            undecided.append((sentence_id, said))
        else:
            agree = sum(answer["label"] == found[0] for answer in votes)
            settled[sentence_id] = (*found, len(votes), agree)
            counts["adjudicated"] += bool(final)
            counts["single"] += not final and len(votes) == 1
            counts["differing"] += agree < len(votes)
    return Resolution(
        _table(sentences, settled),
        pd.DataFrame(undecided, columns=["sentence_id", "labels"], dtype="str"),
        tuple(unlabelled),
        counts["single"],
        counts["differing"],
        counts["adjudicated"],
    )


def _settled(
    votes: Sequence[Mapping[Any, str]],
    final: Sequence[Mapping[Any, str]],
    policy: Policy,
    labels: Sequence[str],
) -> tuple[str, str] | None:
    """Return label and secondary labels, None where the policy settles none."""
    if final:  # a correction is one more row: the last one holds
        return final[-1]["label"], final[-1]["secondary"]
    if not votes:
        return None
    needed = len(votes) if policy == "unanimous" else len(votes) // 2 + 1
    label, times = Counter(answer["label"] for answer in votes).most_common(1)[0]
    if times < needed:
        return None
    beside = Counter(part for answer in votes for part in secondary_parts(answer["secondary"]))
    shared = [name for name, count in beside.items() if count >= needed]
    return label, join_secondary(shared, label, labels)


def _table(
    sentences: pd.DataFrame, settled: Mapping[str, tuple[str, str, int, int]]
) -> pd.DataFrame:
    table = sentences[sentences["sentence_id"].isin(list(settled))].reset_index(drop=True)
    table = table.drop(columns=[N_ANNOTATORS, N_AGREE], errors="ignore")
    columns = ("label", "secondary", N_ANNOTATORS, N_AGREE)
    found = pd.DataFrame(
        [settled[name] for name in table["sentence_id"]], columns=list(columns), dtype=object
    )
    further = [name for name in table.columns if name not in SENTENCE_COLUMNS]
    return pd.concat([table[list(SENTENCE_COLUMNS)], found, table[further]], axis=1)
