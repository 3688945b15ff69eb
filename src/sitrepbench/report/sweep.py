"""A sweep in the terminal: live while it runs, and what became of it at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sitrepbench.wording import FailedLine

#: Seconds between lines where there is no terminal.
QUIET_SECONDS = 10.0
#: How often the display is drawn anew, per second.
_REFRESH = 4
_SHOWN_RUNNING = 4
_WIDEST = 100


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Parameters
    ----------
    done, failed, cached, total : int
        Runs.
    running : tuple of str
        The names of those under way.
    seconds_left : float or None
        None where nothing is known yet.
    best : tuple of (float, str) or None
        The highest macro-F1 so far, and whose.
    where : str
        What workers elsewhere are at, such as ``2 Slurm jobs (1 waiting: Resources)``.
    """

    done: int
    failed: int
    cached: int
    total: int
    running: tuple[str, ...] = ()
    seconds_left: float | None = None
    best: tuple[float, str] | None = None
    where: str = ""

    @property
    def left(self) -> int:
        """How many runs have not come to an end."""
        return self.total - self.done - self.failed - self.cached


class SweepDisplay:
    """Progress on standard error: live on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._live: Live | None = None
        self._started = time.monotonic()
        self._told = self._started
        self._progress: Progress | None = None

    def start(self) -> None:
        """Begin to show progress."""
        self._started = self._told = time.monotonic()
        if self.console.is_terminal and self._live is None:
            self._live = Live(
                console=self.console,
                refresh_per_second=_REFRESH,
                transient=True,
                get_renderable=self._render,
            )
            self._live.start()

    def stop(self) -> None:
        """Take the live display away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line that stays."""
        self.console.print(Text(text, style=style), soft_wrap=not self.console.is_terminal)

    def show(self, progress: Progress) -> None:
        """Take note of how far the sweep is."""
        self._progress = progress
        if self._live is None and not self.console.is_terminal:
            moment = time.monotonic()
            if moment - self._told >= QUIET_SECONDS:
                self._told = moment
                self.say(progress_line(progress))

    def _render(self) -> Group:
        progress = self._progress
        if progress is None:
            return Group()
        elapsed = time.monotonic() - self._started
        ended = progress.total - progress.left
        bar = Table.grid(padding=(0, 1), expand=False)
        bar.add_row(
            ProgressBar(progress.total or 1, ended, width=30),
            Text(f"{ended} of {progress.total}"),
            Text(f"{duration(elapsed)} gone, {_left(progress)}"),
        )
        lines = [Text(counts(progress)), Text(_best(progress)), Text(progress.where, style="dim")]
        if progress.running:
            shown = ", ".join(progress.running[:_SHOWN_RUNNING])
            more = len(progress.running) - _SHOWN_RUNNING
            lines.append(
                Text(f"now: {shown}{f' and {more} more' if more > 0 else ''}", style="dim")
            )
        for line in lines:
            line.truncate(min(self.console.width, _WIDEST) - 1, overflow="ellipsis")
        return Group(bar, *(line for line in lines if line.plain))


def counts(progress: Progress) -> str:
    """Return ``19 done, 1 failed, 3 from the store, 25 left``."""
    return (
        f"{progress.done} done, {progress.failed} failed, {progress.cached} from the store, "
        f"{progress.left} left"
    )


def progress_line(progress: Progress) -> str:
    """Return the whole progress in one line."""
    more = [text for text in (_best(progress), progress.where) if text]
    return "; ".join([counts(progress), _left(progress), *more])


def _left(progress: Progress) -> str:
    if progress.seconds_left is None:
        return "time left unknown"
    return f"about {duration(progress.seconds_left)} left"


def _best(progress: Progress) -> str:
    return f"best so far: {progress.best[0]:.3f} {progress.best[1]}" if progress.best else ""


def duration(seconds: float) -> str:
    """Return a duration in the two largest units.

    >>> duration(7.4), duration(95), duration(3 * 3600 + 130)
    ('7 s', '1 min 35 s', '3 h 2 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def print_failures(failures: Sequence[FailedLine], console: Console) -> None:
    """Print every failure; those of the same cause under one heading."""
    by_cause: dict[tuple[str, str], list[FailedLine]] = {}
    for failure in failures:
        by_cause.setdefault((failure.kind, failure.message), []).append(failure)
    for (kind, message), same in by_cause.items():
        runs = "1 run" if len(same) == 1 else f"{len(same)} runs"
        console.print(Text(f"\n{runs} failed ({kind}):", style="bold red"))
        for line in message.splitlines():
            console.print(Text(f"  {line}"))
        for failure in same:
            # A command is copied, so it is never wrapped.
            console.print(Text(f"    {failure.command}"), soft_wrap=True)
