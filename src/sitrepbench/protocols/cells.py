"""What every protocol makes of a dataset: cells, each one fit and predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sitrepbench.data.dataset import SPLIT, Dataset
from sitrepbench.data.duplicates import document_groups
from sitrepbench.errors import LockedSplitError, ProtocolError
from sitrepbench.parts import is_test_part

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One fit on the rows ``train`` and one prediction of the rows ``test``.

    Parameters
    ----------
    part : str
        What the predictions count towards: ``cv``, ``all``, or the split's name.
    repeat, fold : int
        From 0.
    train, test : array of int
        Row positions in `Plan.training` and `Plan.scored`; ``train`` is empty where nothing is
        fitted.
    """

    part: str
    repeat: int
    fold: int
    train: Rows
    test: Rows


@dataclass(frozen=True)
class Plan:
    """The cells of one run, with the datasets that their rows index.

    Parameters
    ----------
    training, scored : Dataset
        The same object unless the protocol scores another dataset than it trains on.
    cells : tuple of Cell
        In the order in which they are run.
    fits : bool
        Whether cells fit at all.
    """

    training: Dataset
    scored: Dataset
    cells: tuple[Cell, ...]
    fits: bool = True

    @property
    def locked_splits(self) -> tuple[str, ...]:
        """The test splits that scoring the cells would read, sorted."""
        splits = self.scored.frame[SPLIT].to_numpy()
        read = {str(name) for cell in self.cells for name in np.unique(splits[cell.test])}
        return tuple(sorted(name for name in read if is_test_part(name)))


def without_splits(plan: Plan, cell: Cell, splits: Sequence[str]) -> Cell:
    """Return a cell without the training rows of some splits."""
    if not splits:
        return cell
    found = plan.training.frame[SPLIT].to_numpy(dtype=object)[cell.train]
    return replace(cell, train=cell.train[~np.isin(found, list(splits))])


def development_rows(dataset: Dataset) -> Rows:
    """Return the rows that development may use: all but the test splits."""
    locked = dataset.frame[SPLIT].map(is_test_part).to_numpy(dtype=bool)
    return np.flatnonzero(~locked)


def check_plan(plan: Plan, *, unlock_reason: str | None) -> tuple[str, ...]:
    """Check what holds for every protocol, and return the locked splits that it may read.

    Raises
    ------
    LockedSplitError
        When a test split would be read without a reason.
    ProtocolError
        When a cell would be fitted on a test split, when a document or near-duplicate cluster
        stands on both sides, or when a label occurs in the scored dataset that the training
        dataset does not know.
    """
    splits = plan.training.frame[SPLIT].to_numpy()
    trained = {str(name) for cell in plan.cells for name in np.unique(splits[cell.train])}
    forbidden = sorted(name for name in trained if is_test_part(name))
    if forbidden:
        raise ProtocolError(
            f"dataset {plan.training.name!r}: nothing is ever trained on a test split "
            f"({', '.join(forbidden)}). Train on another dataset with protocol=cross_dataset, or "
            "score a model that needs no fitting with protocol=score."
        )
    _check_groups(plan)
    foreign = sorted(set(plan.scored.labels) - set(plan.training.labels))
    if foreign:
        raise ProtocolError(
            f"dataset {plan.scored.name!r} has labels that {plan.training.name!r} does not know: "
            f"{', '.join(foreign)}. Map them onto its labels with label_map."
        )
    locked = plan.locked_splits
    if locked and not (unlock_reason and unlock_reason.strip()):
        raise LockedSplitError(
            f"dataset {plan.scored.name!r}: the test split(s) {', '.join(locked)} are locked, so "
            "that they stay unseen while models are chosen. Score dev or cross-validate instead; "
            "for a final score give the reason, which is counted and stamped on the run: "
            "unlock.reason='...'"
        )
    return locked


def _check_groups(plan: Plan) -> None:
    """Refuse a document, or near-duplicates, on both sides of a cell or of the test lock."""
    if not plan.fits or plan.scored is not plan.training:
        return
    groups = document_groups(plan.training.frame)
    locked = plan.training.frame[SPLIT].map(is_test_part).to_numpy(dtype=bool)
    sealed = np.unique(groups[locked])
    for cell in plan.cells:
        trained = np.unique(groups[cell.train])
        shared = np.intersect1d(trained, np.union1d(np.unique(groups[cell.test]), sealed))
        if len(shared):
            rows = np.flatnonzero(np.isin(groups, shared))
            named = plan.training.frame["document_id"].iloc[rows].drop_duplicates().head(3)
            raise ProtocolError(
                f"dataset {plan.training.name!r}: {len(shared)} document(s), or groups of "
                "documents that share near-duplicates, stand both in what is trained on and in "
                f"what is scored or locked, for example {', '.join(named)}. Give every document, "
                "and every cluster, one split."
            )
