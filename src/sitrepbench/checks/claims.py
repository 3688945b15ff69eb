"""Whether the data can carry what the scores seem to say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from scipy.special import stdtrit

from sitrepbench.checks.check import Answer, Check, Finding, NotApplicable, Severity
from sitrepbench.checks.comparability import NO_RUNS, ONE_RUN
from sitrepbench.checks.material import KEYWORDS, CheckedRun, Material, listed, names_of
from sitrepbench.errors import DataError
from sitrepbench.metrics.confusion import DocumentConfusions
from sitrepbench.metrics.scores import macro_f1, matthews_corrcoef
from sitrepbench.predictions import PREDICTED
from sitrepbench.stats.intervals import jackknife, label_effective_documents
from sitrepbench.stats.paired import PairedDifference, paired_difference
from sitrepbench.stats.power import minimum_detectable_difference

#: A training score this much above the development score is told.
GAP = 0.2
#: Fewer documents than this and intervals are wide, and their coverage is not checked.
FEW_DOCUMENTS = 20
#: Two models may agree on fewer sentences than this by chance.
ENOUGH_SENTENCES = 100


def score_of(run: CheckedRun) -> float:
    """Return a run's macro-F1 on the part that it is judged by."""
    confusions = run.confusions(run.part)
    return float(macro_f1(confusions.pooled, labels=confusions.supported).mean())


def _ranked(group: Sequence[CheckedRun]) -> list[CheckedRun]:
    """Return the runs of a group that share a part with its first, best first."""
    return sorted(group, key=lambda run: -score_of(run))


def _difference(one: CheckedRun, other: CheckedRun) -> PairedDifference | None:
    """Return the paired difference of macro-F1; None where the documents are not the same."""
    if one.part != other.part:
        return None
    first, second = one.confusions(one.part), other.confusions(other.part)
    try:
        return paired_difference(first, second, partial(macro_f1, labels=first.supported))
    except DataError:
        return None


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _told(one: CheckedRun, other: CheckedRun, difference: PairedDifference) -> str:
    return (
        f"{one.name} is {_points(difference.estimate)} points above {other.name} on {one.part}, "
        f"95 % interval {_points(difference.low)} to {_points(difference.high)}"
    )


def _baseline(group: Sequence[CheckedRun]) -> CheckedRun | None:
    """Return what is there to be beaten: the keyword rules or else the best floor."""
    for run in group:
        if run.model == KEYWORDS:
            return run
    return next((run for run in _ranked(group) if run.is_floor), None)


def too_few_documents(material: Material) -> Answer:
    """Find a lead over the second best, or over the baseline, that the documents cannot show."""
    if not material.compared:
        return ONE_RUN
    findings, asked = [], False
    for group in material.compared:
        best, second, *_ = _ranked(group)
        baseline = _baseline(group)
        others = [(second, Severity.tip)]
        if baseline is not None and baseline is not best:
            others = [(second, Severity.tip)] if baseline is not second else []
            others.append((baseline, Severity.warning))
        for other, severity in others:
            difference = _difference(best, other)
            if difference is None:
                continue
            asked = True
            if difference.low > 0:
                continue
            smallest = minimum_detectable_difference(difference)
            message = f"{_told(best, other, difference)}: it cannot be told from chance"
            if math.isfinite(smallest):
                message += (
                    f". {len(best.confusions(best.part).documents)} documents could show "
                    f"{_points(smallest)} points or more (power 0.8)"
                )
            findings.append(Finding(message, (best.name, other.name), severity))
    return findings if asked else NotApplicable("no two runs scored the same documents")


def no_better_than_keywords(material: Material) -> Answer:
    """Find models whose lead over the keyword rules is not shown."""
    found: list[Finding] = []
    beaten = asked = False
    for group in material.compared:
        keywords = next((run for run in group if run.model == KEYWORDS), None)
        if keywords is None:
            continue
        for run in group:
            if run.is_floor or run.model == KEYWORDS:
                continue
            difference = _difference(run, keywords)
            if difference is None:
                continue
            asked = True
            if difference.low > 0:
                beaten = True
            else:
                found.append(Finding(_told(run, keywords, difference), (run.name,), Severity.tip))
    if not asked:
        return NotApplicable("no keyword rules that were scored on the same documents")
    if beaten or not found:
        return found
    message = "no model is shown to be better than keyword rules. "
    return [Finding(message + item.message, item.runs) for item in found]


def _above_chance(confusions: DocumentConfusions) -> tuple[float, float]:
    """Return Matthews' correlation and the lower end of its interval, by documents."""
    effective = label_effective_documents(confusions.counts)[confusions.supported].mean()
    result = jackknife(
        confusions.counts, matthews_corrcoef, effective_documents=np.asarray(effective)
    )
    t = float(stdtrit(result.degrees_of_freedom, 0.975))
    return float(result.estimate), float(result.estimate - t * result.standard_error)


def no_better_than_chance(material: Material) -> Answer:
    """Find models whose answers have nothing to do with the gold labels."""
    runs = [run for run in material.runs if not run.is_floor]
    if not runs:
        return NotApplicable("only models that know nothing of sentences are there")
    findings = []
    for run in runs:
        confusions = run.confusions(run.part)
        if len(confusions.documents) < 2:
            continue
        estimate, low = _above_chance(confusions)
        if not low > 0:
            message = (
                f"{run.name}: Matthews' correlation with the gold labels of {run.part} is "
                f"{estimate:.3f}, its interval reaches down to {low:.3f}"
            )
            findings.append(Finding(message, (run.name,)))
    return findings


def _model(run: CheckedRun) -> str:
    """Return what of a run's configuration is its model's: what it was meant to differ by."""
    config = run.record.key_parts["config"]
    decided = [config.get(name) for name in ("model", "features", "tuner", "calibrator")]
    return json.dumps([*decided, run.record.key_parts.get("seed")], sort_keys=True, default=str)


def same_predictions(material: Material) -> Answer:
    """Find different models that gave one and the same answer to everything."""
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        by_digest: dict[str, list[CheckedRun]] = {}
        for run in group:
            frame = run.predictions.frame
            if len(frame) >= ENOUGH_SENTENCES and frame[PREDICTED].nunique() > 1:
                by_digest.setdefault(run.record.predictions_digest, []).append(run)
        for runs in by_digest.values():
            if len({_model(run) for run in runs}) > 1:
                message = (
                    f"{listed(names_of(runs))} gave the same label to each of "
                    f"{len(runs[0].predictions.frame):,} sentences"
                )
                findings.append(Finding(message, names_of(runs)))
    return findings


def memorised(material: Material) -> Answer:
    """Find models that do far better on what they were fitted on."""
    runs = [run for run in material.runs if run.training_score is not None]
    if not runs:
        told = [run.no_training_score for run in material.runs]
        return NotApplicable(told[0] if told else "there is no finished run")
    findings = []
    for run in runs:
        training, held_out = run.training_score or 0.0, score_of(run)
        if training - held_out > GAP:
            message = (
                f"{run.name}: macro-F1 {training:.3f} on the rows it was fitted on, "
                f"{held_out:.3f} on {run.part}: {_points(training - held_out)} points apart"
            )
            findings.append(Finding(message, (run.name,)))
    return findings


def few_documents(material: Material) -> Answer:
    """Find parts that hardly any document stands behind."""
    if not material.runs:
        return NO_RUNS
    return list(_few(material.runs))


def _few(runs: Sequence[CheckedRun]) -> Iterator[Finding]:
    found: dict[tuple[str, str, int], list[CheckedRun]] = {}
    for run in runs:
        for part in run.predictions.parts:
            number = len(run.confusions(part).documents)
            if number < FEW_DOCUMENTS:
                found.setdefault((run.scored, part, number), []).append(run)
    for (_, part, number), few in found.items():
        if number == 1:
            message = f"part {part} is one document: no interval and no comparison can be had of it"
            yield Finding(message, names_of(few))
        else:
            message = (
                f"part {part} has {number} documents; intervals are checked from {FEW_DOCUMENTS}"
            )
            yield Finding(message, names_of(few), Severity.tip)


def no_baseline(material: Material) -> Answer:
    """Find comparisons without anything simple to be beaten."""
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        if not any(run.is_floor or run.model == KEYWORDS for run in group):
            at = f" ({listed(group[0].setting)})" if group[0].setting else ""
            message = f"{len(group)} runs{at} and neither keyword rules nor a floor among them"
            findings.append(Finding(message, names_of(group)))
    return findings


CHECKS = (
    Check(
        "SB041",
        "Too few documents for the claimed difference",
        Severity.warning,
        "A lead that the documents cannot tell from chance may turn round on others of the same "
        "kind. Sentences of one document are not independent, so documents are what counts.",
        "Report the two as tied, or gather documents until the smallest difference that can be "
        "shown is below the one that is claimed. 'sitrepbench compare' shows it for any pair. A "
        "lead over the second best is a tip; one over the baseline is an issue.",
        too_few_documents,
    ),
    Check(
        "SB042",
        "A model is no better than keyword rules",
        Severity.warning,
        "Rules cost nothing, need no training data and can be explained.",
        "Look for a mistake, for more training data, or use the rules. It is an issue where no "
        "model at all is shown to be better, and else a tip.",
        no_better_than_keywords,
    ),
    Check(
        "SB043",
        "A model is no better than chance",
        Severity.warning,
        "That is seldom a property of a model and often one of a program: rows out of order, "
        "labels mixed up, features that are empty.",
        "Look at its confusions with 'sitrepbench errors RUN' before it is compared with anything.",
        no_better_than_chance,
    ),
    Check(
        "SB044",
        "Different models gave the same predictions",
        Severity.warning,
        "What was meant to differ may have had no effect, or one model's predictions were taken "
        "for another's.",
        "Compare what decides them with 'sitrepbench explain RUN'. If a setting does nothing, say "
        "so and keep one of the runs.",
        same_predictions,
    ),
    Check(
        "SB045",
        "The training score is far above the development score",
        Severity.tip,
        f"A model that is {100 * GAP:.0f} points better on what it was fitted on has learned some "
        "of it by heart. That is usual with many features and few documents, and says that more "
        "data or more regularisation would help.",
        "Regularise more, use fewer features, gather documents.",
        memorised,
    ),
    Check(
        "SB046",
        "A part has very few documents",
        Severity.warning,
        "Intervals rest on how documents differ; with one there is none, and below "
        f"{FEW_DOCUMENTS} they say little.",
        "Report counts and examples instead of scores, or gather documents.",
        few_documents,
    ),
    Check(
        "SB047",
        "Nothing simple is compared with",
        Severity.tip,
        "A score by itself does not say whether the task is hard.",
        "Run model=keyword_rules and model=majority beside the others; they take a second.",
        no_baseline,
    ),
)
