"""The model in plain numpy and float32: slow but right, and all that the base install needs.

The computation is that of `codegeex.model.transformer`, restricted to inference. Every step is one pass over a list
of tokens, each of which belongs to a sequence. Linear maps see all tokens at once; only attention looks at sequences
one by one.

Shapes: R tokens in the pass, T of them in one sequence, S tokens in that sequence so far, N heads, D head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.quantize import dequantize
from codegeex.checkpoint.source import TensorSource, as_float32, scale_name, tensor_shapes
from codegeex.config import ModelConfig
from codegeex.engine.backend import CACHE_SHARE, Backend, Handle
from codegeex.engine.machine import free_memory

Array = NDArray[np.float32]

FIRST_CAPACITY = 128
"""Tokens that a new sequence has room for; it doubles when full."""


class _Cache:
    """Keys and values of one sequence, [L + 1, 2, capacity, N, D]."""

    def __init__(self, config: ModelConfig):
        self.length = 0
        self._longest = config.max_position_embeddings
        capacity = min(FIRST_CAPACITY, self._longest)
        shape = (config.num_layers + 1, 2, capacity, config.num_attention_heads, config.head_size)
        self.data: Array = np.empty(shape, dtype=np.float32)

    def bytes_for(self, tokens: int) -> int:
        """Memory that the cache will take with `tokens` more.

        Raises:
            ValueError: so many exceed the model's positions.
        """
        if self.length + tokens > self._longest:
            raise ValueError(f"{self.length + tokens} tokens exceed the model's {self._longest} positions")
        return self.data[:, :, 0].nbytes * self._capacity(tokens)

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` more."""
        capacity = self._capacity(tokens)
        if capacity > self.data.shape[2]:
            grown = np.empty((*self.data.shape[:2], capacity, *self.data.shape[3:]), dtype=np.float32)
            grown[:, :, : self.length] = self.data[:, :, : self.length]
            self.data = grown

    def copy(self) -> _Cache:
        twin = object.__new__(_Cache)
        twin.length, twin._longest, twin.data = self.length, self._longest, self.data.copy()
        return twin

    def _capacity(self, tokens: int) -> int:
        capacity = int(self.data.shape[2])
        while capacity < self.length + tokens:
            capacity *= 2
        return min(capacity, self._longest)


class NumpyBackend(Backend):
    """A `Backend` over a tensor source, whose weights it holds in float32.

    Args:
        source: the model.
        cache_bytes: most memory for keys and values; by default half of what is free once the weights are loaded.
            One sequence always has room.
    """

    name = "numpy"
    cheap_tokens = 5

    def __init__(self, source: TensorSource, cache_bytes: int | None = None):
        self.config = source.config
        self._weights = {name: _float32(source, name) for name in tensor_shapes(source.config)}
        self._caches: dict[Handle, _Cache] = {}
        self._handles = count()
        self._cache_bytes = int(CACHE_SHARE * free_memory()) if cache_bytes is None else cache_bytes

    def open(self) -> Handle:
        handle = next(self._handles)
        self._caches[handle] = _Cache(self.config)
        return handle

    def fork(self, sequence: Handle) -> Handle:
        handle = next(self._handles)
        self._check_room({**self._sizes(), handle: self._caches[sequence].data.nbytes})
        self._caches[handle] = self._caches[sequence].copy()
        return handle

    def truncate(self, sequence: Handle, length: int) -> None:
        self._caches[sequence].length = length

    def free(self, sequence: Handle) -> None:
        del self._caches[sequence]

    def step(self, sequences: Sequence[Handle], ids: Sequence[Sequence[int]], wanted: Sequence[int]) -> Array:
        caches = [self._caches[handle] for handle in sequences]
        needed = {h: c.bytes_for(len(new)) for h, c, new in zip(sequences, caches, ids, strict=True)}
        self._check_room(self._sizes() | needed)
        for cache, new in zip(caches, ids, strict=True):
            cache.reserve(len(new))
        flat = np.concatenate([np.asarray(new, dtype=np.int64) for new in ids])  # [R]
        positions = np.concatenate(
            [np.arange(cache.length, cache.length + len(new)) for cache, new in zip(caches, ids, strict=True)]
        )
        ends = np.cumsum([len(new) for new in ids])

        x = self._weights["word_embeddings.weight"][flat] + self._weights["position_embeddings.weight"][positions]
        for index in range(self.config.num_layers):
            x = self._layer(f"layers.{index}", index, x, None, caches, ends)
        u = self._layer_norm("final_layernorm", x)
        query = self._weights["query_embeddings.weight"][positions]
        z = self._layer("top_query_layer", self.config.num_layers, u, query, caches, ends)
        for cache, new in zip(caches, ids, strict=True):
            cache.length += len(new)
        rows = np.concatenate([np.arange(end - count, end) for end, count in zip(ends, wanted, strict=True)])
        logits: Array = z[rows] @ self._weights["word_embeddings.weight"].T
        return logits

    def _sizes(self) -> dict[Handle, int]:
        return {handle: cache.data.nbytes for handle, cache in self._caches.items()}

    def _check_room(self, sizes: dict[Handle, int]) -> None:
        if len(sizes) > 1 and sum(sizes.values()) > self._cache_bytes:
            raise MemoryError(f"the key-value cache of {self._cache_bytes} bytes is full")

    def _layer(
        self, name: str, index: int, x: Array, query: Array | None, caches: Sequence[_Cache], ends: NDArray[np.int64]
    ) -> Array:
        """One pre-LayerNorm layer on x [R, h]; `query` [R, h] makes it the top query layer."""
        normed = self._layer_norm(f"{name}.input_layernorm", x)
        shape = (-1, self.config.num_attention_heads, self.config.head_size)
        queries = self._linear(f"{name}.attention.query", normed if query is None else query).reshape(shape)
        keys = self._linear(f"{name}.attention.key", normed).reshape(shape)
        values = self._linear(f"{name}.attention.value", normed).reshape(shape)
        context = np.empty_like(queries)  # [R, N, D]
        start = 0
        for cache, end in zip(caches, ends, strict=True):
            stored, total = cache.length, cache.length + end - start
            cache.data[index, 0, stored:total] = keys[start:end]
            cache.data[index, 1, stored:total] = values[start:end]
            context[start:end] = _attend(
                queries[start:end], cache.data[index, 0, :total], cache.data[index, 1, :total], stored
            )
            start = end
        x = x + self._linear(f"{name}.attention.dense", context.reshape(x.shape))
        hidden = self._linear(f"{name}.mlp.dense_h_to_4h", self._layer_norm(f"{name}.post_attention_layernorm", x))
        return x + self._linear(f"{name}.mlp.dense_4h_to_h", _fast_gelu(hidden))

    def _linear(self, name: str, x: Array) -> Array:
        product: Array = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return product

    def _layer_norm(self, name: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normed: Array = centred / np.sqrt(variance + np.float32(self.config.layernorm_epsilon))
        return normed * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _attend(query: Array, keys: Array, values: Array, stored: int) -> Array:
    """Causal attention of T new tokens [T, N, D] over S keys and values [S, N, D]; returns [T, N, D]."""
    scores = query.transpose(1, 0, 2) @ keys.transpose(1, 2, 0) / np.float32(np.sqrt(query.shape[-1]))  # [N, T, S]
    if len(query) > 1:
        future = np.arange(len(keys)) > stored + np.arange(len(query))[:, None]  # [T, S]
        scores[:, future] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    probabilities = np.exp(scores, out=scores)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    context: Array = (probabilities @ values.transpose(1, 0, 2)).transpose(1, 0, 2)
    return context


def _fast_gelu(x: Array) -> Array:
    """x · sigmoid(1.702 x); exp overflows to infinity for very negative x, which gives the right 0."""
    with np.errstate(over="ignore"):
        gelu: Array = x / (1 + np.exp(np.float32(-1.702) * x))
    return gelu


def _float32(source: TensorSource, name: str) -> Array:
    spec = source.specs[name]
    if spec.dtype == "I8":
        return dequantize(source.read(name), source.read(scale_name(name)))
    return as_float32(source.read(name), spec.dtype)
