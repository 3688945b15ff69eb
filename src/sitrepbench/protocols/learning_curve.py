"""Learning curves: the same scored split, more and more training documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sitrepbench.data.dataset import DOCUMENT_ID, DOMAIN, LABEL, SPLIT, Dataset
from sitrepbench.data.duplicates import document_groups
from sitrepbench.errors import ProtocolError
from sitrepbench.protocols.cells import Cell, Plan, Rows
from sitrepbench.protocols.fixed import Official
from sitrepbench.seeding import seed_for


@dataclass(frozen=True)
class LearningCurve:
    """Fit on some documents of the training split(s), drawn at random, and score other splits.

    One run is one point of the curve, with a spread over its repeats. Within a repeat the draws
    are nested: the 20 documents are among the 50. They come from the domains in proportion, to
    within about one document each, and near-duplicates next to each other; so a group of these is
    in or out as a whole, but for the last one of a draw, which is cut so that the number is
    exact. The draw depends on the data and the repeat alone, so every model meets the same.

    Parameters
    ----------
    documents : int or None
        How many training documents; None for all of them. With all of them there is one repeat,
        for there is nothing to draw.
    n_repeats : int
        Draws, at least 1.
    train : sequence of str
        The splits to draw from.
    score : sequence of str
        The splits to score; each is a part of the result. Test splits are locked.
    """

    documents: int | None = None
    n_repeats: int = 5
    train: Sequence[str] = ("train",)
    score: Sequence[str] = ("dev",)

    def __post_init__(self) -> None:
        if self.documents is not None and self.documents < 1:
            raise ProtocolError(
                f"protocol.documents={self.documents}: at least 1 is needed; null takes all"
            )
        if self.n_repeats < 1:
            raise ProtocolError(f"protocol.n_repeats={self.n_repeats}: at least 1 is needed")

    def plan(self, dataset: Dataset) -> Plan:
        """Return one cell per repeat and scored split.

        Raises
        ------
        ProtocolError
            When the dataset lacks a split or has fewer training documents than asked for, or
            when a draw holds a single label.
        """
        whole = Official(self.train, self.score).plan(dataset)
        training = whole.cells[0].train
        available = int(dataset.frame[DOCUMENT_ID].iloc[training].nunique())
        wanted = available if self.documents is None else self.documents
        if wanted > available:
            named = ", ".join(dataset.frame[SPLIT].iloc[training].unique())
            raise ProtocolError(
                f"dataset {dataset.name!r}: {available} training document(s) available in "
                f"{named} / {wanted} requested. Use protocol.documents={available} at most, or "
                "null for all of them."
            )
        documents, ids = _documents(dataset, training), dataset.frame[DOCUMENT_ID].iloc[training]
        cells = []
        for repeat in range(self.n_repeats if wanted < available else 1):
            taken = _order(documents, repeat=repeat)[:wanted]
            drawn = training[ids.isin(taken).to_numpy()]
            _check_labels(dataset, drawn, wanted, repeat=repeat)
            cells += [Cell(cell.part, repeat, 0, drawn, cell.test) for cell in whole.cells]
        return Plan(dataset, dataset, tuple(cells))


def _documents(dataset: Dataset, training: Rows) -> pd.DataFrame:
    """Return one row per training document: ``document``, ``group`` and ``domain``.

    A group of near-duplicates goes with the domain of its first document.
    """
    frame = dataset.frame
    table = pd.DataFrame(
        {
            "document": frame[DOCUMENT_ID].iloc[training].to_numpy(),
            "group": document_groups(frame)[training],
            "domain": frame[DOMAIN].iloc[training].to_numpy(),
        }
    ).drop_duplicates("document", ignore_index=True)
    return table.assign(domain=table.groupby("group")["domain"].transform("first"))


def _order(documents: pd.DataFrame, *, repeat: int) -> list[str]:
    """Return the training documents in the order in which a repeat takes them.

    Every domain's documents are shuffled by groups of near-duplicates and put at even distances
    on a line from 0 to 1, from a start drawn at random; so each beginning of the line holds every
    domain in proportion (systematic sampling; Cochran, Sampling Techniques, 1977, chapter 8).
    """
    rng = np.random.default_rng(seed_for("learning_curve", repeat=repeat))
    groups = documents["group"].unique()
    turns = dict(zip(groups, rng.permutation(len(groups)), strict=True))
    shuffled = documents.assign(
        turn=documents["group"].map(turns), within=rng.permutation(len(documents))
    ).sort_values(["turn", "within"], ignore_index=True)
    domains = sorted(shuffled["domain"].unique())
    starts = shuffled["domain"].map(dict(zip(domains, rng.random(len(domains)), strict=True)))
    by_domain = shuffled.groupby("domain")["document"]
    place = (by_domain.cumcount() + starts) / by_domain.transform("size")
    # Where a group begins decides for all of it.
    shuffled["place"] = place.groupby(shuffled["group"]).transform("min")
    return [str(name) for name in shuffled.sort_values(["place", "turn", "within"])["document"]]


def _check_labels(dataset: Dataset, drawn: Rows, wanted: int, *, repeat: int) -> None:
    labels = dataset.frame[LABEL].iloc[drawn].unique()
    if len(labels) < 2:
        raise ProtocolError(
            f"dataset {dataset.name!r}: the {wanted} training document(s) of repeat {repeat} hold "
            f"{len(drawn)} sentence(s) of one label ({', '.join(labels)}) / at least 2 labels "
            f"needed. Use more than protocol.documents={wanted}."
        )
