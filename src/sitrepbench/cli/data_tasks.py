"""The tasks of `sitrepbench data`: what they take; what they do is imported when it is done."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from sitrepbench.cli.agreement import add_agreement
from sitrepbench.cli.arguments import share
from sitrepbench.cli.segment import add_segment


def add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="describe, check and audit a dataset")
    tasks = data.add_subparsers(title="tasks", metavar="TASK", required=True)
    told = (
        ("stats", "counts, lengths, label mix and annotators' agreement"),
        ("validate", "check everything that holds for a sound dataset"),
        ("audit", "near-duplicates, words that give a label away, label conflicts"),
    )
    for name, what in told:
        task = tasks.add_parser(name, help=what, description=what)
        task.add_argument(
            "dataset",
            nargs="+",
            help="a shipped dataset's name, a card, a table, or dataset=table dataset.path=...",
        )
        task.set_defaults(command=_data, task=name)
        if name != "validate":
            task.add_argument("--json", action="store_true", help="as JSON")
        if name == "stats":
            task.add_argument("--figure", metavar="FILE", help="also draw it (png, svg or pdf)")
        if name == "audit":
            task.add_argument(
                "--threshold",
                type=share,
                default=0.6,
                help="similarity to list from (default: 0.6)",
            )
            task.add_argument("--words", type=int, default=10, help="words per label (default: 10)")
    add_segment(tasks)
    add_agreement(tasks)


def _data(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli import data

    task: Callable[[argparse.Namespace], int] = getattr(data, f"{parsed.task}_command")
    return task(parsed)
