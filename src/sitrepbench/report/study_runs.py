"""The runs of a study as its report needs them: scores, confusions, what they trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions, document_confusions
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.metrics.summary import DOMAIN_LABEL_SENTENCES, Summary, summarise
from sitrepbench.parts import shown_part
from sitrepbench.predictions import FOLD, PredictionsTable
from sitrepbench.reproduction.facts import RunFacts
from sitrepbench.stats.paired import PairedDifference, paired_difference
from sitrepbench.store.record import RunRecord

#: The model that all others are compared with: what a conflict researcher asks about first.
REFERENCE = "keyword_rules"
#: The training that a held-out group is compared with.
IN_DOMAIN = "grouped_cv"


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Parameters
    ----------
    facts : RunFacts
        What it came to, and what was chosen for it.
    record : RunRecord
        As the store has it.
    names : dict
        Its choices, such as ``{"model": "linear_svm"}``.
    held_out : tuple of str
        What each fold held out, where that has a name.
    training_documents : float
        How many documents a cell trains on, mean over the cells.
    control : bool
        Whether it scores what other runs hold out, but is trained on others of the group too.
    """

    facts: RunFacts
    record: RunRecord
    names: Mapping[str, str]
    held_out: tuple[str, ...] = ()
    training_documents: float = 0.0
    control: bool = False
    _confusions: dict[str, DocumentConfusions] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def predictions(self) -> PredictionsTable:
        """Its predictions."""
        return self.record.predictions()

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """Per part its summary, development parts first."""
        return {part: summarise(self.predictions, part) for part in self.predictions.parts}

    @property
    def label(self) -> str:
        """What tells it from the study's other runs."""
        return self.facts.name

    @property
    def setting(self) -> tuple[str, str]:
        """Model and features, whatever they are trained on."""
        return self.names["model"], self.names["features"]

    def confusions(self, part: str) -> DocumentConfusions:
        """Return the confusion counts of a part, document by document."""
        if part not in self._confusions:
            self._confusions[part] = document_confusions(self.predictions.part(part))
        return self._confusions[part]

    def score(self, part: str) -> float:
        """Return a part's macro-F1; NaN where the run has no such part."""
        summary = self.summaries.get(part)
        return float("nan") if summary is None else summary.metrics["macro_f1"]


def parts_of(runs: Sequence[StudyRun]) -> list[str]:
    """Return all parts, those of the first run first."""
    return list(dict.fromkeys(part for run in runs for part in run.summaries))


def ranked(runs: Sequence[StudyRun]) -> list[StudyRun]:
    """Return the runs best first, by a development part, or a test part if there is no other."""
    part = shown_part(parts_of(runs))
    return sorted(runs, key=lambda run: -np.nan_to_num(run.score(part), nan=-1.0))


def difference(one: DocumentConfusions, other: DocumentConfusions) -> PairedDifference | None:
    """Return the paired difference of macro-F1; None where the documents are not the same."""
    try:
        return paired_difference(one, other, partial(macro_f1, labels=one.supported))
    except DataError:
        return None


def reference_of(run: StudyRun, runs: Sequence[StudyRun], part: str) -> StudyRun | None:
    """Return the keyword rules that were scored on the same documents as a part of a run."""
    if part not in run.summaries:
        return None
    documents = run.confusions(part).documents
    for other in runs:
        scored = other.names["model"] == REFERENCE and part in other.summaries
        if scored and other is not run and other.confusions(part).documents == documents:
            return other
    return None


@dataclass(frozen=True)
class HeldOutGroup:
    """One held-out value: its documents' scores by a model that never saw such documents.

    Parameters
    ----------
    name : str
        The value.
    sentences, documents : int
        Of the group.
    score : float
        Macro-F1 over the labels with at least 5 sentences in the group; NaN under two of those.
    in_domain : float
        The same documents scored by a model that was trained on others of the group as well;
        NaN where the study has no such run.
    """

    name: str
    sentences: int
    documents: int
    score: float
    in_domain: float


def held_out_groups(run: StudyRun, runs: Sequence[StudyRun]) -> list[HeldOutGroup]:
    """Return what a run held out, worst first."""
    (part,) = run.summaries
    confusions = run.confusions(part)
    other = in_domain_of(run, runs)
    fold_of = run.predictions.frame.groupby("document_id")[FOLD].first()
    folds = fold_of.reindex(confusions.documents).to_numpy()
    groups = []
    for fold, name in enumerate(run.held_out):
        here = folds == fold
        counts = confusions.counts[:, here].sum(axis=1)
        gold = counts.mean(axis=0).sum(axis=-1)
        enough = gold >= DOMAIN_LABEL_SENTENCES
        inside = float("nan")
        if other is not None:
            chosen = [name for name, is_here in zip(confusions.documents, here, strict=True)
                      if is_here]  # fmt: skip
            inside = _macro(restricted(other.confusions(part), chosen).pooled, enough)
        groups.append(
            HeldOutGroup(name, int(gold.sum()), int(here.sum()), _macro(counts, enough), inside)
        )
    return sorted(groups, key=lambda group: np.nan_to_num(group.score, nan=2.0))


def in_domain_of(run: StudyRun, runs: Sequence[StudyRun]) -> StudyRun | None:
    """Return the run of the same model that was trained on documents of all groups.

    That is the control of a protocol that holds groups out or, without one, cross-validation.
    """
    alike = [
        other
        for other in runs
        if other.setting == run.setting
        and set(run.summaries) <= set(other.summaries)
        and (other.control or other.names["protocol"] == IN_DOMAIN)
    ]
    return min(alike, key=lambda other: not other.control, default=None)


def holding_out(runs: Sequence[StudyRun]) -> list[StudyRun]:
    """Return the runs that hold groups out, best first."""
    return ranked([run for run in runs if run.held_out and not run.control])


def gap_of(run: StudyRun, runs: Sequence[StudyRun]) -> PairedDifference | None:
    """Return in-domain minus held-out macro-F1, on the documents that were held out."""
    other = in_domain_of(run, runs)
    if other is None:
        return None
    (part,) = run.summaries
    held_out = run.confusions(part)
    return difference(restricted(other.confusions(part), held_out.documents), held_out)


def restricted(confusions: DocumentConfusions, documents: Sequence[str]) -> DocumentConfusions:
    """Return the confusions of some of the documents."""
    wanted = set(documents)
    kept = [at for at, name in enumerate(confusions.documents) if name in wanted]
    return DocumentConfusions(
        tuple(confusions.documents[at] for at in kept),
        tuple(confusions.domains[at] for at in kept),
        confusions.labels,
        confusions.counts[:, kept],
        confusions.lenient[:, kept],
    )


def _macro(counts: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float:
    if labels.sum() < 2:
        return float("nan")
    return float(macro_f1(counts, labels=labels).mean())
