"""What one step computes: the loss of a batch and its gradients."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from codegeex.model.attention import Documents
from codegeex.model.loss import cross_entropy
from codegeex.model.transformer import CodeGeeX
from codegeex.training.arithmetic import compute_type
from codegeex.training.data import Batch
from codegeex.training.parallel import World
from codegeex.training.recipe import Recipe


def precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[None]:
    """In this context matrices are multiplied in `compute_type`."""
    dtype = compute_type(recipe.precision, device)
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def batch_loss(model: CodeGeeX, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """Mean loss of a batch in nats per token, with matrices multiplied in `compute_type`."""
    device = batch.input_ids.device
    with precision(recipe, device):
        on_cpu = device.type == "cpu" and not recipe.dropout
        mask, memory = (None, Documents(batch.documents)) if on_cpu else (batch.mask, None)
        hidden = model.hidden(batch.input_ids, batch.position_ids, mask, memory).flatten(0, 1)
    return cross_entropy(
        hidden.to(compute_type(recipe.precision, device)),
        model.word_embeddings.weight,
        batch.labels.flatten(),
        batch.weights.flatten(),
    )


def backward(model: CodeGeeX, batch: Batch, recipe: Recipe, world: World, scale: float = 1.0) -> float:
    """Gradients of a step's mean loss over all places of all processes' parts, in nats per token; returns that loss.

    Args:
        batch: this process's part of the step, computed `micro_batch` windows at a time.
        scale: what the gradients, not the loss, are multiplied by.
    """
    everything = max(1.0, float(world.total(batch.weights.sum().to(world.device))))
    loss = torch.zeros((), device=world.device)
    parts = batch.split(recipe.layout.micro_batch or len(batch.input_ids))
    for part in parts:
        # Sharded gradients are averaged over the parts of the batch: the factor makes a sum of that.
        share = float(part.weights.sum()) / everything
        part_loss = batch_loss(model, part.to(world.device), recipe) * share
        torch.autograd.backward(part_loss * (world.data_size * scale))
        loss += part_loss.detach()
    return float(world.total(loss))
