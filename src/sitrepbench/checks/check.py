"""What a check is, what it may find, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sitrepbench.checks.material import Material


class Severity(StrEnum):
    """How bad it is where a check finds something."""

    error = "error"
    warning = "warning"
    tip = "tip"


class Status(StrEnum):
    """What came of a check; errors and warnings are issues."""

    issue = "issue"
    tip = "tip"
    passed = "passed"
    not_applicable = "not applicable"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Parameters
    ----------
    message : str
        What was found and where, with numbers.
    runs : tuple of str
        The names of the runs that it is about.
    severity : Severity or None
        Where it is milder than the check's own.
    """

    message: str
    runs: tuple[str, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True)
class NotApplicable:
    """Why a check has nothing to look at."""

    reason: str


Answer = Sequence[Finding] | NotApplicable


@dataclass(frozen=True)
class Check:
    """A coded question about runs that are compared.

    Parameters
    ----------
    code : str
        ``SB`` and three digits; never used again for another question.
    title : str
        The mistake in a few words.
    severity : Severity
        The worst that its findings can be.
    why, remedy : str
        Why it matters, and what to do.
    find : callable
        From a `Material` to findings, or to why it does not apply.
    """

    code: str
    title: str
    severity: Severity
    why: str
    remedy: str
    find: Callable[[Material], Answer]

    @property
    def explanation(self) -> str:
        """Why it matters, and what to do."""
        return f"{self.why} {self.remedy}"


@dataclass(frozen=True)
class Result:
    """What came of one check.

    Parameters
    ----------
    check : Check
        What was asked.
    status : Status
        ``issue`` where some finding is an error or a warning, ``tip`` where all are tips.
    findings : tuple of Finding
        Empty where it passed or did not apply.
    reason : str
        Why it did not apply.
    """

    check: Check
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""


def ask(check: Check, material: Material) -> Result:
    """Ask one check about the material."""
    answer = check.find(material)
    if isinstance(answer, NotApplicable):
        return Result(check, Status.not_applicable, reason=answer.reason)
    if not answer:
        return Result(check, Status.passed)
    mild = all((item.severity or check.severity) is Severity.tip for item in answer)
    return Result(check, Status.tip if mild else Status.issue, tuple(answer))


def ask_all(checks: Iterable[Check], material: Material) -> list[Result]:
    """Ask several checks, in their order."""
    return [ask(check, material) for check in checks]
