"""Whether a run's answers are what they must be: probabilities, and all labels in use."""

from __future__ import annotations

import numpy as np

from sitrepbench.checks.check import Answer, Check, Finding, NotApplicable, Severity
from sitrepbench.checks.comparability import NO_RUNS
from sitrepbench.checks.material import CheckedRun, Material, listed
from sitrepbench.predictions import PREDICTED

#: What rounding may leave of a sum of one.
TOLERANCE = 1e-6
#: A share of answers below this that contradict their probabilities is one of ties.
CONTRADICTIONS = 0.01


def bad_probabilities(material: Material) -> Answer:
    """Find probabilities outside 0 to 1, that do not sum to one, or that are there in part."""
    with_some = [run for run in material.runs if _probabilities(run).size]
    if not with_some:
        return NotApplicable("no run has probabilities")
    findings = []
    for run in with_some:
        told = _told(run)
        if told:
            findings.append(Finding(f"{run.name}: {'; '.join(told)}", (run.name,)))
        share = _contradicting(run)
        if not told and share > CONTRADICTIONS:
            message = (
                f"{run.name}: in {share:.1%} of the sentences another label than the predicted one "
                "has the highest probability"
            )
            findings.append(Finding(message, (run.name,), Severity.tip))
    return findings


def _probabilities(run: CheckedRun) -> np.ndarray:
    """Return the rows with any probability, shape (n, L)."""
    values = run.predictions.frame[list(run.predictions.probability_columns)].to_numpy(dtype=float)
    return np.asarray(values[~np.isnan(values).all(axis=1)])


def _told(run: CheckedRun) -> list[str]:
    values, n_rows = _probabilities(run), len(run.predictions.frame)
    told = []
    partly = int(np.isnan(values).any(axis=1).sum())
    if partly:
        told.append(f"{partly} sentences have probabilities for some labels only")
    whole = values[~np.isnan(values).any(axis=1)]
    outside = (whole < -TOLERANCE) | (whole > 1 + TOLERANCE)
    if outside.any():
        worst = whole[outside][np.argmax(np.abs(whole[outside] - 0.5))]
        told.append(
            f"{int(outside.any(axis=1).sum())} sentences have probabilities outside 0 to 1, such "
            f"as {worst:.4g}"
        )
    off = np.abs(whole.sum(axis=1) - 1)
    if (off > TOLERANCE).any():
        told.append(
            f"the probabilities of {int((off > TOLERANCE).sum())} of {n_rows} sentences do not "
            f"sum to one; the worst sum is {whole[np.argmax(off)].sum():.4g}"
        )
    if len(values) < n_rows:
        told.append(f"{n_rows - len(values)} of {n_rows} sentences have none")
    return told


def _contradicting(run: CheckedRun) -> float:
    """Return the share of rows whose predicted label is not among the most probable ones."""
    columns = list(run.predictions.probability_columns)
    values = run.predictions.frame[columns].to_numpy(dtype=float)
    codes = run.predictions.codes(PREDICTED)
    taken = values[np.arange(len(values)), codes]
    return float((taken < values.max(axis=1) - TOLERANCE).mean())


def unused_labels(material: Material) -> Answer:
    """Find labels that are there and that a model never predicts."""
    if not material.runs:
        return NO_RUNS
    findings = []
    for run in material.runs:
        if run.is_floor:
            continue
        frame = run.predictions.part(run.part).frame
        never = sorted(set(frame["label"]) - set(frame[PREDICTED]))
        if never:
            message = f"{run.name} never predicts {listed(never)} on {run.part}"
            findings.append(Finding(message, (run.name,)))
    return findings


CHECKS = (
    Check(
        "SB051",
        "Probabilities outside 0 to 1, or not summing to one",
        Severity.error,
        "Log loss, Brier score, calibration and thresholds are all nonsense where what is called "
        "a probability lies outside 0 to 1 or does not sum to one over the labels.",
        "Return none at all rather than raw scores, or calibrate them (calibrator=...). "
        "'sitrepbench check-model' tells which model breaks the contract.",
        bad_probabilities,
    ),
    Check(
        "SB052",
        "A model never predicts a label",
        Severity.tip,
        "Its F1 for that label is 0, and takes a share of the macro-F1 with it.",
        "Weight the classes, give it more sentences of the label, or say that it cannot.",
        unused_labels,
    ),
)
