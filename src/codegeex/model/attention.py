"""Multi-head causal attention and its key-value cache (paper section 3.2).

Shapes: B sequences, T new tokens each, S cached and new tokens, N heads, D head size, h = N * D.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codegeex.config import ModelConfig


class KVCache:
    """Keys and values of the tokens seen so far, for `rows` independent sequences of different lengths.

    Memory: 2 * (num_layers + 1) * h numbers a token; 1.56 GiB at 2,048 tokens for one 13B sequence in half precision.

    Attributes:
        lengths: [rows] tokens stored in each row.
    """

    def __init__(
        self, config: ModelConfig, rows: int, capacity: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ):
        shape = (config.num_layers + 1, rows, capacity, config.num_attention_heads, config.head_size)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)  # [L + 1, rows, capacity, N, D]
        self.values = torch.zeros_like(self.keys)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.capacity = capacity

    def begin(self, rows: Tensor, new_tokens: int) -> CacheStep:
        """A step that appends `new_tokens` tokens to each of `rows` [B]; `CacheStep.commit` ends it.

        Raises:
            ValueError: a row has no room for them.
        """
        positions = self.lengths[rows, None] + torch.arange(new_tokens, device=rows.device)  # [B, T]
        longest = int(positions.max()) + 1
        if longest > self.capacity:
            raise ValueError(f"{longest} tokens do not fit in a cache of {self.capacity}")
        return CacheStep(self, rows, positions, longest)

    def copy_row(self, source: int, target: int) -> None:
        """Make row `target` a copy of row `source`."""
        length = int(self.lengths[source])
        self.keys[:, target, :length] = self.keys[:, source, :length]
        self.values[:, target, :length] = self.values[:, source, :length]
        self.lengths[target] = length

    def grown(self, rows: int) -> KVCache:
        """A cache of `rows` rows that begins with this one's."""
        cache = object.__new__(KVCache)
        cache.capacity = self.capacity
        extra = rows - self.lengths.numel()
        cache.keys = F.pad(self.keys, (0, 0, 0, 0, 0, 0, 0, extra))
        cache.values = F.pad(self.values, (0, 0, 0, 0, 0, 0, 0, extra))
        cache.lengths = F.pad(self.lengths, (0, extra))
        return cache


class CacheStep:
    """One forward pass over a cache: where the new tokens stand and what they may attend to.

    Attributes:
        positions: [B, T] position of every new token.
        mask: [B, 1, T, S] True where a new token may attend to a stored one.
    """

    def __init__(self, cache: KVCache, rows: Tensor, positions: Tensor, longest: int):
        self.cache, self.rows, self.positions, self.longest = cache, rows, positions, longest
        stored = torch.arange(longest, device=rows.device)  # [S]
        self.mask = stored[None, None, None, :] <= positions[:, None, :, None]

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new keys and values [B, T, N, D] of a layer; returns all of its rows' [B, S, N, D]."""
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        keys[self.rows[:, None], self.positions] = key
        values[self.rows[:, None], self.positions] = value
        return keys[self.rows, : self.longest], values[self.rows, : self.longest]

    def commit(self) -> None:
        """Count the new tokens as stored."""
        self.cache.lengths[self.rows] = self.positions[:, -1] + 1


class Attention(nn.Module):
    """softmax(Q Kᵀ / √D + mask) V with separate query, key, value and output projections, all with bias.

    Heads are contiguous slices of a projection's output. The softmax runs in float32 whatever the weights' type.
    The top query layer is the same module: only what it takes as `query_input` differs.
    """

    def __init__(self, config: ModelConfig, layer: int, dropout: float = 0.0):
        super().__init__()
        h = config.hidden_size
        self.layer, self.heads, self.head_size, self.dropout = (
            layer,
            config.num_attention_heads,
            config.head_size,
            dropout,
        )
        self.query = nn.Linear(h, h)
        self.key = nn.Linear(h, h)
        self.value = nn.Linear(h, h)
        self.dense = nn.Linear(h, h)

    def forward(self, query_input: Tensor, x: Tensor, mask: Tensor | None, step: CacheStep | None) -> Tensor:
        """Attend from `query_input` [B, T, h] to `x` [B, T, h] and what the cache holds; returns [B, T, h].

        `mask` [B, 1, T, S] is True where attention is allowed; None stands for plain causal attention.
        """
        query = self._split(self.query(query_input))  # [B, T, N, D]
        key, value = self._split(self.key(x)), self._split(self.value(x))
        if step is not None:
            key, value = step.extend(self.layer, key, value)  # [B, S, N, D]
        context = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=mask,
            is_causal=mask is None,
            dropout_p=self.dropout if self.training else 0.0,
        )  # [B, N, T, D]
        return cast(Tensor, self.dense(context.transpose(1, 2).flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, h] → [B, T, N, D]."""
        return x.view(*x.shape[:2], self.heads, self.head_size)
