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
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Seconds between lines where there is no terminal.
QUIET_SECONDS = 10.0


@contextlib.contextmanager
def cells_progress(what: str) -> Iterator[Callable[[float, int], None]]:
    """Yield a function to be told how many cells are done, of how many."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(console, what)
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
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _plain(console: Console, what: str) -> Callable[[float, int], None]:
    told = time.monotonic()

    def on_cell(done: float, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= QUIET_SECONDS:
            told = time.monotonic()
            console.print(f"{what}: {done:.3g} of {total} cells", highlight=False)

    return on_cell
