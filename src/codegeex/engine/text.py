"""What generation gives: pieces of text as they settle, and completions."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from codegeex.engine.sampling import Choice, Likeliest, SamplingParams
from codegeex.engine.stops import StopChecker, StopRule
from codegeex.tokenizer import Tokenizer

FinishReason = Literal["stop", "length"]
"""Ended by end-of-text, a stop text or rule; or by max_tokens or a full context."""

RuleFactory = Callable[[], StopRule | None]


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished sample.

    Attributes:
        text: what was generated, without what ended it.
        tokens: every id drawn, end-of-text included.
        logprobs: natural log-probability of each token under the untempered, unfiltered distribution.
        finish_reason: why it ended.
        top: the likeliest tokens in each place, as many as were asked for.
    """

    text: str
    tokens: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    top: list[Likeliest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that sample `index` has grown by, and what was drawn since the piece before.

    The tokens are not always those of the text: some may have come whose text has not settled yet.
    """

    index: int
    text: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """Sample `index` is complete."""

    index: int
    completion: Completion


Event = Piece | Finished


class GrowingText:
    """A text that grows by tokens: bytes to characters to what has settled.

    Args:
        tokenizer: its vocabulary.
        params: with the stop texts.
        rule: a fresh stop rule, or None.
        room: most tokens; at least 1.
    """

    def __init__(self, tokenizer: Tokenizer, params: SamplingParams, rule: StopRule | None, room: int):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._checker = StopChecker(params.stop, rule)
        self._shown = self._told = 0
        self._room = room
        self._choices: list[Choice] = []
        self.tokens: list[int] = []
        self.finish_reason: FinishReason | None = None

    def add(self, choice: Choice) -> None:
        """Append a token, and find out whether the text ends."""
        token = choice.token
        self.tokens.append(token)
        self._choices.append(choice)
        final = token == self._tokenizer.end_of_text
        piece = self._decoder.decode(b"" if final else self._tokenizer.decode_bytes([token]), final)
        if self._checker.feed(piece) or final:
            self._checker.finish()
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._room:
            self._checker.feed(self._decoder.decode(b"", True))
            self.finish_reason = "length"

    @property
    def left(self) -> int:
        """Tokens that may still come."""
        return self._room - len(self.tokens)

    def piece(self, index: int) -> Piece | None:
        """What has settled since the last piece, everything once the text is finished; None where that is nothing."""
        end = self._checker.settled if self.finish_reason is None else len(self._checker.text)
        if end <= self._shown:
            return None
        told, self._told = self._told, len(self._choices)
        start, self._shown = self._shown, end
        return Piece(index, self._checker.text[start:end], tuple(self._choices[told:]))

    def completion(self) -> Completion:
        assert self.finish_reason is not None
        logprobs = [choice.logprob for choice in self._choices]
        top = [choice.top for choice in self._choices if choice.top]
        return Completion(self._checker.text, self.tokens, logprobs, self.finish_reason, top)
