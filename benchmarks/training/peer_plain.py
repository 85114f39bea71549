"""A plain GPT-2 and a plain loop as a worker of `compare.py`: SHAPE BATCH LENGTH THREADS, see `turns.py`.

What somebody who knows PyTorch writes in an afternoon, in the manner of nanoGPT: one map for query, key and value,
PyTorch's attention, tied embeddings, autocast, fused AdamW, clipping.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from turns import SHAPES, Turns, prepare, random_documents


class Block(nn.Module):
    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, 2))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, hidden: int, layers: int, heads: int, vocab_size: int, length: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocab_size, hidden), nn.Embedding(length, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.apply(self._initialize)

    @staticmethod
    def _initialize(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


shape, batch, length, threads = sys.argv[1], *map(int, sys.argv[2:5])
prepare(threads)
hidden, layers, heads, vocab_size = SHAPES[shape]
ids = torch.from_numpy(np.concatenate(random_documents(200_000, vocab_size, 0)))
model = GPT(hidden, layers + 1, heads, vocab_size, length)
matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), fused=True)
turns = Turns(batch * length)
while True:
    starts = torch.randint(len(ids) - length - 1, (batch,))
    inputs = torch.stack([ids[start : start + length] for start in starts])
    labels = torch.stack([ids[start + 1 : start + length + 1] for start in starts])
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(inputs, labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    turns.step(loss.item())
