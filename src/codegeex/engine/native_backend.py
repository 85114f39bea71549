"""The C++ engine as a backend: int8 weights, 16-bit activations, a paged key-value cache in half precision.

The computation and its numbers are described in `native/kernels.h`, the order of a step in `native/model.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codegeex._native as _native
from codegeex.checkpoint.quantize import Int8Source
from codegeex.checkpoint.safetensors_file import release_pages
from codegeex.checkpoint.source import TensorSource, as_float32, scale_name
from codegeex.engine.backend import CACHE_SHARE, Backend, Handle
from codegeex.engine.machine import available_processors, free_memory
from codegeex.errors import CodeGeeXError

Array = NDArray[np.float32]

MOST_THREADS = 16
"""Memory is saturated long before, and threads that spin at barriers take cores from others."""

_LINEARS = {
    "attention.query": "query",
    "attention.key": "key",
    "attention.value": "value",
    "attention.dense": "dense",
    "mlp.dense_h_to_4h": "up",
    "mlp.dense_4h_to_h": "down",
}


class NativeBackend(Backend):
    """A `Backend` over packed int8 weights.

    Args:
        source: the model; a float one is quantised while it is read. One tensor at a time is in memory beside the
            packed weights. Embedding tables are used where they lie, memory-mapped.
        threads: that compute; by default one for each processor that this process may use, 16 at most.
        cache_bytes: most memory for keys and values; by default half of what is free once the weights are packed.
        kernels: "avx512", "avxvnni", "avx2", "portable", or "auto" for the best that the processor can run.

    Raises:
        CodeGeeXError: weights that are not finite, or a shape that the kernels do not support.
    """

    name = "native"
    cheap_tokens = 5  # what the AVX-512 kernels multiply together with the first

    def __init__(
        self, source: TensorSource, threads: int | None = None, cache_bytes: int | None = None, kernels: str = "auto"
    ):
        self.config = source.config
        if threads is None:
            threads = min(available_processors(), MOST_THREADS)
        if cache_bytes is None:
            weights = sum(spec.nbytes for spec in source.specs.values())
            cache_bytes = int(CACHE_SHARE * max(0, free_memory() - weights))
        page_bytes = _native.page_bytes(
            self.config.hidden_size, self.config.num_layers, self.config.num_attention_heads
        )
        enough = -(-self.config.max_position_embeddings // _native.PAGE_TOKENS)  # for one full context
        try:
            self.model = _native.Model(
                hidden=self.config.hidden_size,
                layers=self.config.num_layers,
                heads=self.config.num_attention_heads,
                vocabulary=self.config.vocab_size,
                positions=self.config.max_position_embeddings,
                ffn=self.config.ffn_hidden_size,
                epsilon=self.config.layernorm_epsilon,
                threads=threads,
                cache_pages=max(enough, min(cache_bytes // page_bytes, 2**30)),
                kernels=kernels,
            )
            self._load(source)
        except ValueError as error:
            raise CodeGeeXError(f"the native engine cannot run this model: {error}.") from None
        except RuntimeError as error:  # no more threads
            raise CodeGeeXError(f"the native engine cannot begin with {threads} threads: {error}.") from None
        self._logits: Array = np.empty((0, self.config.vocab_size), dtype=np.float32)

    def open(self) -> Handle:
        return self.model.open()

    def fork(self, sequence: Handle) -> Handle:
        return self.model.fork(sequence)

    def free(self, sequence: Handle) -> None:
        self.model.free(sequence)

    def truncate(self, sequence: Handle, length: int) -> None:
        self.model.truncate(sequence, length)

    def step(self, sequences: Sequence[Handle], ids: Sequence[Sequence[int]], wanted: Sequence[int]) -> Array:
        """As the protocol says, and the results for one sequence do not depend on the others, to the last bit.

        Raises:
            ValueError: a sequence that is not open or comes twice, an id or length out of range. Nothing has changed.
            MemoryError: the cache is full. Nothing has changed.
        """
        rows = sum(wanted)
        if rows > len(self._logits):
            self._logits = np.empty((rows, self.config.vocab_size), dtype=np.float32)
        logits = self._logits[:rows]
        flat = [index for new in ids for index in new]
        self.model.step(list(sequences), [len(new) for new in ids], list(wanted), flat, logits)
        return logits

    def _load(self, source: TensorSource) -> None:
        if source.config.quantization is None:
            source = Int8Source(source)
        names = [*(f"layers.{index}" for index in range(self.config.num_layers)), "top_query_layer"]
        for index, layer in enumerate(names):
            if index == self.config.num_layers:
                self.model.set_norm(0, "final", *_norm(source, "final_layernorm"))
            self.model.set_norm(index, "input", *_norm(source, f"{layer}.input_layernorm"))
            self.model.set_norm(index, "attention", *_norm(source, f"{layer}.post_attention_layernorm"))
            for tensor, name in _LINEARS.items():
                weight = f"{layer}.{tensor}.weight"
                weights = source.read(weight)
                scales = _float32(source, scale_name(weight))
                bias = _float32(source, f"{layer}.{tensor}.bias")
                self.model.set_linear(index, name, weights, scales, bias)
                release_pages(weights)
        tables = [source.read(f"{name}_embeddings.weight") for name in ("word", "position", "query")]
        self.model.set_tables(*tables)
        for table in tables:  # all of whose rows were read; from now on a step reads a few
            release_pages(table)
        self.model.check_complete()


def _norm(source: TensorSource, name: str) -> tuple[Array, Array]:
    return _float32(source, f"{name}.weight"), _float32(source, f"{name}.bias")


def _float32(source: TensorSource, name: str) -> NDArray[Any]:
    return as_float32(source.read(name), source.specs[name].dtype)
