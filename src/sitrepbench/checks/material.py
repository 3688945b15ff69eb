"""What the checks look at: runs with their plans, a study, and the recorded looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sitrepbench.metrics.confusion import DocumentConfusions, document_confusions
from sitrepbench.parts import is_test_part, shown_part
from sitrepbench.predictions import PredictionsTable
from sitrepbench.protocols.cells import Plan
from sitrepbench.store.looks import Look
from sitrepbench.store.record import RunRecord

#: Models that learn nothing from sentences; they are there to be beaten.
FLOORS = frozenset(
    {
        "sitrepbench.models.MajorityClass",
        "sitrepbench.models.StratifiedChance",
        "sklearn.dummy.DummyClassifier",
    }
)
KEYWORDS = "sitrepbench.models.KeywordRules"
_GIVEN = "sitrepbench.tuning.Given"


@dataclass(frozen=True)
class CheckedRun:
    """A finished run, with what is known of it beyond its record.

    Parameters
    ----------
    name : str
        What tells it from the others, for people.
    record : RunRecord
        As the store has it.
    predictions : PredictionsTable
        Its predictions.
    setting : tuple of str
        What its study varies on purpose about data, splits and budget, such as
        ``("protocol.documents=20",)``; runs are compared with those of the same setting.
    search : mapping or None
        What the search was that its settings come from, as a content key holds it:
        ``_target_, trials, seconds, n_folds, space``; None where nothing was searched.
    chosen : sequence of mapping
        The settings that were chosen, by cell.
    plan : Plan or None
        The rows of its cells; None where the data or the code are not what they were.
    no_plan : str
        Why there is no plan.
    training_score : float or None
        Macro-F1 of its first cell on the rows that it was fitted on.
    no_training_score : str
        Why there is none.
    """

    name: str
    record: RunRecord
    predictions: PredictionsTable
    setting: tuple[str, ...] = ()
    search: Mapping[str, Any] | None = None
    chosen: Sequence[Mapping[str, Any]] = ()
    plan: Plan | None = None
    no_plan: str = ""
    training_score: float | None = None
    no_training_score: str = "it takes another fit of each run; ask for it with --refit"
    _confusions: dict[str, DocumentConfusions] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def part(self) -> str:
        """The part that it is judged by: a development part, a test part if there is no other."""
        return shown_part(self.predictions.parts)

    @property
    def test_parts(self) -> tuple[str, ...]:
        """The test parts that it has scored."""
        return tuple(part for part in self.predictions.parts if is_test_part(part))

    @property
    def develops(self) -> bool:
        """Whether it has scored something else than test parts."""
        return len(self.test_parts) < len(self.predictions.parts)

    @property
    def model(self) -> str:
        """Its model's target."""
        return str(self.record.config["model"].get("_target_"))

    @property
    def model_name(self) -> str:
        """Its model's name in the configuration."""
        return str(self.record.names.get("model", self.model))

    @property
    def is_floor(self) -> bool:
        """Whether its model knows nothing of sentences."""
        return self.model in FLOORS

    @property
    def scored(self) -> str:
        """The digest of the dataset that it scored."""
        return str(self.record.key_parts["data"]["scored"])

    def confusions(self, part: str) -> DocumentConfusions:
        """Return the confusion counts of a part, document by document."""
        if part not in self._confusions:
            self._confusions[part] = document_confusions(self.predictions.part(part))
        return self._confusions[part]


def search_in(key_parts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the search in the ingredients of a content key; None where settings were given."""
    tuner = (key_parts.get("config") or {}).get("tuner")
    return None if not tuner or tuner.get("_target_") == _GIVEN else tuner


@dataclass(frozen=True)
class PlannedRun:
    """A run that a study consists of, and what became of it.

    Parameters
    ----------
    name : str
        What tells it from the study's other runs.
    problem : str
        Why it does not take part; empty where it is finished.
    outdated : str
        How the stored run differs from what the study would run now; empty where it does not.
    """

    name: str
    problem: str = ""
    outdated: str = ""


@dataclass(frozen=True)
class CheckedStudy:
    """The study that the runs belong to.

    Parameters
    ----------
    name : str
        Its name in ``experiments/``.
    planned : tuple of PlannedRun
        All its runs, in its order.
    command : str
        What runs those that are missing.
    """

    name: str
    planned: tuple[PlannedRun, ...]
    command: str


@dataclass(frozen=True)
class Material:
    """All that the checks may look at.

    Parameters
    ----------
    runs : tuple of CheckedRun
        The finished runs.
    looks : tuple of Look
        All recorded looks at test splits, in their order.
    study : CheckedStudy or None
        None where loose runs are checked.
    similarity : float
        From which Jaccard similarity of their character 5-grams two sentences count as
        near-duplicates.
    """

    runs: tuple[CheckedRun, ...]
    looks: tuple[Look, ...] = ()
    study: CheckedStudy | None = None
    similarity: float = 0.6

    @cached_property
    def groups(self) -> tuple[tuple[CheckedRun, ...], ...]:
        """The runs that are compared with one another: those of the same setting."""
        found: dict[tuple[str, ...], list[CheckedRun]] = {}
        for run in self.runs:
            found.setdefault(run.setting, []).append(run)
        return tuple(map(tuple, found.values()))

    @cached_property
    def compared(self) -> tuple[tuple[CheckedRun, ...], ...]:
        """The groups of at least two runs."""
        return tuple(group for group in self.groups if len(group) > 1)

    @cached_property
    def planned(self) -> tuple[tuple[CheckedRun, Plan], ...]:
        """The runs whose rows are known; one for each plan."""
        found: dict[tuple[Any, ...], tuple[CheckedRun, Plan]] = {}
        for run in self.runs:
            if run.plan is not None:
                cells = tuple(
                    (cell.part, cell.repeat, cell.fold, cell.train.tobytes(), cell.test.tobytes())
                    for cell in run.plan.cells
                )
                data = (run.plan.training.digest, run.plan.scored.digest)
                found.setdefault((*data, *cells), (run, run.plan))
        return tuple(found.values())

    @property
    def why_no_plan(self) -> str:
        """Why the rows of no run are known."""
        told = list(dict.fromkeys(run.no_plan for run in self.runs if run.no_plan))
        return told[0] if told else "there is no finished run"


def names_of(runs: Sequence[CheckedRun]) -> tuple[str, ...]:
    """Return the names of runs, in order."""
    return tuple(run.name for run in runs)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names for a sentence, the first few of many.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
