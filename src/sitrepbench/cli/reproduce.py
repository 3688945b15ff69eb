"""``sitrepbench reproduce``: a study run again, and every number against its committed one."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sitrepbench.cli.reproduced import Asked, Outcome, Reproduced
from sitrepbench.config.combinations import StudyJob, study_jobs
from sitrepbench.config.schema import Resume
from sitrepbench.config.targets import TARGET
from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.reproduction.compare import cause_text, search_changes
from sitrepbench.reproduction.expectations import Expectations, read_expectations
from sitrepbench.reproduction.facts import TUNER, run_label
from sitrepbench.reproduction.refits import Search, hydra_value, refitted, search_of
from sitrepbench.reproduction.studies import StudyFiles, find_study
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.planning import Planner, SweepRun

DONE, FAILED = 0, 1
#: What an update may be given: it decides no result.
_DECIDES_NOTHING = re.compile(r"[+~]*(executor|tracking|results_dir|resume)\b")


def reproduce_command(parsed: argparse.Namespace) -> int:
    """Reproduce a study and return the exit code: 0 only if every number is as expected.

    Raises
    ------
    SitrepBenchError
        When there is no such study, it has no expectations, or it does not compose; and when an
        update would keep choices of a search that is another one by now.
    """
    config_dirs = [Path(parsed.config_dir)] if parsed.config_dir else []
    study = find_study(parsed.study, config_dirs)
    expectations, warning = _expectations(study, update=bool(parsed.update))
    if parsed.update:
        _check_update(parsed.overrides)
    overrides = [*parsed.overrides, *_results_dir(parsed)]
    jobs = study_jobs(study.name, overrides=overrides, config_dirs=config_dirs)
    known = Expectations(study.name, "", "", ()) if expectations is None else expectations
    asked = Asked.of(parsed, known)
    if not asked.whole:
        _check_listed(jobs, known, study_jobs(study.name, config_dirs=config_dirs))
    if warning:
        _check_lost(jobs, study, warning, retune=asked.retune)
        Console(stderr=True).print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)
    searches: dict[frozenset[str], Search] = {}
    if not asked.retune:
        jobs, searches = _refitted(jobs, known, study)
    if asked.update:
        _check_searches(searches, known, study)
    _check_data(jobs)
    console = Console(stderr=bool(parsed.json))
    outcome = Outcome(study, known, asked, console, searches)
    code = _run(jobs, outcome, _words(parsed), console, parsed.config_dir)
    if parsed.json:
        print(json.dumps(outcome.plain(), indent=1, ensure_ascii=False))
    if code not in (DONE, FAILED):
        return code
    return DONE if outcome.good else FAILED


def _check_data(jobs: Sequence[StudyJob]) -> None:
    """Tell once, before anything runs, that files which the user has to bring were not named."""
    for job in jobs[:1]:
        if job.config.tree["dataset"].get("path", "") is None:
            job.config.build("dataset")


def _expectations(study: StudyFiles, *, update: bool) -> tuple[Expectations | None, str]:
    """Return what is committed, and for an update what is wrong with it instead of an error."""
    anew = study.reproduce_command("--update")
    try:
        expectations = read_expectations(study.expected, command=anew)
    except ConfigError as error:
        if not update:
            raise
        return None, str(error)
    if expectations is None and not update:
        raise ConfigError(
            f"study {study.name!r} has no expectations yet: {study.expected} is not there. Write "
            f"them with: {anew}"
        )
    return expectations, ""


def _check_listed(
    jobs: Sequence[StudyJob], expectations: Expectations, all_jobs: Sequence[StudyJob]
) -> None:
    """Refuse a part of a study that is none of it."""
    listed = {frozenset(job.own) for job in all_jobs}
    strange = [
        run_label(job.own)
        for job in jobs
        if frozenset(job.own) not in listed and expectations.run(job.own) is None
    ]
    if strange:
        raise ConfigError(
            f"{', '.join(strange)}: the study does not list that. It lists: "
            f"{', '.join(run_label(job.own) for job in all_jobs)}. To run another one by itself, "
            f"which is compared with nothing: sitrepbench run experiments=NAME study=NAME_OF_YOURS "
            "KEY=VALUE, with unlock.reason='...' where it reads a test split"
        )


def _check_lost(jobs: Sequence[StudyJob], study: StudyFiles, warning: str, *, retune: bool) -> None:
    """Refuse to write over choices that cannot be read, unless they are to be searched anew."""
    if not retune and any(job.config.tree[TUNER].get(TARGET) is not None for job in jobs):
        raise ConfigError(
            f"{warning}\nThe study tunes, and the choices in that file cannot be read. To search "
            f"anew: {study.reproduce_command('--update', '--retune')}"
        )


def _refitted(
    jobs: Sequence[StudyJob], expectations: Expectations, study: StudyFiles
) -> tuple[list[StudyJob], dict[frozenset[str], Search]]:
    """Return jobs with the committed choices, and what each of those would search now."""
    refits, searches = [], {}
    keys = study.tuner_keys()
    for job in jobs:
        expected = expectations.run(job.own)
        settings = expected.settings if expected is not None else None
        if settings:
            searches[frozenset(job.own)] = search_of(job.config)
            job = replace(job, config=refitted(job.config, settings, tuner_keys=keys))
        refits.append(job)
    return refits, searches


def _check_searches(
    searches: Mapping[frozenset[str], Search], expectations: Expectations, study: StudyFiles
) -> None:
    """Refuse to keep a choice that another search has made than the study has now."""
    changed = []
    for own, search in searches.items():
        expected = expectations.run(tuple(own))
        if expected is not None and not search.error:
            told = [cause_text(item) for item in search_changes(expected, search.part)]
            changed += [f"{expected.name}: {text}" for text in told]
    if changed:
        lines = "\n".join(changed)
        raise ConfigError(
            f"{lines}\nThe committed choices come from another search than the study has now. To "
            f"search anew: {study.reproduce_command('--update', '--retune')}"
        )


def _words(parsed: argparse.Namespace) -> list[str]:
    options = [f"--{name}" for name in ("retune", "update", "json") if getattr(parsed, name)]
    if parsed.results_dir != "results":
        options += ["--results-dir", parsed.results_dir]
    if parsed.config_dir:
        options += ["--config-dir", parsed.config_dir]
    return [parsed.study, *options, *parsed.overrides]


def _results_dir(parsed: argparse.Namespace) -> list[str]:
    given = [text for text in parsed.overrides if text.lstrip("+").startswith("results_dir=")]
    if parsed.results_dir == "results" or given:
        return []
    return [f"results_dir={hydra_value(parsed.results_dir)}"]


def _check_update(overrides: Sequence[str]) -> None:
    deciding = [text for text in overrides if not _DECIDES_NOTHING.match(text)]
    if deciding:
        raise ConfigError(
            f"{', '.join(deciding)}: expectations are those of the whole study as it stands; "
            "--update takes executor=..., tracking=..., results_dir=... and resume=... only"
        )


def _run(
    jobs: Sequence[StudyJob],
    outcome: Outcome,
    words: list[str],
    console: Console,
    config_dir: str | None,
) -> int:
    """Bring the runs to their end and tell the outcome; return the sweep's exit code."""
    planner = Planner()
    planned = [planner.prepare(job.config) for job in jobs]
    store = ResultsStore(jobs[0].config.results_dir)
    if _all_there(planned, jobs, store):
        _record_looks(planned, store)
        count = f"{len(jobs)} run{'' if len(jobs) == 1 else 's'}"
        Console(stderr=True).print(Text(f"{count}: all in the store, 0 to compute"))
        found = [
            Reproduced(job, store.find(run.key)) for job, run in zip(jobs, planned, strict=True)
        ]
        if all(item.record is not None for item in found):
            outcome.tell(found)
            return DONE
    # Mlflow and the executors are imported only where something is computed.
    from sitrepbench.cli.sweep import SweepCommand

    def tell(runs: Sequence[SweepRun]) -> None:
        found = [_reproduced(job, run, store) for job, run in zip(jobs, runs, strict=True)]
        outcome.tell(found, interrupted=command.interrupted)

    with SweepCommand(words, expanded=True, verb="reproduce", config_dir=config_dir) as command:
        command.launch([job.config for job in jobs])
        return command.report(tell, console=console)


def _all_there(planned: Sequence[SweepRun], jobs: Sequence[StudyJob], store: ResultsStore) -> bool:
    if any(job.config.resume is Resume.never for job in jobs):
        return False
    if any(run.failure is not None for run in planned):
        return False
    finished = store.finished()
    return all(run.key in finished for run in planned)


def _record_looks(planned: Sequence[SweepRun], store: ResultsStore) -> None:
    from sitrepbench.runs import record_looks

    for run in planned:
        if run.prepared is not None:
            record_looks(run.prepared, store)


def _reproduced(job: StudyJob, run: SweepRun, store: ResultsStore) -> Reproduced:
    if run.failure is not None:
        return Reproduced(job, None, f"{run.failure.kind}: {run.failure.message}")
    if run.state not in (State.done, State.cached):
        return Reproduced(job, None, not_run=True)
    try:
        record = store.find(run.key)
    except StoreError as error:
        return Reproduced(job, None, str(error))
    return Reproduced(job, record, "" if record else "its record is damaged; run it again")
