"""The PyTorch module as a backend: full precision, and any device that PyTorch knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codegeex.engine.backend import Handle
from codegeex.model import CodeGeeX, KVCache, load


class TorchBackend:
    """A `Backend` over a `CodeGeeX` module; one cache row for each open sequence.

    Args:
        model: the module, in evaluation mode; its device and type are used.
    """

    name = "torch"

    def __init__(self, model: CodeGeeX):
        self.model, self.config = model, model.config
        weight = model.word_embeddings.weight
        self._device = weight.device
        self._cache = KVCache(self.config, 1, self.config.max_position_embeddings, weight.dtype, self._device)
        self._free_rows: list[Handle] = [0]

    @classmethod
    def load(cls, directory: str | Path) -> TorchBackend:
        """The model of a directory: in half precision on an accelerator where there is one, else float32 on the CPU."""
        if torch.accelerator.is_available():
            device = torch.accelerator.current_accelerator()
            assert device is not None
            return cls(load(directory, torch.float16, device))
        return cls(load(directory))

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> tuple[Handle, NDArray[np.float32]]:
        row = self._new_row()
        return row, self._forward([row], [list(ids)])[0]

    @torch.inference_mode()
    def decode(self, sequences: Sequence[Handle], ids: Sequence[int]) -> NDArray[np.float32]:
        return self._forward(sequences, [[index] for index in ids])

    @torch.inference_mode()
    def fork(self, sequence: Handle) -> Handle:
        row = self._new_row()
        self._cache.copy_row(sequence, row)
        return row

    def free(self, sequence: Handle) -> None:
        self._free_rows.append(sequence)

    def _new_row(self) -> Handle:
        if not self._free_rows:
            rows = self._cache.lengths.numel()
            self._cache = self._cache.grown(2 * rows)
            self._free_rows = list(range(rows, 2 * rows))
        row = self._free_rows.pop()
        self._cache.lengths[row] = 0
        return row

    def _forward(self, rows: Sequence[Handle], ids: list[list[int]]) -> NDArray[np.float32]:
        """Append the same number of tokens to each row; the logits [B, V] after the last."""
        hidden = self.model.hidden(
            torch.tensor(ids, device=self._device),
            cache=self._cache,
            rows=torch.tensor(rows, device=self._device),
        )
        logits: NDArray[np.float32] = self.model.logits(hidden[:, -1]).cpu().numpy()
        return logits
