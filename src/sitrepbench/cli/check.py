"""``sitrepbench check``: mistakes of method in a study or in runs, by coded questions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sitrepbench.checks.check import Check, Result, Status, ask
from sitrepbench.checks.material import Material
from sitrepbench.checks.registry import CHECKS, chosen_checks, find_check
from sitrepbench.cli.stored import open_store
from sitrepbench.report.checks import (
    check_dict,
    print_check,
    print_list,
    print_results,
    results_dict,
)

DONE, FOUND = 0, 1
_USAGE = 2
#: The check that needs every run fitted once more.
_NEEDS_REFIT = "SB045"


def check_command(parsed: argparse.Namespace) -> int:
    """Ask the checks about a study or about runs; 0 without issues, 1 with.

    Raises
    ------
    SitrepBenchError
        When there is no such study, run or check, or the store cannot be read.
    """
    console = Console()
    if parsed.list or parsed.explain:
        return _describe(parsed, console)
    checks = chosen_checks(only=parsed.only, skip=parsed.skip)
    if not parsed.targets:
        Console(stderr=True).print(
            Text("sitrepbench check: name a study or runs; see sitrepbench check --help")
        )
        return _USAGE
    material = _material(parsed)
    if parsed.refit and any(check.code == _NEEDS_REFIT for check in checks):
        material = _refitted(material)
    target = ", ".join(parsed.targets) if len(parsed.targets) < 4 else "runs"
    results = [_asked(check, material) for check in checks]
    if parsed.json:
        plain = results_dict(results, target=target, runs=len(material.runs))
        print(json.dumps(plain, indent=1, ensure_ascii=False))
    else:
        print_results(results, console=console, target=target, runs=len(material.runs))
    return FOUND if any(result.status is Status.issue for result in results) else DONE


def _describe(parsed: argparse.Namespace, console: Console) -> int:
    checks: Sequence[Check] = CHECKS
    if parsed.explain:
        checks = [find_check(parsed.explain)]
    if parsed.json:
        print(json.dumps([check_dict(check) for check in checks], indent=1, ensure_ascii=False))
    elif parsed.explain:
        print_check(checks[0], console=console)
    else:
        print_list(checks, console=console)
    return DONE


def _material(parsed: argparse.Namespace) -> Material:
    from sitrepbench.checks.gathering import gather

    store = open_store(parsed.results_dir)
    config_dirs = [Path(parsed.config_dir)] if parsed.config_dir else []
    material = gather(
        parsed.targets, store, config_dirs=config_dirs, similarity=float(parsed.similarity)
    )
    told = Console(stderr=True)
    for message in store.unread:
        told.print(Text(f"not read: {message}"), soft_wrap=True)
    return material


def _refitted(material: Material) -> Material:
    """Return the material with training scores, each run fitted once more."""
    from sitrepbench.checks.refitting import with_training_score

    with Console(stderr=True).status("fitting") as status:
        runs = []
        for number, run in enumerate(material.runs, start=1):
            status.update(Text(f"fitting {number} of {len(material.runs)}: {run.name}"))
            runs.append(with_training_score(run))
    return replace(material, runs=tuple(runs))


def _asked(check: Check, material: Material) -> Result:
    with Console(stderr=True).status(Text(f"{check.code} {check.title}")):
        return ask(check, material)
