"""Muon for the hidden matrices, Adam for the rest.

Muon (Jordan et al. 2024; `torch.optim.Muon`) orthogonalises each matrix's momentum, which makes a small model learn
from several times fewer tokens than Adam does. Embeddings, biases and layer norms are not maps between hidden states:
they keep Adam, with the paper's β₁ = 0.9, β₂ = 0.95, ε = 1e-8 (facts of the original, section 5.1).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from codegeex.training.recipe import Optimizer as Settings


def make_optimizers(model: nn.Module, settings: Settings) -> list[Optimizer]:
    """The optimisers of a model; each group remembers its peak rate as `peak_lr`."""
    matrices, embeddings, vectors = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif "embeddings" in name or not settings.muon_lr:
            embeddings.append(parameter)
        else:
            matrices.append(parameter)
    optimizers: list[Optimizer] = [
        torch.optim.AdamW(
            [
                {"params": embeddings, "weight_decay": settings.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=settings.adam_lr,
            betas=(0.9, 0.95),
            eps=1e-8,
            fused=True,
        )
    ]
    if matrices:
        optimizers.append(
            torch.optim.Muon(matrices, lr=settings.muon_lr, weight_decay=settings.weight_decay, momentum=0.95)
        )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def set_rate(optimizers: list[Optimizer], factor: float) -> None:
    """Set every group's learning rate to its peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
