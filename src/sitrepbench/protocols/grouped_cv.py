"""Cross-validation by documents, repeated, stratified, every fold holding every class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from sitrepbench.data.dataset import LABEL, Dataset
from sitrepbench.data.duplicates import document_groups
from sitrepbench.errors import ProtocolError
from sitrepbench.protocols.cells import Cell, Plan, Rows, development_rows
from sitrepbench.seeding import seed_for

PART = "cv"
#: Shuffles tried before a split with every class in every fold is given up.
ATTEMPTS = 50


@dataclass(frozen=True)
class GroupedCV:
    """k folds times n repeats over train + dev, with documents as groups.

    No document, and no cluster of near-duplicates, stands on both sides of a split. The split
    depends on the data, ``n_folds`` and the repeat alone, so every model meets the same cells.

    Parameters
    ----------
    n_folds : int
        Folds per repeat, at least 2.
    n_repeats : int
        Repeats with another shuffle each, at least 1.
    """

    n_folds: int = 5
    n_repeats: int = 1

    def __post_init__(self) -> None:
        if self.n_folds < 2:
            raise ProtocolError(f"protocol.n_folds={self.n_folds}: at least 2 are needed")
        if self.n_repeats < 1:
            raise ProtocolError(f"protocol.n_repeats={self.n_repeats}: at least 1 is needed")

    def plan(self, dataset: Dataset) -> Plan:
        """Return the cells.

        Raises
        ------
        ProtocolError
            When a class occurs in fewer groups than there are folds, or no shuffle puts every
            class into every fold; with the numbers.
        """
        rows = development_rows(dataset)
        if not len(rows):
            raise ProtocolError(
                f"dataset {dataset.name!r} has test splits only ({', '.join(dataset.splits)}); "
                "cross-validation uses what is not a test split"
            )
        frame = dataset.frame.iloc[rows]
        groups = document_groups(dataset.frame)[rows]
        labels = frame[LABEL].to_numpy()
        self._check_enough(dataset, labels, groups)
        cells = [
            Cell(PART, repeat, fold, rows[train], rows[test])
            for repeat in range(self.n_repeats)
            for fold, (train, test) in enumerate(self._split(labels, groups, repeat))
        ]
        return Plan(dataset, dataset, tuple(cells))

    def _check_enough(
        self, dataset: Dataset, labels: npt.NDArray[np.object_], groups: Rows
    ) -> None:
        counts = {name: len(np.unique(groups[labels == name])) for name in dataset.labels}
        short = {name: count for name, count in counts.items() if 0 < count < self.n_folds}
        n_groups = len(np.unique(groups))
        if n_groups < self.n_folds:
            raise ProtocolError(
                f"dataset {dataset.name!r}: {n_groups} document group(s) available / "
                f"{self.n_folds} folds requested"
            )
        if short:
            listed = ", ".join(f"{name} in {count}" for name, count in short.items())
            possible = min(short.values())
            advice = (
                f"Use protocol.n_folds={possible} at most"
                if possible >= 2
                else "Gather more documents, or drop the label"
            )
            raise ProtocolError(
                f"dataset {dataset.name!r}: every fold must hold every class, but {listed} "
                f"document group(s) / {self.n_folds} folds requested. {advice}."
            )
        absent = [name for name, count in counts.items() if count == 0]
        if len(absent) > len(dataset.labels) - 2:
            raise ProtocolError(
                f"dataset {dataset.name!r}: fewer than two labels occur in what may be used "
                f"({len(labels)} sentences; absent: {', '.join(absent)})"
            )

    def _split(
        self, labels: npt.NDArray[np.object_], groups: Rows, repeat: int
    ) -> list[tuple[Rows, Rows]]:
        classes = np.unique(labels)
        for attempt in range(ATTEMPTS):
            splitter = StratifiedGroupKFold(
                self.n_folds,
                shuffle=True,
                random_state=seed_for("split", repeat=repeat, attempt=attempt),
            )
            folds = list(splitter.split(labels, labels, groups))
            if all(len(np.unique(labels[test])) == len(classes) for _, test in folds):
                return folds
        rarest = min(classes, key=lambda name: len(np.unique(groups[labels == name])))
        raise ProtocolError(
            f"no split into {self.n_folds} folds was found in {ATTEMPTS} shuffles in which every "
            f"fold holds every class; the rarest, {rarest!r}, stands in "
            f"{len(np.unique(groups[labels == rarest]))} document groups. Use fewer folds."
        )
