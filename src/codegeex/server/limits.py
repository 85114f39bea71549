"""Who may ask, how often, and how much: layers around the application.

They are plain ASGI, so that a stream passes through them piece by piece.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codegeex.server.errors import ApiError
from codegeex.server.metrics import Metrics

log = logging.getLogger("codegeex.server")

OPEN = ("/health", "/docs", "/openapi.json", "/")
OPEN_FOLDERS = ("/assets/", "/docs/assets/")
"""Paths that need no key and count for no rate: they tell nothing that is not public."""

DISCARD_SECONDS = 2
"""How long the rest of a body that is too large is read and forgotten: a client that still sends would not see why."""

MOST_CLIENTS = 10_000
"""Clients whose rates are remembered; the one that was silent longest is forgotten first."""


class RequestLog:
    """The outermost layer: a name and a time for every request, one line in the log, and a count.

    The name is the client's own X-Request-Id where it sends a decent one.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if re.fullmatch(r"[\w.:-]{1,128}", given, re.ASCII) else secrets.token_hex(12)
        state = scope.setdefault("state", {})
        state["request_id"], state["client"] = name, scope["client"][0] if scope.get("client") else ""
        status = 499  # the client left before there was an answer

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = name
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception:
            status = 500
            raise
        finally:
            # An unknown path is the client's text, of which there is no end.
            path = getattr(scope.get("route"), "path", "other")
            self._metrics.answered[scope["method"], path, status] += 1
            seconds = time.perf_counter() - began
            log.info("%s %s %d %.1f ms %s %s", scope["method"], path, status, seconds * 1000, state["client"], name)


class Keys:
    """Lets pass who has one of the keys (`Authorization: Bearer KEY`), and tells the layers within whose it is."""

    def __init__(self, app: ASGIApp, keys: Iterable[tuple[str, str]]):
        self._app = app
        self._keys = [(_digest(key), name) for key, name in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keys and not _open(scope):
            scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
            name = self._name(key.strip()) if scheme.lower() == "bearer" else None
            if name is None:
                message = (
                    "this API key is wrong." if key else "an API key is missing: send 'Authorization: Bearer KEY'."
                )
                error = ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
                await error.send(scope, receive, send)
                return
            scope["state"]["client"] = name
        await self._app(scope, receive, send)

    def _name(self, key: str) -> str | None:
        """Whose key it is. Every key is compared to its end, so that time tells nothing about them."""
        digest, found = _digest(key), None
        for known, name in self._keys:
            if hmac.compare_digest(known, digest):
                found = name
        return found


class Rates:
    """So many requests a minute of each client, after a burst at once (a token bucket)."""

    def __init__(self, app: ASGIApp, per_minute: float, burst: int):
        self._app, self._rate, self._burst = app, per_minute / 60, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was so

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._rate and not _open(scope):
            wait = self._wait(scope["state"]["client"], time.monotonic())
            if wait:
                error = ApiError(
                    429,
                    f"too many requests: {self._rate * 60:g} a minute are allowed.",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": str(math.ceil(wait))},
                )
                await error.send(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _wait(self, client: str, now: float) -> float:
        """Seconds until the client may ask; 0 for now, which counts as a request."""
        left, then = self._buckets.pop(client, (float(self._burst), now))
        left = min(self._burst, left + (now - then) * self._rate)
        allowed = left >= 1
        self._buckets[client] = (left - allowed, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate


class BodyLimit:
    """Refuses bodies that are too large or come too slowly, before anything is made of them."""

    def __init__(self, app: ASGIApp, most: int, seconds: float):
        self._app, self._most, self._seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope).get("content-length", ""), receive)
        except ApiError as error:
            await error.send(scope, receive, send)
            return
        if body is None:
            return
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        await self._app(scope, replay, send)

    async def _read(self, announced: str, receive: Receive) -> bytes | None:
        """The body; None where the client left."""
        too_large = ApiError(413, f"the body is larger than {self._most:,} bytes.", code="body_too_large")
        if announced.isdigit() and int(announced[:20]) > self._most:
            await _discard(receive)
            raise too_large
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > self._most:
                        break
        except TimeoutError:
            raise ApiError(408, f"the body did not arrive in {self._seconds:g} seconds.", code="timeout") from None
        if size > self._most:
            await _discard(receive)
            raise too_large
        return b"".join(parts)


def _open(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    return method == "OPTIONS" or (method in ("GET", "HEAD") and (path in OPEN or path.startswith(OPEN_FOLDERS)))


async def _discard(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _digest(key: str) -> bytes:
    """Of equal length for keys of any length."""
    return hashlib.sha256(key.encode()).digest()
