"""Mistakes one by one: which label was taken for which, with sentences, the surest first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sitrepbench.analysis.judged import JudgedPart, wrong_rows
from sitrepbench.data.dataset import DOCUMENT_ID, DOMAIN, LABEL, SECONDARY, SENTENCE_ID, TEXT
from sitrepbench.predictions import PREDICTED

MISTAKE_COLUMNS = (
    "sentence_id",
    "gold",
    "predicted",
    "text",
    "probability",
    "gold_probability",
    "secondary",
    "times",
    "document_id",
    "domain",
)
PAIR_COLUMNS = ("gold", "predicted", "count", "share", "secondary", "documents")


def list_mistakes(judged: JudgedPart) -> pd.DataFrame:
    """Return every wrong answer, the surest first.

    Returns
    -------
    DataFrame
        One row per sentence and wrong label, columns `MISTAKE_COLUMNS`: ``times`` is in how many
        repeats it was given, ``probability`` and ``gold_probability`` what the model held of the
        wrong and of the gold label (mean over those repeats, NaN without probabilities), and
        ``secondary`` whether the wrong label is one of the sentence's secondary labels. Without
        probabilities they stand in the dataset's order.
    """
    table = judged.predictions
    rows = np.flatnonzero(wrong_rows(judged))
    gold, predicted = table.codes(LABEL)[rows], table.codes(PREDICTED)[rows]
    held = table.frame[list(table.probability_columns)].to_numpy(dtype=np.float64)[rows]
    every = np.arange(len(rows))
    raw = pd.DataFrame(
        {
            "at": judged.at[rows],
            "predicted": predicted,
            "gold": gold,
            "probability": held[every, predicted],
            "gold_probability": held[every, gold],
        }
    )
    found = raw.groupby(["at", "predicted"], as_index=False).agg(
        gold=("gold", "first"),
        times=("gold", "size"),
        probability=("probability", "mean"),
        gold_probability=("gold_probability", "mean"),
    )
    found = found.sort_values(
        "probability", ascending=False, kind="stable", na_position="last"
    ).reset_index(drop=True)
    about = judged.sentences.iloc[found["at"].to_numpy()].reset_index(drop=True)
    names = np.array(table.labels, dtype=object)
    given = names[found["predicted"].to_numpy()]
    columns = {
        "sentence_id": about[SENTENCE_ID],
        "document_id": about[DOCUMENT_ID],
        "domain": about[DOMAIN],
        "gold": names[found["gold"].to_numpy()],
        "predicted": given,
        "times": found["times"],
        "probability": found["probability"],
        "gold_probability": found["gold_probability"],
        "secondary": [
            label in str(listed).split("|")
            for label, listed in zip(given, about[SECONDARY], strict=True)
        ],
        "text": about[TEXT],
    }
    return pd.DataFrame(columns, columns=list(MISTAKE_COLUMNS))


def confused_pairs(judged: JudgedPart, mistakes: pd.DataFrame) -> pd.DataFrame:
    """Return which label was taken for which, the most frequent first.

    Parameters
    ----------
    judged : JudgedPart
    mistakes : DataFrame
        As `list_mistakes` returns them.

    Returns
    -------
    DataFrame
        Columns `PAIR_COLUMNS`: ``count`` of sentences (mean over the repeats), their ``share``
        of the gold label's sentences, how many of them bear the wrong label as ``secondary``,
        and in how many ``documents``.
    """
    repeats = judged.n_repeats
    sizes = judged.sentences[LABEL].value_counts().to_dict()
    rows = []
    for pair, found in mistakes.groupby(["gold", "predicted"]):
        gold, predicted = map(str, pair)
        count = float(found["times"].sum()) / repeats
        rows.append(
            (
                gold,
                predicted,
                count,
                count / float(sizes[gold]),
                float(found.loc[found["secondary"], "times"].sum()) / repeats,
                int(found["document_id"].nunique()),
            )
        )
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def examples_of(
    mistakes: pd.DataFrame, gold: str, predicted: str, *, n_examples: int
) -> pd.DataFrame:
    """Return the surest mistakes of one pair, from as many documents as there are."""
    found = mistakes[(mistakes["gold"] == gold) & (mistakes["predicted"] == predicted)]
    # The first of every document, then the second of every document, and so on.
    turn = found.groupby("document_id").cumcount()
    return found.iloc[np.argsort(turn.to_numpy(), kind="stable")[:n_examples]]
