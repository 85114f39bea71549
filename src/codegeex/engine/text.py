"""What generation gives: pieces of text as they settle, and completions."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from codegeex.engine.sampling import SamplingParams
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
    """

    text: str
    tokens: list[int]
    logprobs: list[float]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that sample `index` has grown by."""

    index: int
    text: str


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
        self._shown = 0
        self._room = room
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.finish_reason: FinishReason | None = None

    def add(self, token: int, logprob: float) -> None:
        """Append a token, and find out whether the text ends."""
        self.tokens.append(token)
        self.logprobs.append(logprob)
        final = token == self._tokenizer.end_of_text
        piece = self._decoder.decode(b"" if final else self._tokenizer.decode_bytes([token]), final)
        if self._checker.feed(piece) or final:
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._room:
            self._checker.feed(self._decoder.decode(b"", True))
            self.finish_reason = "length"

    @property
    def left(self) -> int:
        """Tokens that may still come."""
        return self._room - len(self.tokens)

    def fresh(self) -> str:
        """What has settled since the last call; everything once the text is finished."""
        end = self._checker.settled if self.finish_reason is None else len(self._checker.text)
        start, self._shown = self._shown, max(self._shown, end)
        return self._checker.text[start : self._shown]

    def completion(self) -> Completion:
        assert self.finish_reason is not None
        return Completion(self._checker.text, self.tokens, self.logprobs, self.finish_reason)
