"""What the methodology linter found, at 80 columns, as plain values, and its table in the docs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from sitrepbench.checks.check import Check, Finding, Result, Severity, Status
from sitrepbench.wording import one_line

_WIDTH = 80
#: Findings that are printed per check; --json has all.
_LISTED = 8
_STYLES = {
    Status.issue: "bold red",
    Status.tip: "yellow",
    Status.passed: "green",
    Status.not_applicable: "dim",
}


def print_results(results: Sequence[Result], *, console: Console, target: str, runs: int) -> None:
    """Print issues and tips with what to do, then what passed and what did not apply."""
    for status in (Status.issue, Status.tip):
        for result in results:
            if result.status is status:
                for line in _found(result):
                    console.print(line, soft_wrap=True)
    passed = [result for result in results if result.status is Status.passed]
    if passed:
        _print(console, Text("passed", style=_STYLES[Status.passed]))
        for result in passed:
            _print(console, Text(f"  {result.check.code}  {result.check.title}"))
        _print(console, Text())
    unasked = [result for result in results if result.status is Status.not_applicable]
    if unasked:
        _print(console, Text("not applicable", style=_STYLES[Status.not_applicable]))
        for reason in dict.fromkeys(result.reason for result in unasked):
            codes = [result.check.code for result in unasked if result.reason == reason]
            _wrap(console, f"{', '.join(codes)}: {reason}")
        _print(console, Text())
    _wrap(console, summary_line(results, target=target, runs=runs), indent="")


def summary_line(results: Sequence[Result], *, target: str, runs: int) -> str:
    """Return how many checks found what."""
    counts = {status: sum(item.status is status for item in results) for status in Status}
    told = [
        f"{counts[Status.issue]} issue{'' if counts[Status.issue] == 1 else 's'}",
        f"{counts[Status.tip]} tip{'' if counts[Status.tip] == 1 else 's'}",
        f"{counts[Status.passed]} passed",
        f"{counts[Status.not_applicable]} not applicable",
    ]
    return f"{target}, {runs} run{'' if runs == 1 else 's'}: {', '.join(told)}."


def results_dict(results: Sequence[Result], *, target: str, runs: int) -> dict[str, Any]:
    """Return the results as plain values for JSON."""
    return {
        "target": target,
        "runs": runs,
        "issues": sum(result.status is Status.issue for result in results),
        "results": [
            {
                "code": result.check.code,
                "title": result.check.title,
                "severity": str(result.check.severity),
                "status": str(result.status),
                "reason": result.reason,
                "findings": [_plain(item, result.check) for item in result.findings],
            }
            for result in results
        ],
    }


def _plain(finding: Finding, check: Check) -> dict[str, Any]:
    severity = str(finding.severity or check.severity)
    return {"message": finding.message, "runs": list(finding.runs), "severity": severity}


def print_list(checks: Sequence[Check], *, console: Console) -> None:
    """Print a line per check: code, severity, title."""
    for check in checks:
        _print(console, Text(f"{check.code}  {check.severity:<8} {check.title}"))


def print_check(check: Check, *, console: Console) -> None:
    """Print one check with why it matters and what to do."""
    _print(console, Text(f"{check.code}  {check.title} ({check.severity})", style="bold"))
    for text in (check.why, check.remedy):
        _print(console, Text())
        for line in _lines(text, indent="", hang=""):
            _print(console, Text(line))


def check_dict(check: Check) -> dict[str, str]:
    """Return a check as plain values for JSON."""
    return {
        "code": check.code,
        "title": check.title,
        "severity": str(check.severity),
        "why": check.why,
        "remedy": check.remedy,
    }


def checks_table(checks: Sequence[Check]) -> str:
    """Return the table of the checks as Markdown."""
    rows = [f"| {c.code} | {c.severity} | {c.title} | {c.why} {c.remedy} |" for c in checks]
    head = [
        "| code | severity | what | why it matters, and what to do |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _found(result: Result) -> Iterator[Text]:
    check = result.check
    head = Text()
    head.append(f"{result.status:<6}", style=_STYLES[result.status])
    head.append(f" {check.code}  {check.title}")
    yield head
    shown = sorted(
        result.findings, key=lambda item: (item.severity or check.severity) is Severity.tip
    )
    for finding in shown[:_LISTED]:
        yield from map(Text, _lines(finding.message, indent="  "))
    if len(shown) > _LISTED:
        yield Text(f"  ... and {len(shown) - _LISTED} more; --json has all")
    yield from (Text(line, style="dim") for line in _lines(f"-> {check.remedy}", indent="  "))
    yield Text()


def _lines(text: str, *, indent: str, hang: str = "  ") -> list[str]:
    return textwrap.wrap(
        one_line(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hang,
        break_on_hyphens=False,
    )


def _wrap(console: Console, text: str, indent: str = "  ") -> None:
    for line in _lines(text, indent=indent):
        _print(console, Text(line))


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
