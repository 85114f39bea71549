"""Prompt-lookup speculation: what followed the last tokens when they came before is a guess at what comes now.

Translation, editing and code that repeats itself are full of such copies. A guess costs little: its tokens are verified
together in one pass over the weights, which at small batches takes about as long as a single token. Every verified
position is drawn with the sample's own random numbers, so that the result is the same as without guessing.
"""

from __future__ import annotations

from collections.abc import Sequence

NGRAM = 3
"""Tokens that must have come before. Two guess wrongly more than half of the time, four miss short names."""

FIRST_GUESS = 3
PAUSE = 16
"""Tokens without a guess after guessing has failed."""


class PromptLookup:
    """Guesses for one growing sequence.

    Args:
        tokens: the sequence; the caller appends to it.
    """

    def __init__(self, tokens: Sequence[int]):
        self._tokens = tokens
        self._after: dict[tuple[int, ...], int] = {}  # n-gram → where its last occurrence that something follows ends
        self._indexed = NGRAM
        self._trust = FIRST_GUESS
        self._resume = 0

    def guess(self, most: int) -> list[int]:
        """Up to `most` tokens that may come next."""
        if most <= 0 or len(self._tokens) < self._resume:
            return []
        for end in range(self._indexed, len(self._tokens)):
            self._after[tuple(self._tokens[end - NGRAM : end])] = end
        self._indexed = max(self._indexed, len(self._tokens))
        start = self._after.get(tuple(self._tokens[-NGRAM:]))
        return [] if start is None else list(self._tokens[start : start + min(most, self._trust)])

    def learn(self, guessed: int, right: int) -> None:
        """Say how many tokens of a guess were right; guesses grow and shrink with that."""
        if right == guessed:
            self._trust += guessed
        elif right:
            self._trust = right + 1
        else:
            self._trust = FIRST_GUESS
            self._resume = len(self._tokens) + PAUSE
