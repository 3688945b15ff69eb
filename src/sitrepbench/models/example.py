"""A small made-up dataset that every model of the zoo can learn something from."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.data.dataset import DOCUMENT_ID, DOMAIN, POSITION, SENTENCE_ID, TEXT

#: Every document has a place of its own, so that no two hold the same sentence.
_FIRST = ("Mero", "Kass", "Dor", "Tala", "Yem", "Ost", "Bari", "Lun")
_SECOND = ("win", "ara", "vale", "run", "eth", "gorod", "dun", "mar")
_PEOPLE = ("residents", "a doctor", "the ministry", "local officials", "the monitors", "an envoy")
_SAYS = ("said", "told reporters", "reported", "confirmed", "wrote in a statement", "added")
_DAYS = ("on Monday", "overnight", "on Thursday", "before dawn", "at noon", "late on Friday")
#: By label, what happened; ``{n}`` is a number.
_EVENTS = {
    "casualty_report": (
        "shelling killed {n} people in {place}",
        "at least {n} civilians were wounded in {place}",
        "the death toll in {place} rose to {n}",
        "{n} bodies were recovered in {place}",
    ),
    "denial": (
        "it denied that its forces had struck {place}",
        "the claims about {place} were rejected as baseless",
        "there was no evidence that {n} shells had hit {place}",
        "the footage from {place} was called fabricated",
    ),
    "negotiation": (
        "talks on a truce around {place} resumed",
        "both sides agreed to exchange {n} prisoners near {place}",
        "an offer for a ceasefire in {place} was put to the rebels",
        "the mediators extended the deal on {place} by {n} days",
    ),
    "evacuation": (
        "{n} families fled {place} in buses",
        "a convoy carried {n} displaced people out of {place}",
        "residents were ordered to leave {place}",
        "{n} evacuees from {place} were sheltered in schools",
    ),
    "background": (
        "the army moved tanks towards {place}",
        "the bridge of {place} has been closed for {n} weeks",
        "{place} has about {n} thousand inhabitants",
        "aid for {place} was stored at the airport",
    ),
}
_ORDER = tuple(_EVENTS)


def example_sentences(
    n_documents: int = 40, n_sentences: int = 6
) -> tuple[pd.DataFrame, npt.NDArray[np.object_]]:
    """Return sentences as a model sees them, and their labels.

    Labels follow each other with some regularity within a document, every label occurs, one
    sentence in eight bears the label of other words, and each third document has a gap in its
    positions.

    Parameters
    ----------
    n_documents, n_sentences : int
        Documents, and sentences in each.

    Returns
    -------
    DataFrame and ndarray of str, both of n_documents * n_sentences rows
    """
    rng = np.random.default_rng(17)
    rows, labels = [], []
    days = cycle(_DAYS)
    for document in range(n_documents):
        place = _FIRST[document % 8] + _SECOND[document // 8 % 8]
        told = int(rng.integers(len(_ORDER)))
        for number in range(n_sentences):
            told = (told + int(rng.random() < 0.5)) % len(_ORDER)
            event = str(rng.choice(_EVENTS[_ORDER[told]]))
            event = event.format(place=place, n=int(rng.integers(2, 900)))
            text = f"{event[0].upper()}{event[1:]} {next(days)}"
            if rng.random() < 0.5:
                text += f", {rng.choice(_PEOPLE)} {rng.choice(_SAYS)}"
            rows.append(
                {
                    SENTENCE_ID: f"example-{document}:{number}",
                    DOCUMENT_ID: f"example-{document}",
                    POSITION: number + int(document % 3 == 0 and number > n_sentences // 2),
                    TEXT: text + ".",
                    DOMAIN: ("press", "agency")[document % 2],
                }
            )
            noisy = rng.random() < 0.125
            labels.append(_ORDER[rng.integers(len(_ORDER))] if noisy else _ORDER[told])
    return pd.DataFrame(rows), np.array(labels, dtype=object)
