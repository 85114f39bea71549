"""The one thread that runs the engine, and how its events reach the asyncio loop.

Requests wait here, not in the engine: one queue a client, served in turn, so that who asks for much waits behind who
asks for little. After each step the thread hands what is due to the loop with one call for all streams. Text that
grows faster than anyone reads is held back for `stream_seconds`, because a message to a client costs more than a token
of a small model; a first piece and a last one never wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from codegeex.engine.branch import Request
from codegeex.engine.engine import Engine, Load
from codegeex.engine.sampling import SamplingParams
from codegeex.engine.text import Event, RuleFactory

log = logging.getLogger("codegeex.server")

T = TypeVar("T")

GUEST_SECONDS = 0.0005
"""How long the thread stands aside after a step where others want the model. Without it they would hardly ever get it:
a thread that asks again at once is faster than one that has to wake up."""

GUESTS = 2
"""Threads for what uses the engine for long."""


class Busy(Exception):
    """Too many wait already."""


class Ticket:
    """One prompt on its way through the engine.

    Args:
        mailbox: where its events go; several tickets may share one.
        prompt, params, make_rule: as `Engine.submit` takes them.

    Attributes:
        arrived, started, first, ended: times of `time.monotonic`; 0 for what has not happened.
    """

    def __init__(self, mailbox: Mailbox, prompt: Sequence[int], params: SamplingParams, make_rule: RuleFactory):
        self.mailbox, self.prompt, self.params, self.make_rule = mailbox, prompt, params, make_rule
        self.arrived = time.monotonic()
        self.started = self.first = self.ended = 0.0
        self.request: Request | None = None
        self.cancelled = False

    @property
    def places(self) -> int:
        """Sequences that it may take up in the batch: greedy samples all say the same."""
        unfinished = self.params.n if self.request is None else self.request.unfinished
        return min(unfinished, 1) if self.params.greedy else unfinished

    def cancel(self) -> None:
        """Nobody listens any more."""
        self.cancelled = True
        if self.request is not None:
            self.request.abandoned = True


@dataclass(frozen=True, slots=True)
class News:
    """What has happened to a ticket; with `ended`, nothing more will."""

    ticket: Ticket
    events: list[Event]
    error: BaseException | None
    ended: bool


class Mailbox:
    """Where a coroutine waits for news."""

    def __init__(self) -> None:
        self._news: list[News] = []
        self._arrived = asyncio.Event()

    def put(self, news: News) -> None:
        """Called on the loop."""
        self._news.append(news)
        self._arrived.set()

    async def take(self) -> list[News]:
        """All there is, once there is some."""
        await self._arrived.wait()
        self._arrived.clear()
        news, self._news = self._news, []
        return news


class EngineThread:
    """Runs an engine for an asyncio loop.

    Args:
        engine: used by this thread, and by others within `call`.
        most_waiting: samples that may wait.
        stream_seconds: how long growing text is held back.
        places: sequences in the engine at once; as many as its batch.
    """

    def __init__(self, engine: Engine, most_waiting: int, stream_seconds: float, places: int = 64):
        self.engine = engine
        self._most_waiting, self._stream_seconds, self._places = most_waiting, stream_seconds, places
        self._queues: OrderedDict[str, deque[Ticket]] = OrderedDict()  # who is next stands first
        self._live: list[Ticket] = []
        self._due = 0.0
        self._guests = 0
        self._guest_threads = ThreadPoolExecutor(GUESTS, "guest")
        self._closing = False
        self._wake = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin; called on the loop that will ask."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Give up what is unfinished, and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._guest_threads.shutdown(wait=False, cancel_futures=True)
        self._thread.join(timeout=60)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._closing

    @property
    def load(self) -> Load:
        """The engine's, with the samples that wait here."""
        load = self.engine.load
        with self._wake:
            return replace(load, waiting=load.waiting + self._waiting())

    def submit(self, client: str, tickets: Sequence[Ticket]) -> None:
        """Queue the prompts of a request.

        Args:
            client: whose turn it is is decided among these.
            tickets: all of them or none.

        Raises:
            Busy: too many samples wait.
            ConnectionAbortedError: the thread has ended, or will.
        """
        with self._wake:
            if self._closing:
                raise ConnectionAbortedError("the server is stopping.")
            waiting = self._waiting()
            # A request that finds an empty queue is never refused for its size.
            most = max(0, self._room()) + self._most_waiting
            if waiting and waiting + sum(ticket.params.n for ticket in tickets) > most:
                raise Busy
            self._queues.setdefault(client, deque()).extend(tickets)
            self._wake.notify()

    async def call(self, work: Callable[[], T]) -> T:
        """Run what uses the engine for long (beam search) on a thread of its own, in turn with the steps of others.

        Raises:
            Busy: too many wait for such a thread.
            ConnectionAbortedError: the server is stopping.
        """
        with self._wake:
            if self._closing:
                raise ConnectionAbortedError("the server is stopping.")
            if self._guests > self._most_waiting:
                raise Busy
            self._guests += 1
        future = self._guest_threads.submit(work)
        future.add_done_callback(self._guest_leaves)  # which may be long after nobody waits any more
        return await asyncio.wrap_future(future)

    def _guest_leaves(self, _: object) -> None:
        with self._wake:
            self._guests -= 1

    def _room(self) -> int:
        """Places in the engine that are free."""
        return self._places - sum(ticket.places for ticket in self._live)

    def _waiting(self) -> int:
        """Samples in the queues, whose lock the caller holds."""
        return sum(ticket.params.n for queue in self._queues.values() for ticket in queue if not ticket.cancelled)

    # ---- on the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                with self._wake:
                    while not (self._queues or self._live or self._closing or self.engine.busy):
                        self._wake.wait()
                    if self._closing:
                        break
                    admitted = self._take()
                for ticket in admitted:
                    self._admit(ticket)
                # Busy with nobody waiting: samples of those who have left, which the next step drops.
                if self._live or self.engine.busy:
                    self.engine.step()
                    self._deliver()
                if self._guests:
                    time.sleep(GUEST_SECONDS)
        except BaseException:
            log.exception("the engine's thread ends")
            raise
        finally:
            self._closing = True
            with self._wake:
                unfinished = [*self._live, *(ticket for queue in self._queues.values() for ticket in queue)]
            for ticket in unfinished:
                ticket.cancel()
            error = ConnectionAbortedError("the server is stopping.")
            self._hand_over([News(ticket, [], error, True) for ticket in unfinished])

    def _take(self) -> list[Ticket]:
        """Tickets for which there is room: one of each client, then the next of each."""
        taken: list[Ticket] = []
        room = self._room()
        while self._queues and room > 0:
            client, queue = self._queues.popitem(last=False)
            ticket = queue.popleft()
            if queue:
                self._queues[client] = queue
            if not ticket.cancelled:
                taken.append(ticket)
                room -= ticket.places
        return taken

    def _admit(self, ticket: Ticket) -> None:
        try:
            ticket.request = self.engine.submit(ticket.prompt, ticket.params, ticket.make_rule)
        except Exception as error:
            self._hand_over([News(ticket, [], error, True)])
            return
        ticket.started = time.monotonic()
        if ticket.cancelled:  # meanwhile
            ticket.request.abandoned = True
        self._live.append(ticket)

    def _deliver(self) -> None:
        now = time.monotonic()
        everyone = now >= self._due
        if everyone:
            self._due = now + self._stream_seconds
        news: list[News] = []
        for ticket in self._live:
            request = ticket.request
            assert request is not None
            ended = not request.unfinished or request.error is not None or request.abandoned
            if ended or (request.events and (everyone or not ticket.first)):
                events = [request.events.popleft() for _ in range(len(request.events))]
                news.append(News(ticket, events, request.error, ended))
                if events:
                    ticket.first = ticket.first or now
                ticket.ended = now if ended else 0.0
        if any(entry.ended for entry in news):
            self._live = [ticket for ticket in self._live if not ticket.ended]
        self._hand_over(news)

    def _hand_over(self, news: list[News]) -> None:
        if not news or self._loop is None:
            return
        # The loop may have ended, and with it everyone who listened.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_post, news)


def _post(news: list[News]) -> None:
    for entry in news:
        entry.ticket.mailbox.put(entry)
