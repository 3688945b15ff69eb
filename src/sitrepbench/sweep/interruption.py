"""Ctrl-C once: finish what is under way. Twice, or an order to end: stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from sitrepbench.errors import Terminated

#: Orders to end that a parent of workers obeys after cleaning up; SIGHUP is a closed terminal.
_ORDERS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """While it is entered, the first SIGINT calls ``on_first``; a second raises.

    Raises
    ------
    KeyboardInterrupt
        At the second SIGINT.
    Terminated
        At SIGTERM or SIGHUP.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self._on_first = on_first
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python lets only the main thread have signal handlers.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *_ORDERS):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            raise Terminated(signal.Signals(number).name, 128 + number)
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._on_first()
