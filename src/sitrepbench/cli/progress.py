"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Seconds between lines where there is no terminal.
QUIET_SECONDS = 10.0
#: Encoding sentences has a bar of its own where it takes longer, seconds.
ENCODING_SECONDS = 2.0


@contextlib.contextmanager
def cells_progress(what: str, *, unit: str = "cells") -> Iterator[Callable[[float, int], None]]:
    """Yield a function to be told how many cells, or what else, are done, of how many."""
    # Imported here: it brings numpy along.
    from sitrepbench.reuse.embeddings import encoding_told

    console = Console(stderr=True)
    if not console.is_terminal:
        with encoding_told(_plain(console, "encoding", "sentences")):
            yield _plain(console, what, unit)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(what[:40], total=None)
        with encoding_told(_encoding(progress)):
            yield lambda done, total: progress.update(task, completed=done, total=total)


def _encoding(progress: Progress) -> Callable[[int, int], None]:
    """Return a function that shows a bar while sentences are encoded for long."""
    task: TaskID | None = None
    began, before = time.monotonic(), 0

    def on_encoded(done: int, total: int) -> None:
        nonlocal task, began, before
        if done <= before:  # another batch of sentences than the one of before
            began = time.monotonic()
        before = done
        if task is None and done < total and time.monotonic() - began > ENCODING_SECONDS:
            task = progress.add_task("encoding sentences", total=total)
        if task is not None:
            progress.update(task, completed=done, total=total)
        if task is not None and done >= total:
            progress.remove_task(task)
            task, before = None, 0

    return on_encoded


def _plain(console: Console, what: str, unit: str) -> Callable[[float, int], None]:
    told = time.monotonic()

    def on_cell(done: float, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= QUIET_SECONDS:
            told = time.monotonic()
            shown = f"{done:.3g}" if isinstance(done, float) else f"{done}"
            console.print(f"{what}: {shown} of {total} {unit}", highlight=False)

    return on_cell
