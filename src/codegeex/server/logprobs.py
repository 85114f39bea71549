"""Log-probabilities in the shape of OpenAI's completions."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from typing import Any

from codegeex.engine.sampling import Choice
from codegeex.tokenizer import Tokenizer

LOWEST = -9999.0
"""Stands for a probability of 0, whose logarithm JSON cannot write."""


class LogprobWriter:
    """Writes down the tokens of one choice, in parts.

    Args:
        tokenizer: its vocabulary.
        top: how many of the likeliest tokens are wanted.
        offset: where the first token stands in the choice's text.
    """

    def __init__(self, tokenizer: Tokenizer, top: int, offset: int = 0):
        self._tokenizer, self._top = tokenizer, top
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._offset = offset

    def write(self, choices: Iterable[Choice | int]) -> dict[str, Any]:
        """The next tokens. Those without a probability, as the first of a prompt, are given as bare ids.

        Returns:
            A `Logprobs` object. An end-of-text that was drawn stands in it too, as with OpenAI, though the text ends
            before it: harnesses that score prompts count on a place for every token.
        """
        tokens: list[str] = []
        logprobs: list[float | None] = []
        tops: list[dict[str, float] | None] = []
        offsets: list[int] = []
        for choice in choices:
            token = choice if isinstance(choice, int) else choice.token
            tokens.append(self._name(token))
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(self._tokenizer.decode_bytes([token])))
            if isinstance(choice, int):
                logprobs.append(None)
                tops.append(None)
            else:
                logprobs.append(max(choice.logprob, LOWEST))
                tops.append(self._likeliest(choice))
        return {
            "tokens": tokens,
            "token_logprobs": logprobs,
            "top_logprobs": tops if self._top else None,
            "text_offset": offsets,
        }

    def _likeliest(self, choice: Choice) -> dict[str, float]:
        """As OpenAI's: with the token that was drawn, even where it is none of the likeliest."""
        pairs: Sequence[tuple[int, float]] = [*choice.top, (choice.token, choice.logprob)]
        return {self._name(token): max(logprob, LOWEST) for token, logprob in pairs}

    def _name(self, token: int) -> str:
        data = self._tokenizer.decode_bytes([token])
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
