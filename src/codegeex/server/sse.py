"""Server-sent events, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codegeex.server.errors import api_error

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"


def event(content: dict[str, Any]) -> bytes:
    """An object as one event."""
    return b"data: " + json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class EventStream(Response):
    """Sends events while they come, and closes their source when the client leaves.

    An error of the source is the last event but `[DONE]`, as an OpenAI error object.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]):
        self._events = events
        # The last one is nginx's word for: pass it on as it comes.
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await until_gone(self._write(send), receive)
        await self._events.aclose()  # the client may have left before the first event

    async def _write(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            try:
                async for chunk in events:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except Exception as error:
                if isinstance(error, OSError) and not isinstance(error, ConnectionAbortedError):
                    raise  # nobody is there to be told
                failure = b"data: " + api_error(error).body + b"\n\n"
                await send({"type": "http.response.body", "body": failure + DONE, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_gone(work: Awaitable[T], receive: Receive) -> T | None:
    """The result of `work`, or None where the client left before; the work is then cancelled.

    Args:
        work: anything to await.
        receive: the request's channel, from which the body has been read.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        return None
    finally:
        for other in (task, gone):
            if not other.done():
                other.cancel()
                with suppress(asyncio.CancelledError):
                    await other


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
