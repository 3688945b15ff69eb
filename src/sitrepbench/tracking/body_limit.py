"""A limit on what a model's server takes in, in front of its ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sitrepbench.tracking.request_check import plain_error, problem_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

TOO_LARGE, TOO_SLOW = 413, 408


class BodyLimit:
    """Answers 413 to a body over the limit, whether its length is told or it comes in chunks.

    The body is read here, up to the limit, and only then handed on, so that an application never
    begins on one that is too large. A body that cannot be answered (`problem_of`) is refused, and
    errors of the application lose the input that they quote, and stack traces.

    Parameters
    ----------
    app : callable
        The ASGI application.
    most_bytes : int
        The most bytes of a body.
    seconds : float
        How long a client may take to send it; then 408.
    """

    def __init__(self, app: App, *, most_bytes: int, seconds: float = 60.0) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.seconds = seconds

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self._told(scope) > self.most_bytes:
            await self._refuse(send, TOO_LARGE, self._message())
            return
        try:
            body = await asyncio.wait_for(self._body(receive), self.seconds)
        except TimeoutError:
            message = f"the body did not arrive within {self.seconds:g} s"
            await self._refuse(send, TOO_SLOW, message)
            return
        if body is None:
            await self._refuse(send, TOO_LARGE, self._message())
            return
        if scope.get("method") == "POST":
            # Parsing takes a while, and others wait.
            problem = await asyncio.to_thread(problem_of, self._content_type(scope), body)
            if problem is not None:
                await self._refuse(send, *problem)
                return
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, _plain(send))

    @staticmethod
    def _content_type(scope: MutableMapping[str, Any]) -> str:
        told = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
        return told[0].decode("latin-1") if told else ""

    @staticmethod
    def _told(scope: MutableMapping[str, Any]) -> int:
        told = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
        return max((int(value) for value in told if value.isdigit()), default=0)

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the body, None as soon as it is over the limit."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(chunks)
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.most_bytes:
                return None
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    def _message(self) -> str:
        return f"the body is larger than {self.most_bytes:,} bytes; send the texts in parts"

    @staticmethod
    async def _refuse(send: Send, status: int, message: str) -> None:
        body = json.dumps({"error_code": "BAD_REQUEST", "message": message}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            # What is left of the body is not read.
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _plain(send: Send) -> Send:
    """Return a `Send` that tells errors by `plain_error`."""
    held: list[Message] = []
    chunks: list[bytes] = []

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            held.append(message)
            return
        if not held or message["type"] != "http.response.body":
            await send(message)
            return
        chunks.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        body = plain_error(b"".join(chunks))
        start = held.pop()
        others = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        length = (b"content-length", str(len(body)).encode())
        await send({**start, "headers": [*others, length]})
        await send({"type": "http.response.body", "body": body})

    return forward
