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
    cheap_tokens: int
    """Further tokens of a step that computes one, which together cost less than a step of their own."""

    def open(self) -> Handle:
        """A new sequence without tokens."""

    def step(
        self, sequences: Sequence[Handle], ids: Sequence[Sequence[int]], wanted: Sequence[int]
    ) -> NDArray[np.float32]:
        """Append `ids[i]`, at least one, to `sequences[i]`, all in one pass over the weights.

        Whole prompts, parts of them, single tokens and drafts to be verified may be mixed in one step.

        Returns:
            The logits after the last `wanted[i]` of the new tokens of each sequence, [sum(wanted), V], in order. The
            caller may write to them; the next step may use the array again.

        Raises:
            MemoryError: there is no room for so many keys and values. Nothing has changed.
        """

    def fork(self, sequence: Handle) -> Handle:
        """A new sequence with the same tokens.

        Raises:
            MemoryError: there is no room for it.
        """

    def truncate(self, sequence: Handle, length: int) -> None:
        """Forget all but the first `length` tokens of a sequence."""

    def free(self, sequence: Handle) -> None:
        """Forget a sequence."""

    def prefill(self, ids: Sequence[int]) -> tuple[Handle, NDArray[np.float32]]:
        """A new sequence with some tokens, and the logits [V] of the next one."""
        sequence = self.open()
        try:
            return sequence, self.step([sequence], [ids], [1])[0].copy()
        except BaseException:
            self.free(sequence)
            raise

    def decode(self, sequences: Sequence[Handle], ids: Sequence[int]) -> NDArray[np.float32]:
        """Append one token to each of several sequences; the logits [B, V] of their next ones, as `step` gives them."""
        return self.step(sequences, [[index] for index in ids], [1] * len(sequences))


CACHE_SHARE = 0.5
"""Part of the free memory that keys and values may grow to, where the caller does not say."""


BackendName = Literal["auto", "native", "numpy", "torch"]


def make_backend(directory: str | Path, name: BackendName = "auto", threads: int | None = None) -> Backend:
    """The model of a native directory on the backend called `name`, the native one with so many `threads`.

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
            return NativeBackend(NativeSource(directory), threads)
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
