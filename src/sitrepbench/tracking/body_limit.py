"""A limit on what a server takes in, in front of any ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

TOO_LARGE, TOO_SLOW = 413, 408


class BodyLimit:
    """Answers 413 to a body over the limit, whether its length is told or it comes in chunks.

    The body is read here, up to the limit, and only then handed on, so that an application never
    begins on one that is too large.

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
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

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
