"""To people who label and back: Label Studio's files, several annotators kept apart, agreement."""

from sitrepbench.annotation.exports import read_export
from sitrepbench.annotation.labelling_config import labelling_config
from sitrepbench.annotation.reliability import measure_reliability
from sitrepbench.annotation.resolving import resolve
from sitrepbench.annotation.sentences import read_sentences
from sitrepbench.annotation.tasks import tasks_of

__all__ = [
    "labelling_config",
    "measure_reliability",
    "read_export",
    "read_sentences",
    "resolve",
    "tasks_of",
]
