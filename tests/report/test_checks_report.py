"""Results of checks in the terminal: 80 columns, issues first, long lists cut."""

from __future__ import annotations

import io

from rich.console import Console

from sitrepbench.checks.check import Check, Finding, NotApplicable, Result, Severity, ask
from sitrepbench.checks.material import Material
from sitrepbench.report.checks import checks_table, print_results, results_dict, summary_line


def made(code: str, *findings: Finding, reason: str = "") -> Result:
    answer = NotApplicable(reason) if reason else findings
    check = Check(code, f"Title {code}", Severity.error, "Why so.", "Do it.", lambda _: answer)
    return ask(check, Material(()))


def printed(*results: Result) -> str:
    stream = io.StringIO()
    print_results(results, console=Console(file=stream, width=80), target="tiny", runs=2)
    return stream.getvalue()


def test_issues_come_before_tips_and_what_passed() -> None:
    tip = Finding("mild", severity=Severity.tip)
    out = printed(made("SB001"), made("SB002", tip), made("SB003", Finding("bad\x1b[31m " * 40)))
    places = [out.index(text) for text in ("issue  SB003", "tip    SB002", "passed", "SB001")]
    assert places == sorted(places)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert "tiny, 2 runs: 1 issue, 1 tip, 1 passed, 0 not applicable." in out


def test_the_worst_of_many_findings_are_shown() -> None:
    mild = [Finding(f"mild {n}", severity=Severity.tip) for n in range(9)]
    out = printed(made("SB001", *mild, Finding("bad one")))
    assert "bad one" in out
    assert "... and 2 more; --json has all" in out


def test_checks_that_do_not_apply_are_told_by_their_reason() -> None:
    out = printed(made("SB001", reason="no runs"), made("SB002", reason="no runs"))
    assert "SB001, SB002: no runs" in out
    assert "Title SB001" not in out


def test_json_has_every_finding_with_its_severity() -> None:
    tip = Finding("mild", ("one",), Severity.tip)
    content = results_dict([made("SB001", tip, Finding("bad"))], target="tiny", runs=1)
    assert content["issues"] == 1
    (result,) = content["results"]
    assert [item["severity"] for item in result["findings"]] == ["tip", "error"]
    assert summary_line([], target="x", runs=1).startswith("x, 1 run: 0 issues")


def test_the_table_has_a_row_per_check() -> None:
    table = checks_table([made("SB001").check])
    assert "| SB001 | error | Title SB001 | Why so. Do it. |" in table
