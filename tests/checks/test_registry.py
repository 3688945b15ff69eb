"""The registry, its page in the docs, and that every check has its tests."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sitrepbench.checks.check import Status, ask_all
from sitrepbench.checks.material import Material
from sitrepbench.checks.registry import CHECKS, chosen_checks, find_check
from sitrepbench.errors import ConfigError
from sitrepbench.report.checks import checks_table


def test_codes_are_in_order_and_titles_are_short_and_their_own() -> None:
    codes = [check.code for check in CHECKS]
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"SB\d{3}", code) for code in codes)
    assert len({check.title for check in CHECKS}) == len(CHECKS)
    assert all(len(check.title) <= 60 and check.why and check.remedy for check in CHECKS)


def test_the_table_in_the_docs_is_that_of_the_checks(repository: Path) -> None:
    assert checks_table(CHECKS) in (repository / "docs" / "checks.md").read_text(encoding="utf-8")


def test_every_check_is_asked_in_the_tests_for_what_fires_and_for_what_does_not() -> None:
    source = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    fires = Counter(re.findall(r'(?<!not )(?:found|status)\(\s*"(SB\d{3})"', source))
    passes = Counter(re.findall(r'assert not found\(\s*"(SB\d{3})"', source))
    for check in CHECKS:
        assert fires[check.code], check.code
        assert passes[check.code], check.code


def test_nothing_at_all_passes_no_check() -> None:
    results = ask_all(CHECKS, Material(()))
    assert {result.status for result in results} == {Status.not_applicable}
    assert all(result.reason for result in results)


def test_checks_are_chosen_by_code_in_any_case() -> None:
    assert [check.code for check in chosen_checks(only="sb051, SB001")] == ["SB001", "SB051"]
    assert "SB001" not in {check.code for check in chosen_checks(skip="SB001,")}
    assert find_check("sb011").code == "SB011"


def test_unknown_codes_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'SB999'.*'XX'"):
        chosen_checks(only="SB999,SB001,XX")
    with pytest.raises(ConfigError, match="no check is left"):
        chosen_checks(only="SB001", skip="SB001")
