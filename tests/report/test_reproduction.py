"""What is printed of comparisons: whole sentences, at 80 columns, and what never ran."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from sitrepbench.report.reproduction import print_comparisons
from sitrepbench.reproduction.compare import Check, Comparison
from sitrepbench.reproduction.facts import RunFacts

SENTENCE = "nothing that is recorded differs; is the model's result the same every time, or not?"


def facts(name: str) -> RunFacts:
    return RunFacts(name, (), {}, {}, {}, True, "", {}, {})


def printed(*comparisons: Comparison, **options: Any) -> str:
    stream = io.StringIO()
    print_comparisons(comparisons, console=Console(file=stream, width=80), **options)
    told = stream.getvalue()
    assert max(len(line) for line in told.splitlines()) <= 80
    return told


def test_sentences_are_wrapped_and_not_cut() -> None:
    check = Check("dev", "macro_f1", 0.5, 0.25, 1e-6, passed=False)
    out = printed(Comparison(facts("a"), facts("a"), (check,), (SENTENCE,)))
    assert SENTENCE in " ".join(out.split())
    assert "..." not in out
    assert "  cause:  nothing that" in out


def test_what_never_ran_has_not_failed() -> None:
    passed = Comparison(facts("a"), facts("a"), (Check("dev", "n", 1, 1, 0.0, passed=True),))
    out = printed(passed, Comparison(facts("b"), None, not_run=True), interrupted=True)
    assert "not run" in out
    assert "FAIL" not in out
    assert "Interrupted: 1 of 2 runs as expected, 1 not run, 1 of 1 numbers." in out


def test_the_same_error_is_told_once() -> None:
    pair = [Comparison(facts(name), None, error="no data") for name in ("a", "b")]
    out = printed(*pair)
    assert "FAIL a, b\n  no data\n" in out
    assert out.count("no data") == 1
    assert "FAIL: 0 of 2 runs" in out
