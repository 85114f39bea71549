"""A backend whose logits are a function of the tokens so far, and which notices every misuse of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from codegeex.config import ModelConfig
from codegeex.tokenizer import Tokenizer

Logits = NDArray[np.float32]


class ScriptedBackend:
    """Gives the logits `table(generated)` [V] after a prompt and the tokens `generated` after it.

    Attributes:
        open: the tokens of every open sequence, prompt included.
        prefills, forks, decodes: how often each was called.
    """

    name = "scripted"

    def __init__(self, table: Callable[[tuple[int, ...]], Logits], vocab_size: int, positions: int = 4096):
        self.config = ModelConfig(1, 1, 1, vocab_size, positions)
        self._table = table
        self.open: dict[int, list[int]] = {}
        self.prefills = self.forks = self.decodes = 0
        self._last = 100
        self._prompt_length = 0

    def prefill(self, ids: Sequence[int]) -> tuple[int, Logits]:
        assert ids
        self.prefills += 1
        self._prompt_length = len(ids)
        handle = self._opened(ids)
        return handle, self._logits(handle)

    def decode(self, sequences: Sequence[int], ids: Sequence[int]) -> Logits:
        assert len(set(sequences)) == len(sequences) == len(ids) > 0
        self.decodes += 1
        for handle, token in zip(sequences, ids, strict=True):
            self.open[handle].append(int(token))
        return np.stack([self._logits(handle) for handle in sequences])

    def fork(self, sequence: int) -> int:
        self.forks += 1
        return self._opened(self.open[sequence])

    def free(self, sequence: int) -> None:
        del self.open[sequence]

    def _opened(self, ids: Sequence[int]) -> int:
        self._last += 1
        self.open[self._last] = list(ids)
        return self._last

    def _logits(self, handle: int) -> Logits:
        ids = self.open[handle]
        assert len(ids) <= self.config.max_position_embeddings, "the context is full"
        return self._table(tuple(ids[self._prompt_length :])).astype(np.float32)


def saying(tokenizer: Tokenizer, ids: Sequence[int], positions: int = 4096, padding: int = 3) -> ScriptedBackend:
    """A model that is all but certain of `ids` and of end-of-text after them."""

    def table(generated: tuple[int, ...]) -> Logits:
        logits = np.zeros(len(tokenizer) + padding, dtype=np.float32)
        place = len(generated)
        logits[ids[place] if place < len(ids) else tokenizer.end_of_text] = 50
        return logits

    return ScriptedBackend(table, len(tokenizer) + padding, positions)
