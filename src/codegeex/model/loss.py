"""Cross-entropy that never holds the [tokens, vocabulary] logits.

The loss of language modelling is a mean over tokens, so each chunk of tokens can be projected to logits, turned into
its loss *and* its gradient, and forgotten. That saves 4 bytes x tokens x vocabulary of memory (1.7 GB for 8,192
tokens of the released vocabulary), and on a CPU most of the time too: the logits stay in cache.

Under tensor parallelism each process has some rows of the vocabulary, and so some columns of the logits. What it needs
of the others is their largest logit, their sum of exponentials, and at the end their part of the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup
from torch.distributed.tensor import DTensor
from torch.nn import functional as F

CHUNK = 1024
"""Tokens projected at a time: 32 MB of float32 logits at a vocabulary of 8,192."""


def cross_entropy(hidden: Tensor, embeddings: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean negative log-likelihood, in nats per token.

    Args:
        hidden: [N, h] outputs of the model, in the type that the projection should run in.
        embeddings: [V, h] the tied output projection; a DTensor if several processes share its rows evenly.
        labels: [N] the token that follows each place.
        weights: [N] float32; 0 leaves a place out.

    Returns:
        A float32 scalar; Σ wᵢ · −log p(labelᵢ) / Σ wᵢ.
    """
    group = None
    if isinstance(embeddings, DTensor):
        group, embeddings = embeddings.device_mesh.get_group(), embeddings.to_local()
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden, embeddings, labels, weights, group)  # type: ignore[no-untyped-call]
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """The gradient is computed beside the loss, in the forward pass: ∂/∂logits = w (softmax − one-hot) / Σw.

    Places of weight 0 are not projected: in examples to fine-tune on, most tokens are those of prompts.

    The division by Σw is left to the backward pass, where a scaled loss makes up for it: half precision has no room for
    numbers that small.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, embeddings: Tensor, labels: Tensor, weights: Tensor, group: ProcessGroup | None
    ) -> Tensor:
        total = weights.sum().clamp(min=1e-9)
        projection = embeddings.to(hidden.dtype)
        rows = embeddings.shape[0]
        places = labels if group is None else labels - rows * distributed.get_rank(group)
        here = (places >= 0) & (places < rows)  # the labels whose rows this process has
        learned = any(ctx.needs_input_grad)
        hidden_grad = torch.zeros_like(hidden) if learned else None
        embeddings_grad = torch.zeros_like(embeddings) if learned else None
        loss = hidden.new_zeros((), dtype=torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            for part in torch.split(weights.nonzero().squeeze(1), CHUNK):
                log_probs = _log_softmax(F.linear(hidden[part], projection).float(), group)  # [n, V]
                label, found = places[part, None].clamp(0, rows - 1), here[part, None].float()
                loss -= (log_probs.gather(1, label) * found).squeeze(1).dot(weights[part]) / total
                if hidden_grad is None or embeddings_grad is None:
                    continue
                grad = log_probs.exp_().scatter_add_(1, label, -found)
                grad = grad.mul_(weights[part, None]).to(hidden.dtype)
                hidden_grad[part] = grad @ projection
                embeddings_grad += grad.T @ hidden[part]
        if group is not None:
            distributed.all_reduce(loss, group=group)
            if hidden_grad is not None:
                distributed.all_reduce(hidden_grad, group=group)
        ctx.gradients = hidden_grad, embeddings_grad, total
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (hidden_grad, embeddings_grad, total), ctx.gradients = ctx.gradients, None  # in place, so once only
        share = grad_outputs[0] / total
        return (hidden_grad.float() * share).to(hidden_grad.dtype), embeddings_grad.mul_(share), None, None, None


def _log_softmax(logits: Tensor, group: ProcessGroup | None) -> Tensor:
    """Over the last dimension, whose other parts the processes of a group have."""
    if group is None:
        return logits.log_softmax(-1)
    largest = logits.amax(-1, keepdim=True)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=group)
    logits -= largest
    summed = logits.exp().sum(-1, keepdim=True)
    distributed.all_reduce(summed, group=group)
    return logits.sub_(summed.log_())
