"""Encoding many texts, as fast as it can be had: with fastokens where it is installed, else with `tokenizers`.

fastokens gives the same ids twenty times as fast. That it does is asked of every vocabulary before it is trusted, with
texts in which encoders have been seen to differ; the tests ask with many more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegeex.errors import CodeGeeXError
from codegeex.tokenizer.tokenizer import END_OF_TEXT, FIM_TOKENS, NOT_TEXT, Tokenizer

PROBES: tuple[str, ...] = (
    *(f"a{' ' * length}b\n{' ' * length}'s" for length in range(23)),
    "\tx\t\t  y \t z\r\n\r\n  \n\n\n   ",
    "it's 'Matrix we'll I'VE don't 12345 x²³ ½ …—“quoted”\u00a0\u2003é\u0301 你好 😀👩‍👩‍👧 Ωß",
    f"{END_OF_TEXT}{''.join(FIM_TOKENS)} <|extratoken_15|>",
    "for (int i = 0; i < n; ++i) { total += values[i]; }\n" * 3,
)
"""Runs of spaces up to two of the longest tokens and more, mixed white space, contractions, numbers, other scripts, the
spelling of special tokens."""


class BatchEncoder:
    """A tokenizer for many texts at a time. A copy in another process is made anew there.

    Args:
        tokenizer: whose ids these are.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchEncoder, (self.tokenizer,)

    def __call__(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """The ids of each text, as `Tokenizer.encode`, on all cores.

        Raises:
            CodeGeeXError: a text holds lone surrogates, which no UTF-8 file can.
        """
        if self._fast is None:
            return [np.array(ids, np.uint32) for ids in self.tokenizer.encode_batch(texts)]
        return _encode(self._fast, texts)

    @property
    def library(self) -> str:
        """What does the work."""
        return "tokenizers" if self._fast is None else "fastokens"

    @cached_property
    def _fast(self) -> Any:
        """The fast encoder, or None where there is none that gives the same ids."""
        try:
            import fastokens
        except ImportError:
            return None
        try:
            fast = fastokens.Tokenizer.from_json_str(self.tokenizer.backend.to_str())
        except ValueError:  # a kind of tokenizer that it does not know
            return None
        same = zip(_encode(fast, PROBES), self.tokenizer.encode_batch(PROBES), strict=True)
        return fast if all(one.tolist() == other for one, other in same) else None


def _encode(fast: Any, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
    try:
        # Without the flag, the spelling of a special token in a text would become the token.
        ids, places = fast.encode_batch_flat(list(texts), split_special_tokens=True)
    except (UnicodeEncodeError, TypeError):
        raise CodeGeeXError(NOT_TEXT) from None
    flat = np.frombuffer(ids, "<u4")
    return [flat[start:end] for start, end in zip(*_ranges(places), strict=True)]


def _ranges(places: bytes) -> tuple[list[int], list[int]]:
    ends = np.frombuffer(places, "<u8").tolist()
    return ends[:-1], ends[1:]
