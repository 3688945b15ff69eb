"""Commands that read the results store: list, show, looks; and the keyword rules' explanation."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.errors import StoreError, did_you_mean
from sitrepbench.predictions import is_test_part
from sitrepbench.store.results import ResultsStore


def open_store(results_dir: str) -> ResultsStore:
    """Open a results store that exists.

    Raises
    ------
    StoreError
        When there is none; a command that only reads makes no folder.
    """
    folder = Path(results_dir).expanduser()
    if not (folder / "runs").is_dir():
        raise StoreError(
            f"{folder}: no results store here. Name it with --results-dir DIR, or start one with "
            "'sitrepbench run'"
        )
    return ResultsStore(folder)


def list_runs(results_dir: str, *, study: str | None, as_json: bool) -> int:
    """Print the finished runs, newest first."""
    store = open_store(results_dir)
    everything = store.rows()
    for message in store.unread:
        print(f"not listed: {message}", file=sys.stderr)
    studies = sorted({row.study for row in everything})
    if study is not None and study not in studies:
        raise StoreError(
            f"no run of the study {study!r} in {results_dir}.{did_you_mean(study, studies)} "
            f"It has: {', '.join(studies) or 'none'}"
        )
    rows = [row for row in everything if study in (None, row.study)]
    if as_json:
        listed = [{**row.__dict__, "scores": json.loads(row.scores)} for row in rows]
        print(json.dumps(listed, indent=1))
        return 0
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in (("key", 8), ("run", 18), ("dataset", 8), ("study", 8)):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("part", no_wrap=True)
    table.add_column("macro-F1", justify="right")
    table.add_column("finished", no_wrap=True, min_width=11)
    for row in rows:
        score = row.score()
        table.add_row(
            row.key[:8],
            Text(row.run_name),
            Text(row.dataset),
            Text(row.study),
            Text(row.part, style="yellow" if is_test_part(row.part) else ""),
            "" if score is None else f"{score:.3f}",
            row.created[5:16].replace("T", " "),
        )
    console = Console()
    console.print(table)
    console.print(f"{len(rows)} run(s) in {Path(results_dir)}", highlight=False, soft_wrap=True)
    return 0


def show_run(results_dir: str, name: str, *, as_json: bool) -> int:
    """Print the scores of one run."""
    from sitrepbench.cli.outcome import print_record
    from sitrepbench.report.terminal import summary_dict
    from sitrepbench.runs import summarise_parts

    record = open_store(results_dir).resolve(name)
    if as_json:
        content: dict[str, Any] = {
            "key": record.key,
            "run_name": record.run_name,
            "names": record.names,
            "study": record.study,
            "dataset": record.dataset,
            "created": record.created,
            "seconds": record.seconds,
            "looks": record.looks,
            "notes": record.notes,
            "predictions_digest": record.predictions_digest,
            "parts": {
                part: summary_dict(summary)
                for part, summary in summarise_parts(record.predictions()).items()
            },
        }
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return 0
    print_record(record, console=Console(), cached=True)
    return 0


def list_looks(results_dir: str, *, as_json: bool) -> int:
    """Print every recorded look at a test split."""
    from sitrepbench.store.looks import LookLedger

    looks = LookLedger(open_store(results_dir).folder).read()
    if as_json:
        print(json.dumps([look.__dict__ for look in looks], indent=1, ensure_ascii=False))
        return 0
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("time", "by", "dataset", "split", "run", "reason"):
        table.add_column(column, overflow="fold")
    for look in looks:
        reason = f"{look.reason} (study {look.study})" if look.study else look.reason
        when = look.time[:16].replace("T", " ")
        cells = (when, look.by, look.dataset, look.split, look.key[:8], reason)
        table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    console.print(f"{len(looks)} look(s) at test splits", highlight=False)
    return 0


def explain_keywords(text: str, *, lexicon: str) -> int:
    """Print the label that the keyword rules give a sentence, and which rules fired."""
    from sitrepbench.models.keywords import KeywordRules

    explanation = KeywordRules(lexicon=lexicon).explain(text)
    print(explanation.label)
    for label, score in explanation.scores.items():
        if explanation.fired[label]:
            print(f"  {label} {score}: {', '.join(explanation.fired[label])}")
    return 0
