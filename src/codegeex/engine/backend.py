"""What a model is to the engine: sequences that tokens are appended to, and logits for what comes next."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, get_args

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
        """Append one token to each of several sequences; returns the logits [B, V] of their next tokens.

        Logits are valid until the next call that computes.
        """

    def fork(self, sequence: Handle) -> Handle:
        """A new sequence with the same tokens."""

    def free(self, sequence: Handle) -> None:
        """Forget a sequence."""


BackendName = Literal["auto", "native", "numpy", "torch"]


def make_backend(directory: str | Path, name: BackendName = "auto") -> Backend:
    """The model of a native directory on the backend called `name`.

    "auto" is the native one; where codegeex was built without a C++ compiler, the numpy one and a warning.

    Raises:
        CodeGeeXError: no model there, an unknown backend, or one that is not installed.
    """
    from codegeex.checkpoint import NativeSource
    from codegeex.errors import CodeGeeXError

    if name in ("auto", "native"):
        try:
            from codegeex.engine.native_backend import NativeBackend
        except ImportError as error:
            if error.name != "codegeex._native":
                raise
            if name == "native":
                raise CodeGeeXError(f"{_NOT_COMPILED}, or choose the torch or numpy backend.") from None
            warnings.warn(f"{_NOT_COMPILED}. Until then the slower numpy backend does the work.", stacklevel=2)
            name = "numpy"
        else:
            return NativeBackend(NativeSource(directory))
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
    raise CodeGeeXError(f"unknown backend {name!r}; known: {', '.join(get_args(BackendName))}.")


_NOT_COMPILED = (
    "codegeex was installed without its C++ engine; install a compiler (GCC 11 or Clang 14) and codegeex again"
)
