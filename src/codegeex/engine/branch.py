"""Samples that have said the same so far: one sequence computes for all of them, until their draws differ."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from codegeex.engine.backend import Handle
from codegeex.engine.lookup import PromptLookup
from codegeex.engine.sampling import Row, Sampler
from codegeex.engine.text import Event, Finished, GrowingText

SHARED = 16
"""Tokens of a common beginning that are worth waiting for, and keeping a sequence for."""


@dataclass(eq=False, slots=True)
class Request:
    """What a caller waits for.

    Attributes:
        unfinished: samples that still grow.
        events: what has happened and nobody has taken yet.
        error: why nothing more will come.
        abandoned: whether nobody listens any more; set it to cancel the request.
    """

    unfinished: int
    events: deque[Event] = field(default_factory=deque)
    error: BaseException | None = None
    abandoned: bool = False

    @property
    def ready(self) -> bool:
        """Whether there is something to hear."""
        return bool(self.events) or not self.unfinished or self.error is not None

    def fail(self, error: BaseException) -> None:
        self.error, self.abandoned = error, True


@dataclass(eq=False, slots=True)
class Sample:
    """One text in the making, of a request's `index`-th sample."""

    request: Request
    index: int
    text: GrowingText
    sampler: Sampler

    def draw(self, rows: Sequence[Row], guess: Sequence[int]) -> tuple[int, ...]:
        """Tokens from 1 + guessed rows, as long as the guess is drawn; then tell the request."""
        drawn: list[int] = []
        for row, guessed in zip_longest(rows, guess):
            choice = self.sampler.draw(row)
            self.text.add(choice)
            drawn.append(choice.token)
            if self.text.finish_reason is not None or choice.token != guessed:
                break
        if piece := self.text.piece(self.index):
            self.request.events.append(piece)
        if self.text.finish_reason is not None:
            self.request.events.append(Finished(self.index, self.text.completion()))
            self.request.unfinished -= 1
        return tuple(drawn)


@dataclass(eq=False, slots=True, weakref_slot=True)
class Branch:
    """A list of tokens, the prompt first, and the samples that have it in common.

    Attributes:
        tokens: the prompt and what has been drawn.
        samples: whose text this is so far.
        lookup: guesses at the next tokens; None for no guesses.
        keep: whether its sequence is kept at the end: the first sample of a request has ended or been cancelled here.
        handle: its sequence, where it has one.
        computed: how many of the tokens the sequence holds.
    """

    tokens: list[int]
    samples: list[Sample]
    lookup: PromptLookup | None
    keep: bool = False
    handle: Handle | None = None
    computed: int = 0

    @property
    def missing(self) -> int:
        return len(self.tokens) - self.computed

    @property
    def left(self) -> int:
        """Tokens that may still come."""
        return max(sample.text.left for sample in self.samples)

    @property
    def sequence(self) -> Handle:
        """That of a branch which is in the batch."""
        assert self.handle is not None
        return self.handle

    def drop_abandoned(self) -> None:
        """Let samples go that nobody waits for."""
        self.keep |= any(sample.request.abandoned and not sample.index for sample in self.samples)
        self.samples = [sample for sample in self.samples if not sample.request.abandoned]

    def will_hold(self, tokens: list[int]) -> bool:
        """Whether this branch will soon have computed so much more of `tokens` that it pays to wait for it."""
        if self.missing <= 1:
            return False
        same = common(tokens[:-1], self.tokens)
        more = same - self.computed
        return more > 0 and (more >= SHARED or same == len(tokens) - 1)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
