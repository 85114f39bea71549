"""Real servers on free ports of this machine, each in a thread with a loop of its own."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httptools")

import httpx

import codegeex
from codegeex.server import serve
from codegeex.server.app import create_app
from codegeex.server.serve import make_server
from codegeex.server.settings import Settings


@dataclass(frozen=True)
class Server:
    """A server under test."""

    url: str
    port: int
    model: codegeex.Model
    stop: Callable[[], None]

    def post(self, path: str, **fields: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=fields, timeout=30)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)

    def figure(self, name: str) -> float:
        """The sum of a metric's values."""
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(f"codegeex:{name}{{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextmanager
def running(model: codegeex.Model | None = None, **settings: Any) -> Iterator[Server]:
    model = model or codegeex.load()
    settings.setdefault("model_name", "nano")
    server = make_server(create_app(model, Settings(**settings)))
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def stop() -> None:
        server.should_exit = True

    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        yield Server(f"http://127.0.0.1:{port}", port, model, stop)
    finally:
        stop()
        thread.join(serve.STOP_SECONDS + 30)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def held_after(server: Server, steps: int) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A model that takes so many steps and then waits: one event tells that it does, the other one lets it go on."""
    backend, count, waits, on = server.model.backend, itertools.count(), threading.Event(), threading.Event()
    step = backend.step

    def held(*arguments: Any) -> Any:
        if next(count) >= steps:
            waits.set()
            on.wait(60)
        return step(*arguments)

    backend.step = held  # type: ignore[method-assign]
    try:
        yield waits, on
    finally:
        on.set()
        del backend.step


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One for all tests that need nothing special."""
    with running() as one:
        yield one


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers with settings of their own."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda model=None, **settings: stack.enter_context(running(model, **settings))
