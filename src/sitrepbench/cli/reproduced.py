"""What the runs of a reproduced study came to: compared, told, and written as expectations."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.text import Text

from sitrepbench.config.combinations import StudyJob
from sitrepbench.report.published import print_published
from sitrepbench.report.reproduction import comparison_dict, print_comparisons
from sitrepbench.reproduction.compare import Comparison, compare_run
from sitrepbench.reproduction.expectations import Expectations, write_expectations
from sitrepbench.reproduction.facts import RunFacts, facts_of, run_label, with_tuner_of
from sitrepbench.reproduction.published import (
    PublishedComparison,
    beside_published,
    read_published,
)
from sitrepbench.reproduction.refits import Search
from sitrepbench.reproduction.studies import StudyFiles
from sitrepbench.resources import resource_folder
from sitrepbench.store.looks import now

if TYPE_CHECKING:
    from sitrepbench.report.study_runs import StudyRun
    from sitrepbench.store.record import RunRecord


@dataclass(frozen=True)
class Reproduced:
    """One run of a study, and what became of it.

    Parameters
    ----------
    job : StudyJob
        What was asked for.
    record : RunRecord or None
        None where it failed or was not run.
    error : str
        Why it failed.
    not_run : bool
        Whether nobody came to run it.
    """

    job: StudyJob
    record: RunRecord | None
    error: str = ""
    not_run: bool = False


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Parameters
    ----------
    retune : bool
        To repeat the searches.
    update : bool
        To write what comes out as what is expected.
    quiet : bool
        To print JSON only.
    whole : bool
        Whether it is about all runs of the study: it gives no values of its own for what the
        study sweeps.
    """

    retune: bool
    update: bool
    quiet: bool
    whole: bool

    @classmethod
    def of(cls, parsed: argparse.Namespace, expectations: Expectations) -> Self:
        """Return what a parsed command line asks for."""
        whole = not any(_swept(text, expectations) for text in parsed.overrides)
        return cls(bool(parsed.retune), bool(parsed.update), bool(parsed.json), whole)


class Outcome:
    """What the runs came to: compared, told, and with ``--update`` written.

    Parameters
    ----------
    study : StudyFiles
        Whose.
    expectations : Expectations
        What was expected; of no runs where nothing was.
    asked : Asked
        What the command line asks for.
    console : Console
        Where people read.
    searches : mapping
        Of the runs with committed choices, by their own overrides: what they would search now.
    """

    def __init__(
        self,
        study: StudyFiles,
        expectations: Expectations,
        asked: Asked,
        console: Console,
        searches: Mapping[frozenset[str], Search],
    ) -> None:
        self._study = study
        self._expectations = expectations
        self._asked = asked
        self._searches = searches
        self._console = console
        self._interrupted = False
        self._published = read_published(study.published)
        self.comparisons: list[Comparison] = []
        self.beside: PublishedComparison | None = None
        self.written = False

    @property
    def good(self) -> bool:
        """Whether what was asked for is done: all is as expected, or is what is expected now."""
        if self._asked.update:
            return self.written
        return self._passed

    @property
    def _passed(self) -> bool:
        near = self.beside is None or self.beside.passed
        return near and bool(self.comparisons) and all(item.passed for item in self.comparisons)

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "study": self._study.name,
            "passed": self._passed,
            "expected": str(self._study.expected),
            "written": self.written,
            "interrupted": self._interrupted,
            "runs": [comparison_dict(item) for item in self.comparisons],
            "published": None if self.beside is None else self.beside.plain(),
        }

    def tell(self, found: Sequence[Reproduced], *, interrupted: bool = False) -> None:
        """Compare and print; write where that was asked for."""
        self._interrupted = interrupted
        facts = [
            None if item.record is None else facts_of(item.record, item.job.own) for item in found
        ]
        self.comparisons = [
            self._compared(item, one) for item, one in zip(found, facts, strict=True)
        ]
        if self._asked.whole:
            self.comparisons += self._gone(found)
        is_first = self._asked.update and not self._expectations.runs
        if not self._asked.quiet and not is_first:
            print_comparisons(
                self.comparisons,
                console=self._console,
                interrupted=interrupted,
                of=None if self._asked.whole else len(self._expectations.runs),
            )
        if self._published is not None:
            self.beside = beside_published(
                self._published,
                [
                    (run_label(item.job.own) or self._study.name, item.job.own, one)
                    for item, one in zip(found, facts, strict=True)
                ],
            )
            # Where no run came to a score, what is wrong stands above.
            if not self._asked.quiet and self.beside.mean is not None:
                print_published(self.beside, console=self._console)
        if self._asked.update:
            self._write(found, facts)

    def _compared(self, item: Reproduced, facts: RunFacts | None) -> Comparison:
        expected = self._expectations.run(item.job.own)
        if facts is None:
            known = expected or _nameless(item.job)
            return Comparison(known, None, error=item.error, not_run=item.not_run)
        if expected is None:
            return Comparison(
                None,
                facts,
                error=f"{self._study.expected.name} has no such run; the study was changed since",
            )
        search = self._searches.get(frozenset(item.job.own))
        if search is None:
            return compare_run(expected, facts, searched=True)
        if search.error:
            told = f"its search cannot be prepared: {search.error}"
            return Comparison(expected, facts, error=told)
        return compare_run(expected, facts, searched=False, search=search.part)

    def _gone(self, found: Sequence[Reproduced]) -> list[Comparison]:
        asked = {frozenset(item.job.own) for item in found}
        return [
            Comparison(run, None, error="the study has no such run any more")
            for run in self._expectations.runs
            if frozenset(run.overrides) not in asked
        ]

    def _write(self, found: Sequence[Reproduced], facts: Sequence[RunFacts | None]) -> None:
        lacking = [item for item in found if item.record is None or self._unsearchable(item)]
        if lacking:
            names = ", ".join(run_label(item.job.own) or "the run" for item in lacking)
            how = "did not run" if all(item.not_run for item in lacking) else "failed"
            told = f"Nothing was written: {names} {how}."
            self._console.print(Text(told), soft_wrap=True)
            return
        # matplotlib takes half a second to import, and only an update draws.
        from sitrepbench.report.study import write_leaderboard, write_study_report

        runs = tuple(self._kept(one) for one in facts if one is not None)
        drawn = [
            _study_run(one, item)
            for one, item in zip(runs, found, strict=True)
            if item.record is not None
        ]
        # Prepared before: expectations that are not committed yet would lock the test splits.
        write_expectations(
            Expectations(self._study.name, self._study.run_command(), now(), runs),
            self._study.expected,
        )
        written = write_study_report(self._study, drawn, beside=self.beside)
        written += write_leaderboard(
            self._study, drawn, resource_folder("experiments").parent / "README.md"
        )
        self.written = True
        for path in (self._study.expected, *written):
            self._console.print(Text(f"Wrote {_shown(path)}"), soft_wrap=True)

    def _unsearchable(self, item: Reproduced) -> bool:
        search = self._searches.get(frozenset(item.job.own))
        return search is not None and bool(search.error)

    def _kept(self, facts: RunFacts) -> RunFacts:
        """Return facts with the committed search, where the committed choice was refitted."""
        expected = self._expectations.run(facts.overrides)
        if self._asked.retune or expected is None or not expected.settings:
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
    from sitrepbench.preparing import prepare
    from sitrepbench.report.study_runs import StudyRun

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
