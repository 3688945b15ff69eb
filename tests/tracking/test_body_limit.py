"""The limit on requests, by the messages that a server sends."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from sitrepbench.tracking.body_limit import BodyLimit, Receive, Send

Message = MutableMapping[str, Any]


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answer the length of the body."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def asked(
    chunks: list[bytes], *, told: str | None = None, seconds: float = 5.0, stalls: bool = False
) -> tuple[int, bytes, int]:
    """Return status, body and how many chunks were taken."""
    sent: list[Message] = []
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        if stalls and taken == len(chunks) - 1:
            await asyncio.sleep(60)
        taken += 1
        return {
            "type": "http.request",
            "body": chunks[taken - 1],
            "more_body": taken < len(chunks),
        }

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if told is None else [(b"Content-Length", told.encode())]
    app = BodyLimit(echo, most_bytes=10, seconds=seconds)
    asyncio.run(app({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], sent[1]["body"], taken


def test_a_body_within_the_limit_is_handed_on_whole() -> None:
    assert asked([b"12345", b"67890"]) == (200, b"10", 2)
    assert asked([b""]) == (200, b"0", 1)


def test_a_told_length_over_the_limit_is_refused_unread() -> None:
    status, body, taken = asked([b"x" * 11], told="11")
    assert (status, taken) == (413, 0)
    assert b"larger than 10 bytes" in body


@pytest.mark.parametrize("told", [None, "3", "-1", "x"])
def test_chunks_are_counted_whatever_was_told(told: str | None) -> None:
    status, _, taken = asked([b"12345", b"678901", b"2", b"3"], told=told)
    assert (status, taken) == (413, 2)


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    assert asked([b"1", b"2"], seconds=0.05, stalls=True)[0] == 408
