"""Protocols without resampling: official splits, another dataset, and models that fit nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sitrepbench.data.dataset import SPLIT, TEXT, Dataset
from sitrepbench.data.duplicates import MIN_TOKENS, normalised_text
from sitrepbench.errors import ProtocolError, did_you_mean
from sitrepbench.protocols.cells import Cell, Plan, Rows, development_rows

ALL = "all"


@dataclass(frozen=True)
class Official:
    """Fit on the dataset's own training split(s), score its dev or, unlocked, its test splits.

    Parameters
    ----------
    train : sequence of str
        The splits to fit on.
    score : sequence of str
        The splits to score; each is a part of the result. Test splits are locked.
    """

    train: Sequence[str] = ("train",)
    score: Sequence[str] = ("dev",)

    def plan(self, dataset: Dataset) -> Plan:
        """Return one cell per scored split.

        Raises
        ------
        ProtocolError
            When the dataset lacks a split, or one is both fitted and scored.
        """
        train, score = _names(self.train), _names(self.score)
        both = sorted(set(train) & set(score))
        if both:
            raise ProtocolError(f"{', '.join(both)}: a split cannot be both trained on and scored")
        fitted = np.flatnonzero(dataset.frame[SPLIT].isin(train))
        for name in (*train, *score):
            _require_split(dataset, name)
        cells = [
            Cell(name, 0, 0, fitted, np.flatnonzero(dataset.frame[SPLIT] == name)) for name in score
        ]
        return Plan(dataset, dataset, tuple(cells))


@dataclass(frozen=True)
class CrossDataset:
    """Fit on all that one dataset gives for development, score another dataset.

    Parameters
    ----------
    target : Dataset
        The dataset to score. Its test splits are locked.
    score : sequence of str or None
        The splits of the target to score; all of it by default.
    """

    target: Dataset
    score: Sequence[str] | None = None

    def plan(self, dataset: Dataset) -> Plan:
        """Return one cell per scored split, or one for the whole target.

        Raises
        ------
        ProtocolError
            When there is nothing to train on, or a sentence of the target stands in the
            training data, but for case, white space and punctuation.
        """
        train = development_rows(dataset)
        if not len(train):
            raise ProtocolError(
                f"dataset {dataset.name!r} has nothing but test splits, so nothing to train on"
            )
        known = _long_texts(dataset.frame[TEXT].iloc[train])
        shared = known & _long_texts(self.target.frame[TEXT])
        if shared:
            raise ProtocolError(
                f"{len(shared)} sentence(s) of {self.target.name!r} stand in the training data of "
                f"{dataset.name!r}, but for case and punctuation, for example {min(shared)[:60]!r}"
            )
        return Plan(dataset, self.target, _scored_cells(self.target, self.score, train))


@dataclass(frozen=True)
class Score:
    """Score a model that needs no fitting on a whole dataset, or on named splits of it.

    Parameters
    ----------
    score : sequence of str or None
        The splits to score; all of the dataset by default. Test splits are locked.
    """

    score: Sequence[str] | None = None

    def plan(self, dataset: Dataset) -> Plan:
        """Return one cell per scored split, or one for the whole dataset."""
        nothing = np.empty(0, dtype=np.int64)
        return Plan(dataset, dataset, _scored_cells(dataset, self.score, nothing), fits=False)


def _long_texts(texts: pd.Series[str]) -> set[str]:
    """Return the normalised texts that are long enough not to be equal by chance."""
    normalised = (normalised_text(text) for text in texts)
    return {text for text in normalised if len(text.split()) >= MIN_TOKENS}


def _scored_cells(dataset: Dataset, score: Sequence[str] | None, train: Rows) -> tuple[Cell, ...]:
    if score is None:
        # A dataset that is one split and nothing else is scored as that split.
        whole = dataset.splits[0] if dataset.frame[SPLIT].nunique() == 1 and dataset.splits else ALL
        return (Cell(whole, 0, 0, train, np.arange(len(dataset.frame), dtype=np.int64)),)
    names = _names(score)
    for name in names:
        _require_split(dataset, name)
    splits = dataset.frame[SPLIT]
    return tuple(Cell(name, 0, 0, train, np.flatnonzero(splits == name)) for name in names)


def _names(splits: Sequence[str]) -> tuple[str, ...]:
    names = (splits,) if isinstance(splits, str) else tuple(splits)
    if not names:
        raise ProtocolError("no split is named; give at least one, such as protocol.score=[dev]")
    if len(set(names)) < len(names):
        raise ProtocolError(f"a split is named twice: {', '.join(names)}")
    return names


def _require_split(dataset: Dataset, name: str) -> None:
    if name in dataset.splits:
        return
    known = ", ".join(dataset.splits) or "none: it has no column 'split'"
    raise ProtocolError(
        f"dataset {dataset.name!r} has no split {name!r} (its splits: {known})."
        + did_you_mean(name, dataset.splits)
    )
