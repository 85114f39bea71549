"""One request for text on its way through the engine: several prompts, several samples of each, in whole or in pieces.

Numbers of choices run over all prompts: choice `i` is sample `i % n` of prompt `i // n`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from codegeex.assistant.assistant import Request as Task
from codegeex.engine.sampling import Choice, SamplingParams
from codegeex.engine.text import Completion, Event, Finished, FinishReason, Piece
from codegeex.server.engine_thread import EngineThread, Mailbox, Ticket
from codegeex.server.errors import ApiError
from codegeex.server.metrics import Metrics


@dataclass(slots=True)
class Grown:
    """By what choice `index` has grown; with `finish_reason`, it is complete, and `completion` is the whole of it."""

    index: int
    text: str
    choices: Sequence[Choice] = ()
    finish_reason: FinishReason | None = None
    completion: Completion | None = None


@dataclass(slots=True)
class _Sample:
    """What a client has been told of a choice."""

    texts: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    done: bool = False


class Run:
    """Tasks that share their sampling parameters; to be closed by whoever made it.

    Args:
        engine: runs them.
        metrics: is told when they end.
        client: whose turn it is is decided among these.
        tasks: one for each prompt.
        params: `params.n` samples of each are drawn.
        kept: how many of these are given: the likeliest.
        deadline: seconds after which the choices end with what there is.

    Raises:
        Busy: too many wait already.
    """

    def __init__(
        self,
        engine: EngineThread,
        metrics: Metrics,
        client: str,
        tasks: Sequence[Task],
        params: SamplingParams,
        kept: int,
        deadline: float,
    ):
        self._engine, self._metrics, self._tasks, self._params, self._kept = engine, metrics, tasks, params, kept
        self._began = time.monotonic()
        self._deadline = self._began + deadline
        self._mailbox = Mailbox()
        self._tickets = [Ticket(self._mailbox, task.prompt, params, task.make_rule) for task in tasks]
        self._number = {id(ticket): number for number, ticket in enumerate(self._tickets)}
        self._samples = [_Sample() for _ in range(params.n * len(tasks))]
        self.prompt_tokens = sum(len(task.prompt) for task in tasks)
        self.completion_tokens = 0
        if params.beams == 1:
            engine.submit(client, self._tickets)

    async def completions(self) -> list[Completion]:
        """What all choices say.

        Raises:
            ApiError: nothing was generated in time.
            CodeGeeXError: a prompt does not fit in memory.
        """
        found: dict[int, Completion] = {}
        async for batch in self.pieces():
            found |= {grown.index: grown.completion for grown in batch if grown.completion is not None}
        drawn, result = self._params.n, []
        for first in range(0, len(found), drawn):
            samples = [found[index] for index in range(first, first + drawn)]
            if self._kept < drawn:
                # One that the deadline cut before its first token is no candidate where there are others.
                samples.sort(key=lambda one: (not one.logprobs, -sum(one.logprobs) / max(1, len(one.logprobs))))
            result += samples[: self._kept]
        return result

    async def pieces(self) -> AsyncGenerator[list[Grown], None]:
        """What the choices grow by, in batches.

        Raises:
            As `completions`.
        """
        unfinished = len(self._tickets)
        if self._params.beams > 1:
            for number, task in enumerate(self._tasks):
                yield self._tell(number, await self._beams(task, self._tickets[number]))
            return
        while unfinished:
            try:
                # Cheaper than `wait_for`, which would make a task for each batch.
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._left):
                    news = await self._mailbox.take()
            except TimeoutError:
                yield self._cut()
                return
            batch: list[Grown] = []
            for entry in news:
                if entry.error is not None:
                    raise entry.error
                unfinished -= entry.ended
                batch += self._tell(self._number[id(entry.ticket)], entry.events)
            if batch:
                yield batch

    def close(self) -> None:
        """Nobody listens any more: cancel what is unfinished."""
        for ticket in self._tickets:
            ticket.cancel()
        self._observe()

    @property
    def timings(self) -> dict[str, float]:
        """Milliseconds since the request came: until the engine took it, its first token, and now."""

        def since(times: list[float]) -> float:
            known = [moment for moment in times if moment]
            return round((min(known) - self._began) * 1000, 2) if known else 0.0

        return {
            "started_ms": since([ticket.started for ticket in self._tickets]),
            "first_token_ms": since([ticket.first for ticket in self._tickets]),
            "total_ms": round((time.monotonic() - self._began) * 1000, 2),
        }

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _tell(self, number: int, events: Sequence[Event]) -> list[Grown]:
        """Events of a prompt as news of its choices. What a piece adds to a piece before it joins that one."""
        told: list[Grown] = []
        open_pieces: dict[int, Grown] = {}
        for event in events:
            index = number * self._params.n + event.index
            sample = self._samples[index]
            if isinstance(event, Piece):
                sample.texts.append(event.text)
                sample.choices += event.choices
                if grown := open_pieces.get(index):
                    grown.text += event.text
                    grown.choices = [*grown.choices, *event.choices]
                else:
                    told.append(open_pieces.setdefault(index, Grown(index, event.text, event.choices)))
            else:
                told.append(self._finish(index, event.completion))
        return told

    def _finish(self, index: int, completion: Completion) -> Grown:
        """The end of a choice, with the tokens that no piece has told: they had no text."""
        sample = self._samples[index]
        sample.done = True
        self.completion_tokens += len(completion.tokens)
        told = len(sample.choices)
        tops = completion.top or [()] * len(completion.tokens)
        rest = [
            Choice(token, logprob, top)
            for token, logprob, top in zip(
                completion.tokens[told:], completion.logprobs[told:], tops[told:], strict=True
            )
        ]
        text = completion.text if self._params.beams > 1 else ""  # of which no piece came before
        self._metrics.finished[completion.finish_reason] += 1
        return Grown(index, text, rest, completion.finish_reason, completion)

    def _cut(self) -> list[Grown]:
        """The end of all choices that are still open, at the deadline."""
        if not any(ticket.started for ticket in self._tickets):
            raise ApiError(
                503, "no place was free in time; try again later.", code="timeout", headers={"Retry-After": "2"}
            )
        return [
            self._finish(
                index,
                Completion(
                    "".join(sample.texts),
                    [choice.token for choice in sample.choices],
                    [choice.logprob for choice in sample.choices],
                    "length",
                    [choice.top for choice in sample.choices if choice.top],
                ),
            )
            for index, sample in enumerate(self._samples)
            if not sample.done
        ]

    async def _beams(self, task: Task, ticket: Ticket) -> list[Finished]:
        def search() -> list[Finished]:
            return self._engine.engine.search(task.prompt, self._params, task.make_rule, lambda: ticket.cancelled)

        ticket.started = time.monotonic()
        try:
            found = await asyncio.wait_for(self._engine.call(search), self._left)
        except TimeoutError:
            raise ApiError(503, "the beam search took too long: ask for fewer beams.", code="timeout") from None
        ticket.first = ticket.ended = time.monotonic()
        return found

    def _observe(self) -> None:
        now = time.monotonic()
        for ticket in self._tickets:
            if ticket.started:
                self._metrics.queue_time.observe(ticket.started - ticket.arrived)
            if ticket.first:
                self._metrics.first_token.observe(ticket.first - ticket.arrived)
        self._metrics.whole.observe(now - self._began)
        first = min((ticket.first for ticket in self._tickets if ticket.first), default=0.0)
        longest = max((len(sample.choices) for sample in self._samples), default=0)
        if first and longest > 1:
            self._metrics.between_tokens.observe((now - first) / (longest - 1), longest - 1)
