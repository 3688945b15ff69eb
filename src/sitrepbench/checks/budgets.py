"""Whether models were tuned with the same care, and whether the tuning came to an end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sitrepbench.checks.check import Answer, Check, Finding, NotApplicable, Severity
from sitrepbench.checks.comparability import NO_RUNS, ONE_RUN
from sitrepbench.checks.material import CheckedRun, Material, listed, names_of
from sitrepbench.tuning.space import Dimension
from sitrepbench.wording import one_line

#: From this ratio on, numbers of trials or of variants count as unequal.
UNEVEN = 2.0
_GIVEN = "sitrepbench.tuning.Given"
_FAILED_TRIALS = re.compile(r"tuning: (\d+) of (\d+) trials failed")
_NOT_CONVERGED = re.compile(r"converge", re.IGNORECASE)
_SHOWN = 110


def unequal_budgets(material: Material) -> Answer:
    """Find compared models that were tuned with unequal budgets, or one tuned and one not."""
    if not material.compared:
        return ONE_RUN
    if all(run.search is None for run in material.runs):
        return NotApplicable("nothing was searched")
    findings: list[Finding] = []
    for group in material.compared:
        searched = [run for run in group if run.search is not None]
        if searched:
            findings += _limits(searched)
            findings += _tried(searched)
            findings += _untuned(group, searched)
    return findings


def _limits(searched: Sequence[CheckedRun]) -> list[Finding]:
    told: dict[str, list[CheckedRun]] = {}
    for run in searched:
        told.setdefault(budget_text(run.search or {}), []).append(run)
    if len(told) < 2:
        return []
    parts = "; ".join(f"{text}: {listed(names_of(runs))}" for text, runs in told.items())
    return [Finding(f"{len(told)} different budgets. {parts}", names_of(searched))]


def budget_text(search: Mapping[str, Any]) -> str:
    """Return what a search may cost, per cell.

    >>> budget_text({"trials": 20, "seconds": None, "n_folds": 3})
    '20 trials on 3 inner folds'
    """
    limits = []
    if search.get("trials") is not None:
        limits.append(f"{search['trials']} trials")
    if search.get("seconds") is not None:
        limits.append(f"{search['seconds']:g} seconds")
    told = " or ".join(limits) or "no limit"
    return f"{told} on {search.get('n_folds')} inner folds"


def _tried(searched: Sequence[CheckedRun]) -> list[Finding]:
    """Compare what was tried where no number of trials limits it."""
    tried = {
        run.name: _trials(run)
        for run in searched
        if (run.search or {}).get("trials") is None and _trials(run)
    }
    if len(tried) < 2:
        return []
    most, least = max(tried, key=lambda n: tried[n]), min(tried, key=lambda n: tried[n])
    if tried[most] < UNEVEN * tried[least]:
        return []
    message = (
        f"without a limit of trials, {most} tried {tried[most]:.0f} settings per cell and {least} "
        f"{tried[least]:.0f}"
    )
    return [Finding(message, (most, least))]


def _trials(run: CheckedRun) -> float:
    counts = [int(cell.get("trials") or 0) for cell in run.record.tuning.get("chosen", ())]
    return sum(counts) / len(counts) if counts else 0.0


def _space(run: CheckedRun) -> Mapping[str, Any]:
    about = run.record.config["model"].get("_about_") or {}
    return about.get("space") or about.get("grid") or {}


def _untuned(group: Sequence[CheckedRun], searched: Sequence[CheckedRun]) -> list[Finding]:
    findings = []
    rest = [run for run in group if run.search is None and _space(run)]
    given = [
        run for run in rest if (run.record.config.get("tuner") or {}).get("_target_") == _GIVEN
    ]
    plain = [run for run in rest if run not in given]
    if plain:
        message = (
            f"{listed(names_of(plain))}: run with the settings that came with it, though it has "
            f"something to tune, beside {len(searched)} run(s) that were tuned"
        )
        findings.append(Finding(message, (*names_of(plain), *names_of(searched))))
    if given:
        message = (
            f"{listed(names_of(given))}: settings were given by hand; what they cost is unknown"
        )
        findings.append(Finding(message, names_of(given), Severity.tip))
    return findings


def edges(material: Material) -> Answer:
    """Find chosen settings that lie at the edge of what was searched."""
    searched = [run for run in material.runs if run.search is not None and run.search.get("space")]
    if not searched:
        return NotApplicable("nothing was searched")
    findings = []
    for run in searched:
        dimensions = [Dimension(str(path), str(kind), tuple(values))
                      for path, kind, values in (run.search or {})["space"]]  # fmt: skip
        told = []
        for dimension in dimensions:
            sides = Counter(
                edge
                for settings in run.chosen
                if (edge := dimension.edge(settings.get(dimension.path)))
            )
            # One cell of several may end there by chance; half of them point outwards.
            told += [
                f"{dimension.path} at its {edge} edge "
                f"({min(dimension.values)} to {max(dimension.values)}) in {count} of "
                f"{len(run.chosen)} cell(s)"
                for edge, count in sides.items()
                if 2 * count >= len(run.chosen)
            ]
        if told:
            findings.append(Finding(f"{run.name}: {'; '.join(told)}", (run.name,)))
    return findings


def uneven_variants(material: Material) -> Answer:
    """Find models that stand among the compared runs in many more variants than others."""
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        counts = Counter(run.model_name for run in group if not run.is_floor)
        if len(counts) < 2:
            continue
        (most, many), (least, few) = counts.most_common(1)[0], counts.most_common()[-1]
        if many >= 3 and many >= UNEVEN * few:
            message = (
                f"{most} stands there in {many} variants, {least} in {few}: the best of {many} is "
                "better by chance than the best of few"
            )
            findings.append(Finding(message))
    return findings


def unfinished_fits(material: Material) -> Answer:
    """Find searches with failed trials, and fits that did not converge."""
    if not material.runs:
        return NO_RUNS
    findings = []
    for run in material.runs:
        failed = [match for note in run.record.notes if (match := _FAILED_TRIALS.match(note))]
        if failed:
            most = max(failed, key=lambda match: int(match[1]) / int(match[2]))
            message = f"{run.name}: {most[1]} of {most[2]} trials failed in one cell or more"
            findings.append(Finding(message, (run.name,)))
        loose = [note for note in run.record.notes if _NOT_CONVERGED.search(note)]
        if loose:
            findings.append(Finding(f"{run.name}: {one_line(loose[0], _SHOWN)}", (run.name,)))
    return findings


def single_seed(material: Material) -> Answer:
    """Find models that draw random numbers and were run once."""
    if not material.runs:
        return NO_RUNS
    drawing = [run for run in material.runs if run.record.key_parts.get("seed") is not None]
    if not drawing:
        return NotApplicable("no run draws random numbers that depend on the seed")
    seeds: dict[tuple[tuple[str, ...], str], set[Any]] = {}
    for run in drawing:
        seeds.setdefault(_without_seed(run), set()).add(run.record.key_parts["seed"])
    # A floor that draws labels at random is known to move; a repeat draws anew.
    once = [
        run
        for run in drawing
        if len(seeds[_without_seed(run)]) == 1
        and run.predictions.frame["repeat"].nunique() == 1
        and not run.is_floor
    ]
    if not once:
        return []
    message = f"{len(once)} run(s) draw random numbers and have one seed: {listed(names_of(once))}"
    return [Finding(message, names_of(once))]


def _without_seed(run: CheckedRun) -> tuple[tuple[str, ...], str]:
    parts = run.record.key_parts
    return run.setting, repr((parts.get("config"), parts.get("data")))


CHECKS = (
    Check(
        "SB031",
        "Compared models were tuned with unequal budgets",
        Severity.error,
        "The better-tuned model wins, whichever it is: differences between well-tuned and plain "
        "baselines are often larger than those that papers report.",
        "Give every model the same number of trials (tuner.trials) and inner folds. Prefer trials "
        "to seconds, which depend on the machine.",
        unequal_budgets,
    ),
    Check(
        "SB032",
        "The optimum lies at the edge of the search space",
        Severity.tip,
        "Better settings may lie beyond; the model is then undertuned, and the comparison unfair "
        "to it.",
        "Widen the space there (tuner.space, or _about_.space beside the model) and search again.",
        edges,
    ),
    Check(
        "SB033",
        "One model stands there in more variants than others",
        Severity.tip,
        "Variants that are compared by the score that is reported are a search, on the data that "
        "are reported.",
        "Let a tuner choose among variants inside the training data, or give all models as many.",
        uneven_variants,
    ),
    Check(
        "SB034",
        "Trials failed, or fits did not converge",
        Severity.tip,
        "A failed trial is a part of the budget that was not spent, and a fit that stopped early "
        "is not the model that its name says.",
        "Take settings that cannot work out of the space; raise max_iter.",
        unfinished_fits,
    ),
    Check(
        "SB035",
        "A random model has one seed",
        Severity.tip,
        "Its score varies from seed to seed, often by more than models differ.",
        "Run several seeds (seed=0,1,2), or a protocol with repeats, and report them all.",
        single_seed,
    ),
)
