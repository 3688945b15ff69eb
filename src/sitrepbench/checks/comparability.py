"""Whether runs that are compared were made on the same data, splits and code, and all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, cast

from sitrepbench.checks.check import Answer, Check, Finding, NotApplicable, Severity
from sitrepbench.checks.material import CheckedRun, Material, listed, names_of

ONE_RUN = NotApplicable("nothing is compared: there are no two finished runs of one setting")
NO_RUNS = NotApplicable("there is no finished run")


def _values(
    runs: Sequence[CheckedRun], value: Callable[[CheckedRun], Hashable]
) -> dict[Hashable, list[CheckedRun]]:
    """Return the runs by a value, the most frequent one first."""
    found: dict[Hashable, list[CheckedRun]] = {}
    for run in runs:
        found.setdefault(value(run), []).append(run)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _split_up(values: dict[Hashable, list[CheckedRun]], told: Callable[[Hashable], str]) -> str:
    return "; ".join(f"{told(key)}: {listed(names_of(runs))}" for key, runs in values.items())


def _mixed(
    material: Material, value: Callable[[CheckedRun], Hashable], what: str,
    told: Callable[[Hashable], str],
) -> Answer:  # fmt: skip
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        values = _values(group, value)
        if len(values) > 1:
            message = f"{len(values)} {what} among {len(group)} runs. {_split_up(values, told)}"
            findings.append(Finding(message, names_of(group)))
    return findings


def mixed_data(material: Material) -> Answer:
    """Find runs that are compared although they read different data."""

    def digests(run: CheckedRun) -> Hashable:
        data = run.record.key_parts["data"]
        return str(data["training"]), str(data["scored"])

    def told(key: Hashable) -> str:
        # One digest where a run scores what it is trained on.
        return " on ".join(
            str(digest)[:8] for digest in dict.fromkeys(cast("tuple[str, str]", key))
        )

    return _mixed(material, digests, "datasets (by digest)", told)


def _protocol(run: CheckedRun) -> dict[str, Any]:
    return dict(run.record.key_parts["config"].get("protocol") or {})


def mixed_protocols(material: Material) -> Answer:
    """Find runs that are compared although they were split or scored differently."""
    return _mixed(
        material,
        lambda run: _plain(_protocol(run)),
        "protocols",
        _protocol_text,
    )


def _protocol_text(key: Hashable) -> str:
    node = json.loads(str(key))
    name = str(node.pop("_target_", "")).rpartition(".")[2]
    return " ".join([name, *(f"{key}={value}" for key, value in node.items())])


def _code(run: CheckedRun) -> dict[str, Any]:
    """Return the sources and versions of a run; not those that only its own model brings."""
    return {**run.record.key_parts.get("sources", {})}


def _differences(
    runs: Sequence[CheckedRun], of: Callable[[CheckedRun], dict[str, Any]]
) -> list[str]:
    """Return the names whose values differ among the runs that have them."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, value in of(run).items():
            found.setdefault(name, set()).add(_plain(value))
    return sorted(name for name, values in found.items() if len(values) > 1)


def mixed_code(material: Material) -> Answer:
    """Find runs that are compared although other code or other libraries made them."""
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        files = _differences(group, _code)
        own = _differences(group, lambda run: run.record.key_parts.get("own_code", {}))
        libraries = _differences(group, lambda run: run.record.key_parts.get("versions", {}))
        told = []
        if files:
            told.append(f"sources of the program differ ({listed(files)})")
        if own:
            told.append(f"your own code differs ({listed(own)})")
        for name in libraries:
            values = _values(
                [run for run in group if name in run.record.key_parts["versions"]],
                lambda run, name=name: run.record.key_parts["versions"][name],  # type: ignore[misc]
            )
            told.append(f"{name} differs: {_split_up(values, str)}")
        if told:
            findings.append(Finding(". ".join(told), names_of(group)))
        pythons = _values(group, lambda run: str(run.record.environment.get("python")))
        if len(pythons) > 1:
            message = f"Python differs: {_split_up(pythons, str)}"
            findings.append(Finding(message, names_of(group), Severity.tip))
    return findings


def _cells(run: CheckedRun) -> str:
    """Return a digest of which sentences stand in which cell."""
    columns = ["part", "repeat", "fold", "sentence_id"]
    rows = sorted(zip(*(run.predictions.frame[name].tolist() for name in columns), strict=True))
    return hashlib.sha256(_plain(rows).encode()).hexdigest()


def moving_splits(material: Material) -> Answer:
    """Find runs with the same data and protocol, but other sentences in their cells."""
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        asked = _values(group, lambda run: (_plain(run.record.key_parts["data"]),
                                            _plain(_protocol(run))))  # fmt: skip
        for runs in asked.values():
            values = _values(runs, _cells)
            if len(values) > 1:
                seeds = _values(runs, lambda run: str(run.record.config.get("seed")))
                message = (
                    f"the same data and protocol gave {len(values)} different splits. "
                    f"{_split_up(values, lambda key: f'split {str(key)[:6]}')}."
                )
                if len(seeds) > 1:
                    message += f" Their seeds: {listed([str(seed) for seed in seeds])}"
                findings.append(Finding(message, names_of(runs)))
    return findings


def _by_text(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return names by what is said of them, without those of which nothing is said."""
    found: dict[str, list[str]] = {}
    for text, name in pairs:
        found.setdefault(text, []).append(name)
    return [(text, tuple(names)) for text, names in found.items() if text]


def missing_runs(material: Material) -> Answer:
    """Find runs that a study plans and that are not there, or are of another version of it."""
    study = material.study
    if study is None:
        return NotApplicable("loose runs: no study says which there should be")
    total = len(study.planned)
    findings = [
        Finding(
            f"{len(names)} of {total} runs: {problem}: {listed(names)}. The study's command: "
            f"{study.command}",
            names,
        )
        for problem, names in _by_text((run.problem, run.name) for run in study.planned)
    ]
    findings += [
        Finding(
            f"{len(names)} of {total} stored runs are not what the study would run now "
            f"({outdated}): {listed(names)}",
            names,
            Severity.tip,
        )
        for outdated, names in _by_text((run.outdated, run.name) for run in study.planned)
    ]
    if not total:
        findings.append(Finding("the study plans no run"))
    return findings


def dirty_tree(material: Material) -> Answer:
    """Find runs whose code nobody can look up."""
    if not material.runs:
        return NO_RUNS
    dirty = [run for run in material.runs if run.record.environment.get("dirty")]
    unknown = [run for run in material.runs if run.record.environment.get("commit") is None]
    if len(unknown) == len(material.runs):
        return NotApplicable("the program did not run from a git checkout")
    findings = []
    if dirty:
        message = (
            f"{len(dirty)} of {len(material.runs)} runs were made from a tree with uncommitted "
            f"changes: {listed(names_of(dirty))}"
        )
        findings.append(Finding(message, names_of(dirty)))
    if unknown:
        message = (
            f"of {len(unknown)} of {len(material.runs)} runs no commit is known: "
            f"{listed(names_of(unknown))}"
        )
        findings.append(Finding(message, names_of(unknown), Severity.tip))
    return findings


def different_machines(material: Material) -> Answer:
    """Find runs whose times cannot be compared."""
    if not material.compared:
        return ONE_RUN
    findings = []
    for group in material.compared:
        values = _values(group, lambda run: (str(run.record.environment.get("cpu")),
                                             str(run.record.environment.get("cpus"))))  # fmt: skip
        if len(values) > 1:
            told = _split_up(values, lambda key: " x ".join(cast("tuple[str, str]", key)))
            findings.append(Finding(f"{len(values)} kinds of machines. {told}", names_of(group)))
    return findings


CHECKS = (
    Check(
        "SB001",
        "Compared runs read different data",
        Severity.error,
        "A difference of scores is then a difference of data as much as of models.",
        "Run all of them on one version of the dataset; the digests tell which run has which.",
        mixed_data,
    ),
    Check(
        "SB002",
        "Compared runs use different protocols",
        Severity.error,
        "Other folds, sizes of training sets or scored parts move scores by more than models do. "
        "What a study varies on purpose is compared within each of its values.",
        "Give all of them the same protocol, or make a study that sweeps it.",
        mixed_protocols,
    ),
    Check(
        "SB003",
        "Compared runs were made by different code or libraries",
        Severity.error,
        "A fixed bug or another version of a solver may be the whole difference.",
        "Run what is older again: 'sitrepbench run' computes what the store lacks for the code of "
        "now. 'sitrepbench explain RUN' shows what changed.",
        mixed_code,
    ),
    Check(
        "SB004",
        "The split differs between runs of one protocol",
        Severity.error,
        "Splits that depend on a seed or a model make comparisons unpaired, and the best of "
        "several splits is no score. Splits must depend on the data and the protocol alone.",
        "Draw splits from the protocol's repeats and not from the model's seed; in a protocol of "
        "your own use sitrepbench.seeding.seed_for('split', repeat=...).",
        moving_splits,
    ),
    Check(
        "SB005",
        "Runs of the study are missing",
        Severity.error,
        "Runs that fail or are left out are often the ones that would do badly, and a ranking of "
        "the others is one of survivors.",
        "Run the study to its end, or take the run out of the study and say why.",
        missing_runs,
    ),
    Check(
        "SB006",
        "Runs come from uncommitted code",
        Severity.warning,
        "Nobody, yourself included, can look up later what was run.",
        "Commit, then compute what is to be published once more with resume=never; without it, "
        "the store gives back the runs of the uncommitted tree.",
        dirty_tree,
    ),
    Check(
        "SB007",
        "Times were measured on different machines",
        Severity.tip,
        "Scores can be compared, seconds cannot.",
        "For a comparison of costs, run all of them on one machine.",
        different_machines,
    ),
)  # fmt: skip
