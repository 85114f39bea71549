"""A backend whose logits are a function of the tokens so far, and which notices every misuse of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from codegeex.config import ModelConfig
from codegeex.engine import Backend
from codegeex.tokenizer import Tokenizer

Logits = NDArray[np.float32]


class ScriptedBackend(Backend):
    """Gives the logits `table(generated)` [V] after a prompt and the tokens `generated` after it.

    Args:
        table: the model.
        vocab_size: V.
        positions: of the model.
        prompt_length: tokens at the beginning of every sequence that `table` does not see; by default as many as the
            first sequence begins with.
        memory: most tokens of all sequences together.

    Attributes:
        open: the tokens of every open sequence, prompt included.
        prefills, forks, steps: how often a sequence got its first tokens, a fork, and how often the model ran.
        computed: tokens that went through the model.
    """

    name = "scripted"
    cheap_tokens = 5

    def __init__(
        self,
        table: Callable[[tuple[int, ...]], Logits],
        vocab_size: int,
        positions: int = 4096,
        prompt_length: int | None = None,
        memory: int = 10**9,
    ):
        self.config = ModelConfig(1, 1, 1, vocab_size, positions)
        self._table, self._prompt_length, self._memory = table, prompt_length, memory
        self.open_sequences: dict[int, list[int]] = {}
        self.prefills = self.forks = self.steps = self.computed = 0
        self._last = 100

    def open(self) -> int:
        return self._opened([])

    def step(self, sequences: Sequence[int], ids: Sequence[Sequence[int]], wanted: Sequence[int]) -> Logits:
        assert len(set(sequences)) == len(sequences) == len(ids) == len(wanted) > 0
        if sum(map(len, [*self.open_sequences.values(), *ids])) > self._memory:
            raise MemoryError
        self.steps += 1
        rows = []
        for handle, new, asked in zip(sequences, ids, wanted, strict=True):
            held = self.open_sequences[handle]
            assert 0 <= asked <= len(new) > 0
            self.prefills += not held
            if self._prompt_length is None:
                self._prompt_length = len(new)
            held.extend(map(int, new))
            self.computed += len(new)
            assert len(held) <= self.config.max_position_embeddings, "the context is full"
            rows += [self._logits(held[: len(held) - back]) for back in reversed(range(asked))]
        return np.array(rows, dtype=np.float32).reshape(-1, self.config.vocab_size)

    def fork(self, sequence: int) -> int:
        self.forks += 1
        return self._opened(self.open_sequences[sequence])

    def truncate(self, sequence: int, length: int) -> None:
        assert 0 <= length <= len(self.open_sequences[sequence])
        del self.open_sequences[sequence][length:]

    def free(self, sequence: int) -> None:
        del self.open_sequences[sequence]

    def _opened(self, ids: Sequence[int]) -> int:
        self._last += 1
        self.open_sequences[self._last] = list(ids)
        return self._last

    def _logits(self, ids: Sequence[int]) -> Logits:
        assert self._prompt_length is not None
        return self._table(tuple(ids[self._prompt_length :])).astype(np.float32)


def saying(tokenizer: Tokenizer, ids: Sequence[int], positions: int = 4096, padding: int = 3) -> ScriptedBackend:
    """A model that is all but certain of `ids` and of end-of-text after them."""

    def table(generated: tuple[int, ...]) -> Logits:
        logits = np.zeros(len(tokenizer) + padding, dtype=np.float32)
        place = len(generated)
        logits[ids[place] if place < len(ids) else tokenizer.end_of_text] = 50
        return logits

    return ScriptedBackend(table, len(tokenizer) + padding, positions)
