"""``sitrepbench looks``: every recorded look at a test split."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.cli.lines import one_line, print_lines
from sitrepbench.cli.stored import open_store
from sitrepbench.store.looks import Look, LookKind, LookLedger

_KINDS = {LookKind.study: "study", LookKind.reproduction: "reproduction of study"}


def looks_command(parsed: argparse.Namespace) -> int:
    """Print every recorded look at a test split, and return the exit code."""
    looks = LookLedger(open_store(parsed.results_dir).folder).read()
    if parsed.json:
        plain = [{**asdict(look), "kind": look.kind.value} for look in looks]
        print(json.dumps(plain, indent=1, ensure_ascii=False))
        return 0
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("time", "by", "dataset", "split", "run", "reason"):
        table.add_column(column, overflow="fold")
    for look in looks:
        reason = one_line(look.reason)
        if look.study:
            reason += f" ({_KINDS[look.kind]} {look.study})"
        when = look.time[:16].replace("T", " ")
        cells = (when, look.by, look.dataset, look.split, look.key[:8], reason)
        table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    print_lines(counted(looks))
    return 0


def counted(looks: Sequence[Look]) -> list[str]:
    """Return a line per test split that was read: how often, and as what.

    A look is one run that read one split; a study of twenty models that reads it takes twenty.
    """
    if not looks:
        return ["No looks at test splits."]
    kinds: dict[tuple[str, str, str], Counter[LookKind]] = {}
    for look in looks:
        kinds.setdefault((look.dataset, look.digest, look.split), Counter())[look.kind] += 1
    lines = []
    for (dataset, digest, split), count in kinds.items():
        told = ", ".join(f"{count[kind]} {kind.value}" for kind in LookKind if count[kind])
        total = count.total()
        lines.append(
            f"{dataset} {digest[:8]}, {split}: {total} look{'' if total == 1 else 's'}: {told}"
        )
    return lines
