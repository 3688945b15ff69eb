"""The finished runs of a study as entries of its leaderboard; or what is missing, by name."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sitrepbench.comparison.entries import Entry
from sitrepbench.config.combinations import StudyJob, study_jobs
from sitrepbench.config.differences import differences
from sitrepbench.errors import DataError, ProtocolError, SitrepBenchError, StoreError
from sitrepbench.preparing import PreparedRun, prepare
from sitrepbench.reproduction.compare import cause_text
from sitrepbench.reproduction.expectations import Expectations, read_expectations
from sitrepbench.reproduction.facts import run_label
from sitrepbench.reproduction.refits import refitted
from sitrepbench.reproduction.studies import StudyFiles
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.index import IndexRow
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ResultsStore

#: Stands for the reason of a look in a key that is only looked up: nothing is computed here, and
#: the stored run has recorded its own looks.
_ONLY_STORED = "stored runs are read, and nothing is computed"
_SEED = "seed="
#: How many causes are told of a run whose code has changed, and how many runs are listed.
_CAUSES = 2
_LISTED = 12


@dataclass(frozen=True)
class _Candidate:
    """A study's run, as one of the ways in which it may stand in the store."""

    job: StudyJob
    prepared: PreparedRun


def study_entries(
    study: StudyFiles,
    store: ResultsStore,
    *,
    config_dirs: Sequence[Path] = (),
    results_dir: str | None = None,
) -> list[Entry]:
    """Return an entry for every run of a study, in its order.

    A run that a study tunes counts as searched, or with the committed choice fitted again,
    whichever the store has of the present code. Runs that differ in their seed only are entries
    of one name.

    Parameters
    ----------
    study : StudyFiles
        Which.
    store : ResultsStore
        Where its runs lie.
    config_dirs : sequence of Path
        Folders of the user's own groups and studies.
    results_dir : str or None
        How the command in a message names the store; not at all where it is the default.

    Raises
    ------
    StoreError
        When runs are missing, with every one of them, what is known about it, and the command
        that computes them.
    SitrepBenchError
        When the study does not compose, or its data or protocol do not load.
    """
    expectations = read_expectations(study.expected, command=study.reproduce_command("--update"))
    jobs = study_jobs(study.name, config_dirs=config_dirs)
    finished = store.finished()
    entries, missing = [], []
    rows: list[IndexRow] | None = None
    for job in jobs:
        candidates, failure = _candidates(job, expectations, study)
        record = _stored(candidates, store, finished)
        if record is not None:
            entries.append(_entry(job, record))
            continue
        rows = store.rows() if rows is None else rows
        missing.append((job, failure or _cause(candidates, job, store, rows)))
    if missing:
        command = _command(study, results_dir, has_expectations=expectations is not None)
        _refuse(study, results_dir or str(store.folder), len(jobs), missing, command)
    return entries


def _candidates(
    job: StudyJob, expectations: Expectations | None, study: StudyFiles
) -> tuple[list[_Candidate], str]:
    """Return a run as the study has it and with its committed choice; or why it has no key."""
    configs = [job.config]
    expected = None if expectations is None else expectations.run(job.own)
    if expected is not None and expected.settings:
        configs.append(refitted(job.config, expected.settings, tuner_keys=study.tuner_keys()))
    found, failure = [], ""
    for config in configs:
        try:
            found.append(_Candidate(job, prepare(config, reason=_ONLY_STORED)))
        except (DataError, ProtocolError):
            raise  # the same for all runs of the study
        except SitrepBenchError as error:
            failure = f"cannot be prepared: {error}"
    return found, "" if found else failure


def _stored(
    candidates: Sequence[_Candidate], store: ResultsStore, finished: set[str]
) -> RunRecord | None:
    for candidate in candidates:
        if candidate.prepared.key in finished:
            record = store.find(candidate.prepared.key)
            if record is not None:
                return record
    return None


def _entry(job: StudyJob, record: RunRecord) -> Entry:
    own = [text for text in job.own if not text.startswith(_SEED)]
    return Entry(
        name=run_label(own) or record.run_name,
        predictions=record.predictions(),
        kind="run",
        record=record,
        card=None,
    )


def _cause(
    candidates: Sequence[_Candidate], job: StudyJob, store: ResultsStore, rows: Sequence[IndexRow]
) -> str:
    """Say what is known of a run that is not in the store."""
    failed = FailedRuns(store.folder)
    for candidate in candidates:
        note = failed.find(candidate.prepared.key)
        if note is not None:
            return f"failed: {note.kind}: {note.message}"
    names = job.config.names
    kin = [
        row
        for row in rows
        if row.study == (job.config.study or "")
        and (row.model, row.features, row.protocol, row.dataset)
        == (names["model"], names["features"], names["protocol"], _dataset_of(candidates))
    ]
    changes = []
    for row in kin:
        record = store.find(row.key)
        for candidate in candidates if record is not None else ():
            assert record is not None
            found = list(differences(record.key_parts, candidate.prepared.parts))
            changes.append((len(found), row.key, found))
    if not changes:
        return "not in the store"
    count, key, found = min(changes, key=lambda item: (item[0], item[1]))
    causes = "; ".join(cause_text(item) for item in found[:_CAUSES])
    more = f"; and {count - _CAUSES} more" if count > _CAUSES else ""
    return (
        f"stale: the stored run {key[:8]} is not of the present code or settings ({causes}{more})"
    )


def _dataset_of(candidates: Sequence[_Candidate]) -> str:
    return candidates[0].prepared.plan.scored.name if candidates else ""


def _command(study: StudyFiles, results_dir: str | None, *, has_expectations: bool) -> str:
    """Return the command that computes what is missing, and nothing else."""
    if has_expectations:
        words = [] if results_dir is None else ["--results-dir", results_dir]
        return study.reproduce_command(*words)
    given = "" if results_dir is None else f" {shlex.quote(f'results_dir={results_dir}')}"
    return f"{study.run_command()}{given}"


def _refuse(
    study: StudyFiles,
    where: str,
    n_jobs: int,
    missing: Sequence[tuple[StudyJob, str]],
    command: str,
) -> None:
    lines = [f"study {study.name!r}: {len(missing)} of {n_jobs} runs are not in {where}:"]
    lines += [f"  {run_label(job.own) or study.name}: {why}" for job, why in missing[:_LISTED]]
    if len(missing) > _LISTED:
        lines.append(f"  ... and {len(missing) - _LISTED} more")
    lines.append(f"A leaderboard needs them all. This computes what is missing: {command}")
    raise StoreError("\n".join(lines))
