"""Runs the application: uvicorn, patient with requests under way, not with clients that neither speak nor read."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from codegeex.errors import CodeGeeXError, WorkFailed

HEADER_SECONDS = 10
"""In which a request's headers have to arrive. uvicorn itself waits for ever."""

MOST_HEADERS = 64 * 1024
"""Bytes."""

UNREAD_SECONDS = 30
"""How long a client may leave what it was sent unread, beyond what the buffers of both sides hold."""

MOST_CONNECTIONS = 2000
"""At a time; beyond, requests get 503. The process's limit of open files is raised to hold them."""

STOP_SECONDS = 30
"""How long requests under way may take once the server is told to stop."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ImpatientProtocol(HttpToolsProtocol):
    """Closes connections whose headers are slow or long, or whose client does not read or sends requests ahead."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._unparsed = self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        between = self.cycle is None or self.cycle.response_complete
        if between:
            if self._timer is None:
                self._start_timer()
            self._unparsed += len(data)
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_timer()
        elif between and self._unparsed > MOST_HEADERS:
            self.transport.close()

    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._refuse("a request before the answer to the last one")  # nobody would hear that its client has left
        self._header_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MOST_HEADERS:  # those behind a body in chunks as well
            self._refuse("too many headers")
        super().on_header(name, value)

    def _refuse(self, why: str) -> None:
        """End the connection, and the reading of what has arrived."""
        self.transport.abort()
        raise ValueError(why)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        self._stop_unread()
        super().resume_writing()

    def _watch_unread(self, before: int | None = None) -> None:
        """Give up a client that has taken nothing of the `before` bytes."""
        self._stop_unread()
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self.transport.abort()  # to close would wait for the client to read
        else:
            self._unread = self.loop.call_later(UNREAD_SECONDS, self._watch_unread, left)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        self._unparsed = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Announced(uvicorn.Server):
    """Says something once it answers: whoever reads that may ask, and may press Ctrl+C, from then on."""

    def __init__(self, config: uvicorn.Config, words: str):
        super().__init__(config)
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._words:
            print(self._words, file=sys.stderr, flush=True)


def make_server(app: ASGIApp, words: str = "", **options: Any) -> uvicorn.Server:
    """A uvicorn server with the settings that this application wants.

    Args:
        app: what `create_app` made.
        words: printed once it answers.
        options: uvicorn's own.
    """
    return _Announced(
        uvicorn.Config(
            app,
            http=ImpatientProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=2048,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=STOP_SECONDS,
            **options,
        ),
        words,
    )


def serve(app: ASGIApp, listening: socket.socket, *, quiet: bool, proxies: str | None) -> None:
    """Answer requests until SIGINT or SIGTERM; those under way are finished.

    Args:
        app: what `create_app` made.
        listening: where.
        quiet: whether the log leaves out requests.
        proxies: addresses of reverse proxies whose word for the client's address is taken; "*" for all.
    """
    _allow_files(MOST_CONNECTIONS + 200)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    if quiet:
        logging.getLogger("codegeex.server").setLevel(logging.WARNING)
    host, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    words = f"codegeex is at http://{name}:{port}/ (Ctrl+C stops it)"
    options: dict[str, Any] = {"proxy_headers": proxies is not None, "forwarded_allow_ips": proxies or ""}
    server = make_server(app, words, **options)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return
    if not server.started:
        raise WorkFailed("the server did not start.")


def _allow_files(count: int) -> None:
    """Let this process have that many files open, as far as the system lets it."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 for a free one.

    Raises:
        CodeGeeXError: the address is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise CodeGeeXError(f"cannot listen at {host}:{port}: {reason}. Choose another --port or --host.") from None
    listening.listen(2048)
    return listening
