"""Multi-head causal attention (paper section 3.2).

Shapes: B sequences, T new tokens each, N heads (those of this process, under tensor parallelism), D head size.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codegeex.config import ModelConfig
from codegeex.model.int8 import Int8Linear, linear


class Memory(Protocol):
    """Keys and values of earlier tokens, as attention sees them; `codegeex.engine.torch_cache` keeps them."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store the keys and values of the new tokens in a layer and attend to them and to all before them.

        Args:
            layer: its index; the top query layer comes last.
            query, key, value: [B, T, N, D].

        Returns:
            [B, T, N, D].
        """


class Documents:
    """A `Memory` of packed windows: causal attention within each document, computed document by document.

    On a CPU that is several times as fast as attention with a mask, where documents are as short as functions; on an
    accelerator so many small calls take longer. It runs in float32: PyTorch's kernels for the backward pass of short
    bfloat16 sequences take three times as long.

    Args:
        documents: [B, T] the number of the document that each place belongs to; documents are contiguous.
    """

    def __init__(self, documents: Tensor):
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[:, 1:] = documents.diff() != 0
        places = begins.flatten().nonzero().squeeze(1)
        self._lengths = places.diff(append=places.new_tensor([documents.numel()])).tolist()

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Memory`; nothing is stored."""
        whole = (part.flatten(0, 1).transpose(0, 1).unsqueeze(0).float() for part in (query, key, value))
        parts = zip(*(torch.split(part, self._lengths, 2) for part in whole), strict=True)  # [1, N, length, D]
        with torch.autocast(query.device.type, enabled=False):
            contexts = [F.scaled_dot_product_attention(q, k, v, is_causal=True) for q, k, v in parts]
        return torch.cat(contexts, 2).squeeze(0).transpose(0, 1).reshape(query.shape).to(query.dtype)


class Attention(nn.Module):
    """softmax(Q Kᵀ / √D + mask) V with separate query, key, value and output projections, all with bias.

    Heads are contiguous slices of a projection's output. The softmax runs in float32 whatever the weights' type.
    The top query layer is the same module: only what it takes as `query_input` differs.
    """

    def __init__(self, config: ModelConfig, layer: int, dropout: float = 0.0):
        super().__init__()
        h = config.hidden_size
        self.layer, self.head_size, self.dropout = layer, config.head_size, dropout
        self.query = linear(config, h, h)
        self.key = linear(config, h, h)
        self.value = linear(config, h, h)
        self.dense = linear(config, h, h)
        self.joint: Int8Linear | None = None  # query, key and value as one map, see `join_projections`

    def forward(self, query_input: Tensor, x: Tensor, mask: Tensor | None, memory: Memory | None) -> Tensor:
        """Attend from `query_input` [B, T, h] to `x` [B, T, h] and what the memory holds; returns [B, T, h].

        `mask` [B, 1, T, T] is True where attention is allowed; None stands for plain causal attention. A memory knows
        by itself what its tokens may attend to.
        """
        if self.joint is not None and query_input is x:
            query, key, value = (self._split(part) for part in self.joint(x).chunk(3, dim=-1))
        else:
            query, key, value = (
                self._split(project(part))  # [B, T, N, D]
                for project, part in ((self.query, query_input), (self.key, x), (self.value, x))
            )
        if memory is not None:
            context = memory.attend(self.layer, query, key, value)
        else:
            context = F.scaled_dot_product_attention(
                query.transpose(1, 2),
                key.transpose(1, 2),
                value.transpose(1, 2),
                attn_mask=mask,
                is_causal=mask is None,
                dropout_p=self.dropout if self.training else 0.0,
            ).transpose(1, 2)
        return cast(Tensor, self.dense(context.flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, N * D] → [B, T, N, D]."""
        return x.view(*x.shape[:2], -1, self.head_size)
