"""Bringing together what the checks look at: from a study's file, the store and its ledgers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sitrepbench.checks.material import (
    CheckedRun,
    CheckedStudy,
    Material,
    PlannedRun,
    listed,
    search_in,
)
from sitrepbench.config.combinations import StudyJob, committed_studies, study_jobs
from sitrepbench.config.differences import differences
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.schema import GROUPS
from sitrepbench.errors import ConfigError, SitrepBenchError, StoreError, did_you_mean
from sitrepbench.predictions import PredictionsTable
from sitrepbench.preparing import PreparedRun, prepare
from sitrepbench.protocols.cells import Plan
from sitrepbench.reproduction.compare import cause_text
from sitrepbench.reproduction.expectations import Expectations, read_expectations
from sitrepbench.reproduction.facts import RunFacts, run_label
from sitrepbench.reproduction.refits import refitted
from sitrepbench.reproduction.studies import StudyFiles, find_study
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.looks import LookLedger
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import DAMAGED_FOLDER, ResultsStore
from sitrepbench.sweep.ledger import ledgers
from sitrepbench.wording import one_line

#: What a study varies on purpose, so that runs are compared within each of its values.
_SETTINGS = frozenset({"protocol", "dataset", "tuner"})
#: Nothing is scored: the rows of a plan are looked at, not what a model makes of them.
_REASON = "checking"
_CAUSES = 3
_CAUSE_CELLS = 160


def gather(
    targets: Sequence[str],
    store: ResultsStore,
    *,
    config_dirs: Sequence[Path] = (),
    similarity: float = 0.6,
) -> Material:
    """Return what is to be checked: a study, or runs.

    Parameters
    ----------
    targets : sequence of str
        One study's name; or content keys, their beginnings, or run names.
    store : ResultsStore
        Where the runs lie.
    config_dirs : sequence of Path
        Folders of the user's own groups and studies.
    similarity : float
        See `Material`.

    Raises
    ------
    SitrepBenchError
        When a target is neither, or a record or a ledger cannot be read; with all that is wrong.
    """
    looks = tuple(LookLedger(store.folder).read())
    studies = _studies(config_dirs)
    named = [name for name in targets if name in studies]
    if named and len(targets) > 1:
        raise ConfigError(
            f"{', '.join(named)}: a study is checked by itself; give one study, or runs only"
        )
    if named:
        runs, study = _of_study(named[0], store, config_dirs)
        return Material(tuple(runs), looks, study, similarity)
    return Material(tuple(_of_runs(targets, store, studies)), looks, None, similarity)


def _studies(config_dirs: Sequence[Path]) -> set[str]:
    own = {file.stem for folder in config_dirs for file in (folder / "experiments").glob("*.yaml")}
    return own | set(committed_studies())


def _of_runs(targets: Sequence[str], store: ResultsStore, studies: set[str]) -> list[CheckedRun]:
    """Return runs by name; or all that were run under the name of a study that has no file."""
    rows = store.rows()
    problems, records = [], []
    for target in dict.fromkeys(targets):
        keys = [row.key for row in rows if row.study == target] if len(targets) == 1 else []
        try:
            if keys:
                records += [record for key in keys if (record := store.find(key)) is not None]
            else:
                records.append(store.resolve(target))
        except StoreError as error:
            near = did_you_mean(target, studies) if len(targets) == 1 else ""
            problems.append(f"{error}{near and ' Or a study?' + near}")
    if problems:
        raise StoreError("\n".join(problems))
    unique = {record.key: record for record in records}
    names = _distinct([record.run_name for record in unique.values()], list(unique))
    return [
        _checked(record, name, plan=_plan_of(record))
        for record, name in zip(unique.values(), names, strict=True)
    ]


def _distinct(names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return names, with the key's beginning where one stands for several runs."""
    return [
        name if names.count(name) == 1 else f"{name} ({key[:6]})"
        for name, key in zip(names, keys, strict=True)
    ]


def _predictions(record: RunRecord) -> PredictionsTable:
    try:
        return record.predictions()
    except SitrepBenchError as error:
        raise StoreError(f"run {record.key}: {error}") from error


def _checked(record: RunRecord, name: str, *, plan: Plan | str) -> CheckedRun:
    predictions = _predictions(record)
    if isinstance(plan, Plan):
        plan = _same_rows(plan, predictions)
    return CheckedRun(
        name,
        record,
        predictions,
        search=search_in(record.key_parts),
        chosen=[cell["settings"] for cell in record.tuning.get("chosen", ())],
        plan=plan if isinstance(plan, Plan) else None,
        no_plan=plan if isinstance(plan, str) else "",
    )


def _same_rows(plan: Plan, predictions: PredictionsTable) -> Plan | str:
    """Return the plan, or that it is not what the run has scored."""
    frame = predictions.frame
    scored = frame.groupby(["part", "repeat", "fold"])["sentence_id"].agg(frozenset).to_dict()
    ids = plan.scored.frame["sentence_id"].to_numpy()
    planned = {(c.part, c.repeat, c.fold): frozenset(ids[c.test].tolist()) for c in plan.cells}
    if planned != scored:
        return "the protocol splits otherwise than when the run was made"
    return plan


def config_of(record: RunRecord) -> RunConfig:
    """Return the configuration that a record tells, as it was checked then."""
    names = {group: str(record.names.get(group)) for group in GROUPS}
    return RunConfig(dict(record.config), names, tuple(record.overrides))


def prepared_of(record: RunRecord) -> PreparedRun | str:
    """Return a recorded run as it would be prepared now, or why it cannot be."""
    try:
        return prepare(config_of(record), reason=_REASON)
    except SitrepBenchError as error:
        return one_line(f"its configuration cannot be rebuilt: {error}", _CAUSE_CELLS)
    except KeyError as error:
        return f"it was recorded by another version of sitrepbench, without {error}"


def _plan_of(record: RunRecord) -> Plan | str:
    prepared = prepared_of(record)
    if isinstance(prepared, str):
        return prepared
    if prepared.parts["data"] != record.key_parts["data"]:
        return "the data are not what the run read"
    return prepared.plan


@dataclass(frozen=True)
class _Candidate:
    """A run of a study as it would be prepared now: with a committed choice, or with its search."""

    prepared: PreparedRun
    expected: RunFacts | None


def _of_study(
    name: str, store: ResultsStore, config_dirs: Sequence[Path]
) -> tuple[list[CheckedRun], CheckedStudy]:
    files = find_study(name, config_dirs)
    expectations = read_expectations(files.expected, command=files.reproduce_command("--update"))
    jobs = study_jobs(name, config_dirs=config_dirs)
    older = _older_records(name, store)
    runs, planned = [], []
    for job in jobs:
        label = run_label(job.own) or job.config.short_name("model")
        candidates, error = _candidates(job, expectations, files)
        run, told = _found(job, label, candidates, error, store, older)
        planned.append(told)
        if run is not None:
            runs.append(run)
    return runs, CheckedStudy(name, tuple(planned), files.run_command())


def _candidates(
    job: StudyJob, expectations: Expectations | None, files: StudyFiles
) -> tuple[list[_Candidate], str]:
    expected = expectations.run(job.own) if expectations is not None else None
    configs: list[tuple[RunConfig, RunFacts | None]] = [(job.config, None)]
    if expected is not None and expected.settings:
        refit = refitted(job.config, expected.settings, tuner_keys=files.tuner_keys())
        configs.append((refit, expected))
    found, problem = [], ""
    for config, facts in configs:
        try:
            found.append(_Candidate(prepare(config, reason=_REASON), facts))
        except SitrepBenchError as error:
            problem = one_line(f"{type(error).__name__}: {error}", _CAUSE_CELLS)
    return found, problem


def _found(
    job: StudyJob,
    label: str,
    candidates: Sequence[_Candidate],
    error: str,
    store: ResultsStore,
    older: Sequence[RunRecord],
) -> tuple[CheckedRun | None, PlannedRun]:
    """Return a run of a study as the store has it now, else as an older version made it."""
    problem = error or "it was never run"
    for candidate in candidates:
        key = candidate.prepared.key
        try:
            record = store.find(key)
        except StoreError as unread:
            problem = one_line(str(unread), _CAUSE_CELLS)
            continue
        if record is not None:
            run = _checked(record, label, plan=candidate.prepared.plan)
            return _in_study(run, job, candidate.expected), PlannedRun(label)
        if any((store.folder / DAMAGED_FOLDER).glob(f"{key}-*")):
            problem = f"its record was damaged and is set aside in {DAMAGED_FOLDER}/"
        failed = FailedRuns(store.folder).find(key)
        if failed is not None:
            problem = one_line(f"it failed: {failed.kind}: {failed.message}", _CAUSE_CELLS)
    wanted = set(job.own)
    for record in older:
        if wanted <= set(record.overrides) and record.config.get("model") is not None:
            told = _changes(record.key_parts, [c.prepared.parts for c in candidates]) or error
            run = _checked(record, label, plan=_plan_of(record))
            return _in_study(run, job, None), PlannedRun(label, outdated=told)
    return None, PlannedRun(label, problem)


def _in_study(run: CheckedRun, job: StudyJob, expected: RunFacts | None) -> CheckedRun:
    setting = tuple(
        text
        for text in job.own
        if text.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0] in _SETTINGS
    )
    run = replace(run, setting=setting)
    if expected is None or run.search is not None:
        return run
    # A refit of the committed choice: the search that it came from is in the expectations.
    search = search_in(expected.key_parts)
    return replace(run, search=search, chosen=list(expected.chosen.values()))


def _changes(stored: Mapping[str, Any], now: Sequence[Mapping[str, Any]]) -> str:
    told = [[cause_text(item) for item in differences(stored, parts)] for parts in now]
    fewest = min(told, key=len, default=[])
    return one_line(listed(fewest, _CAUSES), _CAUSE_CELLS)


def _older_records(study: str, store: ResultsStore) -> list[RunRecord]:
    """Return all stored runs of a study, newest first: first run for it, or planned by a sweep."""
    planned: set[str] = set()
    for ledger in ledgers(store.folder):
        try:
            plan = ledger.plan()
        except StoreError as error:
            store.unread.append(str(error))
            continue
        if plan.study == study:
            planned.update(run.key for run in plan.runs)
    records = []
    for row in store.rows():
        if row.study == study or row.key in planned:
            try:
                record = store.find(row.key)
            except StoreError:
                continue  # of another version of the program; its run counts as missing
            if record is not None:
                records.append(record)
    return records
