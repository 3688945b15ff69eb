"""Whether something of what is scored stands in what is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt

from sitrepbench.checks.check import Answer, Check, Finding, NotApplicable, Severity
from sitrepbench.checks.material import CheckedRun, Material, listed
from sitrepbench.data.audit import near_duplicates
from sitrepbench.data.dataset import DOCUMENT_ID, LABEL, SENTENCE_ID, SPLIT, TEXT
from sitrepbench.data.duplicates import MIN_TOKENS, document_groups, normalised_text
from sitrepbench.parts import is_test_part
from sitrepbench.protocols.cells import Cell, Plan
from sitrepbench.wording import one_line

_SHOWN = 60
#: Row positions of a training row and a scored row, and how alike they are.
Pair = tuple[int, int, float]


def near_duplicates_across(material: Material) -> Answer:
    """Find scored sentences that stand, nearly as they are, in the training rows."""
    plans = _fitting(material)
    if isinstance(plans, NotApplicable):
        return plans
    findings = []
    known: dict[tuple[str, str], list[Pair]] = {}
    for run, plan in plans:
        data = (plan.training.digest, plan.scored.digest)
        if data not in known:
            known[data] = list(_alike(plan, threshold=material.similarity))
        leaks = _across(plan, known[data])
        if leaks:
            findings.append(_told_leak(run, plan, leaks, material.similarity))
    return findings


def _fitting(material: Material) -> list[tuple[CheckedRun, Plan]] | NotApplicable:
    if not material.planned:
        return NotApplicable(material.why_no_plan)
    plans = [(run, plan) for run, plan in material.planned if plan.fits]
    return plans or NotApplicable("nothing is trained on")


def _alike(plan: Plan, *, threshold: float) -> Iterator[Pair]:
    """Yield near-duplicates as rows of the training and of the scored dataset."""
    training, scored = plan.training.frame[TEXT], plan.scored.frame[TEXT]
    same = plan.training is plan.scored or plan.training.digest == plan.scored.digest
    texts = list(training) if same else [*training, *scored]
    # Short sentences, such as "He declined to comment.", are alike by chance.
    rows = [at for at, text in enumerate(texts)
            if normalised_text(text).count(" ") >= MIN_TOKENS - 1]  # fmt: skip
    for one, two, similarity in near_duplicates([texts[at] for at in rows], threshold=threshold):
        first, second = rows[one], rows[two]
        if same:
            yield first, second, similarity
            yield second, first, similarity
        elif first < len(training) <= second:
            yield first, second - len(training), similarity


def _across(plan: Plan, pairs: list[Pair]) -> list[tuple[Cell, Pair]]:
    """Return for every scored row the most alike row that its cell trains on."""
    found: dict[int, tuple[Cell, Pair]] = {}
    for cell in plan.cells:
        trained = _mask(cell.train, len(plan.training.frame))
        tested = _mask(cell.test, len(plan.scored.frame))
        for pair in pairs:
            if trained[pair[0]] and tested[pair[1]] and pair[1] not in found:
                found[pair[1]] = (cell, pair)
    return sorted(found.values(), key=lambda item: -item[1][2])


def _mask(rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask


def _told_leak(
    run: CheckedRun, plan: Plan, leaks: list[tuple[Cell, Pair]], similarity: float
) -> Finding:
    cell, (one, two, alike) = leaks[0]
    trained, scored = plan.training.frame.iloc[one], plan.scored.frame.iloc[two]
    rows = len({row for c in plan.cells for row in c.test.tolist()})
    message = (
        f"{len(leaks)} of {rows} scored sentences ({len(leaks) / rows:.1%}) have a near-duplicate "
        f"(similarity {similarity:g} or more) among the sentences that their cell trains on. The "
        f"most alike: {scored[SENTENCE_ID]} ({cell.part}, fold {cell.fold}) and "
        f"{trained[SENTENCE_ID]}, {alike:.2f}: {one_line(str(scored[TEXT]), _SHOWN)!r}"
    )
    return Finding(message, (run.name,))


def shared_documents(material: Material) -> Answer:
    """Find documents, or declared clusters of them, on both sides of a cell."""
    plans = _fitting(material)
    if isinstance(plans, NotApplicable):
        return plans
    findings = []
    for run, plan in plans:
        shared: dict[str, str] = {}
        if plan.training.digest == plan.scored.digest:
            groups = document_groups(plan.training.frame)
            for cell in plan.cells:
                both = np.isin(groups[cell.test], groups[cell.train])
                for name in plan.scored.frame[DOCUMENT_ID].to_numpy()[cell.test[both]]:
                    shared.setdefault(str(name), f"{cell.part}, fold {cell.fold}")
        else:
            for cell in plan.cells:
                trained = set(plan.training.frame[DOCUMENT_ID].iloc[cell.train])
                tested = plan.scored.frame[DOCUMENT_ID].iloc[cell.test]
                shared.update({str(name): cell.part for name in tested if name in trained})
        if shared:
            first = next(iter(shared))
            message = (
                f"{len(shared)} scored document(s), or their clusters, stand in the training rows "
                f"of their cell as well, for example {first} ({shared[first]})"
            )
            findings.append(Finding(message, (run.name,)))
    return findings


def hidden_test_rows(material: Material) -> Answer:
    """Find rows of a test split that are trained on, or scored under a development part's name."""
    if not material.planned:
        return NotApplicable(material.why_no_plan)
    if not any(
        is_test_part(name)
        for _, plan in material.planned
        for name in (*plan.training.splits, *plan.scored.splits)
    ):
        return NotApplicable("the data have no test split")
    findings = []
    for run, plan in material.planned:
        trained = plan.training.frame[SPLIT].map(is_test_part).to_numpy(dtype=bool)
        scored = plan.scored.frame[SPLIT].map(is_test_part).to_numpy(dtype=bool)
        fitted = {cell.part for cell in plan.cells if trained[cell.train].any()}
        named = {
            cell.part
            for cell in plan.cells
            if scored[cell.test].any() and not is_test_part(cell.part)
        }
        if fitted:
            message = f"cells of {listed(sorted(fitted))} are trained on sentences of a test split"
            findings.append(Finding(message, (run.name,)))
        if named:
            message = (
                f"the part(s) {listed(sorted(named))} hold sentences of a test split, so a test "
                "score passes as one of development"
            )
            findings.append(Finding(message, (run.name,)))
    return findings


def missing_labels(material: Material) -> Answer:
    """Find labels that a cell cannot learn, or that a part or fold cannot score."""
    if not material.runs:
        return NotApplicable("there is no finished run")
    findings = []
    for run, plan in material.planned:
        findings += _untrained(run, plan)
    seen: set[tuple[str, ...]] = set()
    for run in material.runs:
        for message, mild in _unscored(run):
            key = (run.scored, message)
            if key not in seen:
                seen.add(key)
                findings.append(Finding(message, (run.name,), Severity.tip if mild else None))
    return findings


def _untrained(run: CheckedRun, plan: Plan) -> list[Finding]:
    if not plan.fits:
        return []
    trained, scored = plan.training.frame[LABEL].to_numpy(), plan.scored.frame[LABEL].to_numpy()
    told = []
    for cell in plan.cells:
        lacking = set(scored[cell.test]) - set(trained[cell.train])
        if lacking:
            where = f"{cell.part}, repeat {cell.repeat}, fold {cell.fold}"
            told.append(f"{', '.join(sorted(lacking))} ({where})")
    if not told:
        return []
    message = f"labels are scored in {len(told)} cell(s) that train on no sentence of them: "
    return [Finding(message + listed(told, 3), (run.name,))]


def _unscored(run: CheckedRun) -> Iterator[tuple[str, bool]]:
    """Yield what labels a part lacks, and mildly what a fold of it lacks."""
    frame = run.predictions.frame
    for part, rows in frame.groupby("part", sort=False):
        there = set(rows["label"])
        absent = [label for label in run.predictions.labels if label not in there]
        if absent:
            yield (
                f"part {part} has no sentence of {', '.join(absent)}: its macro-F1 is one over "
                f"{len(there)} labels",
                False,
            )
        folds = rows.groupby(["repeat", "fold"])["label"].agg(set).to_dict()
        if len(folds) > 1:
            poor = [
                f"fold {fold} of repeat {repeat} ({', '.join(sorted(there - labels))})"
                for (repeat, fold), labels in cast("dict[tuple[int, int], set[str]]", folds).items()
                if there - labels
            ]
            if poor:
                yield (
                    f"part {part}: folds lack labels that others have, so that their own scores "
                    f"cannot be compared (the pooled one can): {listed(poor, 3)}",
                    True,
                )


CHECKS = (
    Check(
        "SB011",
        "Near-duplicates across a split",
        Severity.error,
        "A sentence that a model has seen, but for a few words, is remembered and not understood; "
        "scores rise by points. Short sentences (fewer than 8 words) are not counted.",
        "Give the documents one value of the column 'cluster', so that no split tears them apart. "
        "'sitrepbench data audit' lists the pairs.",
        near_duplicates_across,
    ),
    Check(
        "SB012",
        "A document on both sides of a split",
        Severity.error,
        "Sentences of one document share names, numbers and phrases; a model that has seen some "
        "of them knows the others.",
        "Split by documents, and by clusters of documents where there are some.",
        shared_documents,
    ),
    Check(
        "SB013",
        "Test sentences outside of test parts",
        Severity.error,
        "What is trained on or scored as 'dev' or 'cv' is looked at freely; the test split is "
        "then no test.",
        "Leave the test splits out of the protocol's rows: "
        "sitrepbench.protocols.cells.development_rows gives the others.",
        hidden_test_rows,
    ),
    Check(
        "SB014",
        "A label is missing from a fold",
        Severity.error,
        "A label that a cell never saw cannot be predicted, and one that a part lacks leaves its "
        "macro-F1 without notice.",
        "Use fewer folds or more documents; say which labels a score is over.",
        missing_labels,
    ),
)
