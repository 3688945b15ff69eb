"""Ctrl-C once, twice, and orders to end; handlers are put back afterwards."""

from __future__ import annotations

import signal
import threading

import pytest

from sitrepbench.sweep.interruption import Interruption, Terminated


def test_the_first_ctrl_c_asks_and_the_second_raises() -> None:
    asked: list[int] = []
    with Interruption(lambda: asked.append(1)):
        signal.raise_signal(signal.SIGINT)
        assert asked == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert asked == [1]


@pytest.mark.parametrize(("order", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_order_to_end_raises_at_once(order: signal.Signals, code: int) -> None:
    with pytest.raises(Terminated) as caught, Interruption(lambda: None):
        signal.raise_signal(order)
    assert caught.value.exit_code == code
    assert str(caught.value) == order.name
    assert not isinstance(caught.value, Exception)


def test_the_handlers_from_before_are_put_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Interruption(lambda: None):
        assert all(signal.getsignal(number) not in before for number in numbers)
    assert [signal.getsignal(number) for number in numbers] == before
    with pytest.raises(KeyError), Interruption(lambda: None):
        raise KeyError
    assert [signal.getsignal(number) for number in numbers] == before


def test_another_thread_has_no_handlers_and_needs_none() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with Interruption(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
