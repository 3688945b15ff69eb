"""``sitrepbench compare``: models on the same documents, two by two."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sitrepbench.cli.progress import QUIET_SECONDS
from sitrepbench.comparison.compare import compare
from sitrepbench.comparison.entries import Entry, find_entries
from sitrepbench.comparison.gold import find_dataset
from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import ConfigError, SitrepBenchError
from sitrepbench.report.comparison import comparison_dict, print_comparison, write_rows


def compare_command(parsed: argparse.Namespace) -> int:
    """Compare entries, print and write what was found; return the exit code.

    Raises
    ------
    SitrepBenchError
        When entries are not to be found, have problems or are not of the same sentences, or when
        a file would be scored on a test split without a reason.
    """
    _check(parsed)
    with _progress() as on_pair:
        entries = find_entries(
            parsed.entries,
            results_dir=parsed.results_dir,
            study=parsed.study,
            dataset=parsed.dataset,
            part=parsed.part,
            reason=parsed.reason or "",
        )
        texts, why_not = _texts(entries, parsed.dataset) if parsed.examples else ({}, "")
        comparison = compare(
            entries,
            part=parsed.part,
            dataset=parsed.dataset or "",
            n_permutations=parsed.permutations,
            n_examples=parsed.examples,
            texts=texts,
            on_pair=on_pair,
        )
    if parsed.json:
        print(json.dumps(comparison_dict(comparison), indent=1, ensure_ascii=False))
    else:
        print_comparison(comparison, console=Console())
    if parsed.csv:
        write_rows(comparison, Path(parsed.csv).expanduser())
    if why_not:
        print(f"Texts of examples are not shown: {why_not}", file=sys.stderr)
    if parsed.csv:
        print(f"Wrote {parsed.csv}", file=sys.stderr)
    return 0


def _check(parsed: argparse.Namespace) -> None:
    """Refuse what can be refused before anything is read."""
    problems = []
    if len(parsed.entries) < 2:
        problems.append(
            f"a comparison needs two entries or more, found one: {parsed.entries[0]!r}. See what "
            "there is: sitrepbench list"
        )
    if parsed.examples < 0:
        problems.append(f"--examples {parsed.examples}: expected 0 or more")
    if parsed.csv and not Path(parsed.csv).expanduser().parent.is_dir():
        problems.append(f"--csv {parsed.csv}: there is no such folder")
    elif parsed.csv and Path(parsed.csv).expanduser().is_dir():
        problems.append(f"--csv {parsed.csv}: is a folder; name a file")
    if problems:
        raise ConfigError("\n".join(problems))


def _texts(entries: Sequence[Entry], dataset: str | None) -> tuple[dict[str, str], str]:
    """Return the sentences by id, or why they are not to be had: no comparison fails by them."""
    try:
        loaded = _dataset(entries, dataset)
    except SitrepBenchError as error:
        return {}, str(error)
    if loaded is None:
        return {}, "no entry tells its dataset"
    frame = loaded.frame
    return dict(zip(frame["sentence_id"].tolist(), frame["text"].tolist(), strict=True)), ""


def _dataset(entries: Sequence[Entry], name: str | None) -> Dataset | None:
    if name is not None:
        return find_dataset(name)
    for entry in entries:
        if entry.record is not None:
            from sitrepbench.cli.errors import scored_dataset

            return scored_dataset(entry.record)[0]
    for entry in entries:
        if entry.card is not None:
            return find_dataset(entry.card.dataset, beside=entry.card.path.parent)
    return None


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield a function to be told of pairs: a bar on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        told = time.monotonic()

        def on_pair(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told >= QUIET_SECONDS:
                told = time.monotonic()
                console.print(f"compare: {done} of {total} pairs", highlight=False)

        yield on_pair
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda done, total: progress.update(
            task, description="comparing pairs", completed=done, total=total
        )
