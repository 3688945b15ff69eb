"""Protocols: how a dataset is split and scored."""

from typing import Protocol as TypingProtocol

from sitrepbench.data.dataset import Dataset
from sitrepbench.protocols.cells import Cell, Plan, check_plan
from sitrepbench.protocols.fixed import CrossDataset, Official, Score
from sitrepbench.protocols.grouped_cv import GroupedCV
from sitrepbench.protocols.learning_curve import LearningCurve
from sitrepbench.protocols.leave_one_out import LeaveOneOut


class Protocol(TypingProtocol):
    """Anything that makes a plan of a dataset."""

    def plan(self, dataset: Dataset) -> Plan:
        """Return the cells of one run over ``dataset``."""
        ...


__all__ = [
    "Cell",
    "CrossDataset",
    "GroupedCV",
    "LearningCurve",
    "LeaveOneOut",
    "Official",
    "Plan",
    "Protocol",
    "Score",
    "check_plan",
]
