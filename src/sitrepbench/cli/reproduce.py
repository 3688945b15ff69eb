"""``sitrepbench reproduce``: a study run again, and every number against its committed one."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from sitrepbench.config.combinations import StudyJob, study_jobs
from sitrepbench.config.schema import Resume
from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.report.reproduction import comparison_dict, print_comparisons
from sitrepbench.reproduction.compare import Comparison, compare_run
from sitrepbench.reproduction.expectations import (
    Expectations,
    read_expectations,
    write_expectations,
)
from sitrepbench.reproduction.facts import RunFacts, facts_of, run_label, with_tuner_of
from sitrepbench.reproduction.studies import StudyFiles, find_study
from sitrepbench.resources import resource_folder
from sitrepbench.store.looks import now
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.planning import Planner, SweepRun

if TYPE_CHECKING:
    from sitrepbench.report.study_runs import StudyRun
    from sitrepbench.store.record import RunRecord

DONE, FAILED = 0, 1
#: What an update may be given: it decides no result.
_DECIDES_NOTHING = re.compile(r"[+~]*(executor|tracking|results_dir|resume)\b")
#: Words that Hydra's grammar takes as they stand.
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_NO_TEXT = frozenset({"true", "false", "null", "nan", "inf"})


@dataclass(frozen=True)
class Reproduced:
    """One run of a study, and what became of it.

    Parameters
    ----------
    job : StudyJob
        What was asked for.
    record : RunRecord or None
        None where it failed.
    error : str
        Why it failed.
    """

    job: StudyJob
    record: RunRecord | None
    error: str = ""


def reproduce_command(parsed: argparse.Namespace) -> int:
    """Reproduce a study and return the exit code: 0 only if every number is as expected.

    Raises
    ------
    SitrepBenchError
        When there is no such study, it has no expectations, or it does not compose.
    """
    config_dirs = [Path(parsed.config_dir)] if parsed.config_dir else []
    study = find_study(parsed.study, config_dirs)
    expectations = read_expectations(study.expected)
    if expectations is None and not parsed.update:
        raise ConfigError(
            f"study {study.name!r} has no expectations yet: {study.expected} is not there. Write "
            f"them with: sitrepbench reproduce {study.name} --update"
        )
    overrides = [*parsed.overrides, *_results_dir(parsed)]
    if parsed.update:
        _check_update(parsed.overrides)
    jobs = study_jobs(
        study.name,
        overrides=overrides,
        config_dirs=config_dirs,
        added=_refits(None if parsed.retune else expectations, study.tuner_keys()),
    )
    console = Console(stderr=bool(parsed.json))
    known = Expectations(study.name, "", "", ()) if expectations is None else expectations
    outcome = _Outcome(study, known, parsed, console)
    code = _run(jobs, outcome, _words(parsed), console)
    if parsed.json:
        print(json.dumps(outcome.plain(), indent=1, ensure_ascii=False))
    if code not in (DONE, FAILED):
        return code
    return DONE if outcome.good else FAILED


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


def _refits(
    expectations: Expectations | None, tuner_keys: Sequence[str]
) -> Callable[[tuple[str, ...]], list[str]]:
    """Return what sets a run's committed choice, so that it is refitted and not searched.

    What the study itself says about its search, ``tuner_keys``, is taken away.
    """

    def added(own: tuple[str, ...]) -> list[str]:
        expected = expectations.run(own) if expectations is not None else None
        settings = expected.settings if expected is not None else None
        if not settings:
            return []
        away = [f"~tuner.{key}" for key in tuner_keys]
        return ["tuner=given", *away, f"++tuner.settings={hydra_value(settings)}"]

    return added


def hydra_value(value: Any) -> str:
    """Return a plain value in Hydra's grammar.

    >>> hydra_value({"C": 0.1, "parts.svm.model.dual": None, "kind": "l 1", "range": [1, 2]})
    "{C: 0.1, parts.svm.model.dual: null, kind: 'l 1', range: [1, 2]}"
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {hydra_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(hydra_value, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if _PLAIN_WORD.fullmatch(value) and value.lower() not in _NO_TEXT:
            return value
        # A backslash counts only before a quote, and doubled before the closing one.
        escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
        escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
        return f"'{escaped}'"
    return repr(value)


def _run(jobs: Sequence[StudyJob], outcome: _Outcome, words: list[str], console: Console) -> int:
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
        outcome.tell([_reproduced(job, run, store) for job, run in zip(jobs, runs, strict=True)])

    with SweepCommand(words, expanded=True, verb="reproduce") as command:
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
        return Reproduced(job, None, "it was not run")
    try:
        record = store.find(run.key)
    except StoreError as error:
        return Reproduced(job, None, str(error))
    return Reproduced(job, record, "" if record else "its record is damaged; run it again")


class _Outcome:
    """What the runs came to: compared, told, and with ``--update`` written.

    Parameters
    ----------
    study : StudyFiles
        Whose.
    expectations : Expectations
        What was expected; of no runs where nothing was.
    parsed : Namespace
        The command line.
    console : Console
        Where people read.
    """

    def __init__(
        self,
        study: StudyFiles,
        expectations: Expectations,
        parsed: argparse.Namespace,
        console: Console,
    ) -> None:
        self._study = study
        self._expectations = expectations
        self._retune, self._update = bool(parsed.retune), bool(parsed.update)
        # With its own values for what the study sweeps, a command asks for a part of the study.
        self._whole = not any(_swept(text, expectations) for text in parsed.overrides)
        self._quiet = bool(parsed.json)
        self._console = console
        self.comparisons: list[Comparison] = []
        self.written = False

    @property
    def good(self) -> bool:
        """Whether what was asked for is done: all is as expected, or is what is expected now."""
        if self._update:
            return self.written
        return bool(self.comparisons) and all(item.passed for item in self.comparisons)

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "study": self._study.name,
            "passed": bool(self.comparisons) and all(item.passed for item in self.comparisons),
            "expected": str(self._study.expected),
            "written": self.written,
            "runs": [comparison_dict(item) for item in self.comparisons],
        }

    def tell(self, found: Sequence[Reproduced]) -> None:
        """Compare and print; write where that was asked for."""
        facts = [
            None if item.record is None else facts_of(item.record, item.job.own) for item in found
        ]
        self.comparisons = [
            self._compared(item, one) for item, one in zip(found, facts, strict=True)
        ]
        if self._whole:
            self.comparisons += self._gone(found)
        is_first = self._update and not self._expectations.runs
        if not self._quiet and not is_first:
            print_comparisons(self.comparisons, console=self._console)
        if self._update:
            self._write(found, facts)

    def _compared(self, item: Reproduced, facts: RunFacts | None) -> Comparison:
        expected = self._expectations.run(item.job.own)
        if facts is None:
            return Comparison(expected or _nameless(item.job), None, error=item.error)
        if expected is None:
            return Comparison(
                None,
                facts,
                error=f"{self._study.expected.name} has no such run; the study was changed since",
            )
        searched = self._retune or not expected.settings
        return compare_run(expected, facts, searched=searched)

    def _gone(self, found: Sequence[Reproduced]) -> list[Comparison]:
        asked = {frozenset(item.job.own) for item in found}
        return [
            Comparison(run, None, error="the study has no such run any more")
            for run in self._expectations.runs
            if frozenset(run.overrides) not in asked
        ]

    def _write(self, found: Sequence[Reproduced], facts: Sequence[RunFacts | None]) -> None:
        failed = [item for item in found if item.record is None]
        if failed:
            names = ", ".join(run_label(item.job.own) or "the run" for item in failed)
            self._console.print(Text(f"Nothing was written: {names} failed."), soft_wrap=True)
            return
        # matplotlib takes half a second to import, and only an update draws.
        from sitrepbench.report.study import write_leaderboard, write_study_report

        runs = tuple(self._kept(one) for one in facts if one is not None)
        command = shlex.join(["sitrepbench", "run", f"experiments={self._study.name}"])
        drawn = [
            _study_run(one, item)
            for one, item in zip(runs, found, strict=True)
            if item.record is not None
        ]
        # Prepared before: expectations that are not committed yet would lock the test splits.
        write_expectations(
            Expectations(self._study.name, self._study.command or command, now(), runs),
            self._study.expected,
        )
        written = write_study_report(self._study, drawn)
        written += write_leaderboard(
            self._study, drawn, resource_folder("experiments").parent / "README.md"
        )
        self.written = True
        for path in (self._study.expected, *written):
            self._console.print(Text(f"Wrote {_shown(path)}"), soft_wrap=True)

    def _kept(self, facts: RunFacts) -> RunFacts:
        """Return facts with the committed search, where the committed choice was refitted."""
        expected = self._expectations.run(facts.overrides)
        if self._retune or expected is None or not expected.settings:
            return facts
        return with_tuner_of(facts, expected)


def _swept(text: str, expectations: Expectations) -> bool:
    key = text.lstrip("+~").partition("=")[0]
    return any(own.partition("=")[0] == key for run in expectations.runs for own in run.overrides)


def _nameless(job: StudyJob) -> RunFacts:
    """Return what stands for a run of which nothing is known but what it was asked for."""
    name = run_label(job.own) or str(job.config.names["model"])
    return RunFacts(name, job.own, {}, {}, {}, True, "", {}, {})


def _study_run(facts: RunFacts, item: Reproduced) -> StudyRun:
    """Return a run for the report, with what its plan says of its training."""
    from sitrepbench.report.study_runs import StudyRun
    from sitrepbench.runs import prepare

    assert item.record is not None
    plan = prepare(item.job.config).plan
    protocol = item.job.config.build("protocol")
    held_out = protocol.held_out(plan.training) if hasattr(protocol, "held_out") else ()
    documents = plan.training.frame["document_id"].to_numpy()
    counts = [len(set(documents[cell.train])) for cell in plan.cells]
    return StudyRun(
        facts,
        item.record,
        item.job.config.names,
        held_out=tuple(held_out),
        training_documents=sum(counts) / len(counts),
        control=bool(item.job.config.tree["protocol"].get("control")),
    )


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
