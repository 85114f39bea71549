"""The CodeGeeX transformer (arXiv 2303.17568, section 3.2): a GPT decoder with a top query layer.

The order of this file is the order of the computation:

    x  = word_embeddings[t] + position_embeddings[p]
    x  = x + Attention(LN1(x));  x = x + MLP(LN2(x))        for every ordinary layer (pre-LayerNorm)
    u  = final_layernorm(x)
    z  = u + Attention(Q = query_embeddings[p], K = V = LN1(u));  z = z + MLP(LN2(z))       (top query layer)
    logits = z · word_embeddingsᵀ                            (tied; no layer norm after the top query layer)

An ordinary decoder asks the last token "what follows you?". The top query layer asks with a learned vector of the
*position* instead. Its three traps: the query goes in raw (no layer norm), the residual is u (not the query), and
row i belongs to the position of input token i.

Shapes: B sequences, T tokens, h hidden size, V vocabulary rows.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from codegeex.config import ModelConfig
from codegeex.model.activation import fast_gelu
from codegeex.model.attention import Attention, Memory
from codegeex.model.int8 import Int8Linear, linear

STD = 0.02
"""Of fresh weights (paper: 0.02)."""


class MLP(nn.Module):
    """Two linear maps h → 4h → h around FastGELU, with biases."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.dense_h_to_4h = linear(config, config.hidden_size, config.ffn_hidden_size)
        self.dense_4h_to_h = linear(config, config.ffn_hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        up = self.dense_h_to_4h
        hidden = up(x, gelu=True) if isinstance(up, Int8Linear) else fast_gelu(up(x))  # [B, T, 4h]
        return cast(Tensor, self.dense_4h_to_h(hidden))


class Layer(nn.Module):
    """A pre-LayerNorm transformer layer; with `query` given, the top query layer."""

    def __init__(self, config: ModelConfig, index: int, dropout: float = 0.0):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.attention = Attention(config, index, dropout)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, memory: Memory | None = None, query: Tensor | None = None
    ) -> Tensor:
        """[B, T, h] → [B, T, h]; `query` [B, T, h] replaces the normalised input as the attention's query."""
        normed = self.input_layernorm(x)
        x = x + self.dropout(self.attention(normed if query is None else query, normed, mask, memory))
        return cast(Tensor, x + self.dropout(self.mlp(self.post_attention_layernorm(x))))


class CodeGeeX(nn.Module):
    """The whole model. Parameter names are the native checkpoint's tensor names.

    Args:
        config: the shape.
        dropout: rate on embeddings, attention probabilities and residual branches while training (paper: 0.1).

    Attributes:
        recompute: whether training keeps only what goes into each layer, and computes the rest again in the backward
            pass (paper section 3.4).
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0):
        super().__init__()
        self.config = config
        self.recompute = False
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(config, index, dropout) for index in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.query_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.top_query_layer = Layer(config, config.num_layers, dropout)

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None = None,
        mask: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Logits [B, T, V] in float32 for `input_ids` [B, T].

        Args:
            input_ids: token ids.
            position_ids: [B, T], or [T] for all; by default 0, 1, 2, ...
            mask: [B, 1, T, T], True where attention is allowed; by default causal.
            memory: keeps keys and values, and takes the place of the mask; for inference.

        Raises:
            ValueError: more tokens than the model has positions.
        """
        return self.logits(self.hidden(input_ids, position_ids, mask, memory))

    def hidden(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None = None,
        mask: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """What the logits are made from, [B, T, h]; arguments as in `forward`."""
        if position_ids is None:
            tokens = input_ids.shape[1]
            if tokens > self.config.max_position_embeddings:
                raise ValueError(f"{tokens} tokens exceed the model's {self.config.max_position_embeddings} positions")
            position_ids = torch.arange(tokens, device=input_ids.device)

        if mask is not None:
            mask = _additive(mask, self.word_embeddings.weight.dtype)
        x = self.dropout(self.word_embeddings(input_ids) + self.position_embeddings(position_ids))
        for layer in self.layers:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(layer, x, mask, memory, use_reentrant=False)
            else:
                x = layer(x, mask, memory)
        u = self.final_layernorm(x)
        query = self.query_embeddings(position_ids).expand_as(u)
        return cast(Tensor, self.top_query_layer(u, mask, memory, query=query))

    def logits(self, hidden: Tensor) -> Tensor:
        """Project [..., h] onto the word embeddings: [..., V] in float32."""
        return nn.functional.linear(hidden, self.word_embeddings.weight).float()

    @torch.no_grad()
    def initialize(self, std: float = STD) -> CodeGeeX:
        """Set fresh weights, see `initial_weight`."""
        for name, parameter in self.named_parameters():
            parameter.copy_(initial_weight(name, parameter.shape, self.config, std))
        return self


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a mask is True, -∞ elsewhere, in the type that attention runs in: else each layer would make its own."""
    if torch.is_autocast_enabled(mask.device.type):
        dtype = torch.get_autocast_dtype(mask.device.type)
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -math.inf)


def initial_weight(
    name: str, shape: torch.Size, config: ModelConfig, std: float = STD, generator: torch.Generator | None = None
) -> Tensor:
    """A fresh parameter: N(0, std), residual outputs N(0, std / √(2 L)), biases 0, layer norms 1 and 0."""
    if name.endswith(".bias"):
        return torch.zeros(shape)
    if "layernorm" in name:
        return torch.ones(shape)
    if name.endswith(("attention.dense.weight", "dense_4h_to_h.weight")):
        std /= math.sqrt(2 * max(1, config.num_layers))
    return torch.empty(shape).normal_(std=std, generator=generator)
