"""What a model is to the engine: sequences that tokens are appended to, and logits for what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from codegeex.config import ModelConfig

Handle = int
"""Names a sequence inside a backend."""


class Backend(Protocol):
    """Runs the model and keeps the key-value caches of open sequences.

    Positions run from 0 to `config.max_position_embeddings` - 1 in every sequence; the callers never exceed that.
    """

    name: str
    config: ModelConfig

    def prefill(self, ids: Sequence[int]) -> tuple[Handle, NDArray[np.float32]]:
        """Open a sequence with at least one token; returns it and the logits [V] of the next token."""

    def decode(self, sequences: Sequence[Handle], ids: Sequence[int]) -> NDArray[np.float32]:
        """Append one token to each of several sequences; returns the logits [B, V] of their next tokens."""

    def fork(self, sequence: Handle) -> Handle:
        """A new sequence with the same tokens."""

    def free(self, sequence: Handle) -> None:
        """Forget a sequence."""


BackendName = Literal["numpy", "torch"]


def make_backend(directory: str | Path, name: BackendName = "numpy") -> Backend:
    """The model of a native directory on the backend called `name`.

    Raises:
        CodeGeeXError: no model there, an unknown backend, or one whose library is not installed.
    """
    from codegeex.checkpoint import NativeSource
    from codegeex.errors import CodeGeeXError

    if name == "numpy":
        from codegeex.engine.numpy_backend import NumpyBackend

        return NumpyBackend(NativeSource(directory))
    if name == "torch":
        try:
            from codegeex.engine.torch_backend import TorchBackend
        except ImportError as error:
            if error.name != "torch":
                raise
            raise CodeGeeXError("the torch backend needs PyTorch: pip install 'codegeex[train]'.") from None
        return TorchBackend.load(directory)
    raise CodeGeeXError(f"unknown backend {name!r}; known: numpy, torch.")
