"""Muon for the hidden matrices, Adam for the rest.

Muon (Jordan et al. 2024, `training.muon`) orthogonalises each matrix's momentum, which makes a small model learn
from several times fewer tokens than Adam does. Embeddings, biases and layer norms are not maps between hidden states:
they keep Adam, with the paper's β₁ = 0.9, β₂ = 0.95, ε = 1e-8 (facts of the original, section 5.1).

The original's Adam corrects no bias: w ← w − lr (m / (√v + ε) + λ w). PyTorch's divides m by c₁ = 1 − β₁ᵗ and v by
c₂ = 1 − β₂ᵗ. With lr' = lr c₁ / √c₂, ε' = ε / √c₂ and λ' = λ lr / lr' it takes the very same step.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import Optimizer

from codegeex.training import lora
from codegeex.training.muon import Muon
from codegeex.training.recipe import Optimizer as Settings

BETAS = 0.9, 0.95
EPSILON = 1e-8


def make_optimizers(model: nn.Module, settings: Settings) -> list[Optimizer]:
    """The optimisers of what a model is to learn.

    Each group remembers its peak rate as `peak_lr` and its decay as `decay`.
    """
    matrices, embeddings, vectors = [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif "embeddings" in name or lora.MARK in name or not settings.muon_lr:
            embeddings.append(parameter)
        else:
            matrices.append(parameter)
    optimizers: list[Optimizer] = [
        torch.optim.AdamW(
            [
                {"params": parameters, "weight_decay": decay}
                for parameters, decay in ((embeddings, settings.weight_decay), (vectors, 0.0))
                if parameters
            ],
            lr=settings.adam_lr,
            betas=BETAS,
            eps=EPSILON,
            fused=True,
        )
    ]
    if matrices:
        optimizers.append(Muon(matrices, lr=settings.muon_lr, weight_decay=settings.weight_decay, momentum=0.95))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"], group["decay"] = group["lr"], group["weight_decay"]
    return optimizers


def set_rate(optimizers: list[Optimizer], factor: float, bias_correction: bool = True) -> None:
    """Set every group's learning rate for the next step: its peak times `factor`.

    Args:
        bias_correction: of Adam; the paper's has none.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = group["lr"] = group["peak_lr"] * factor
            if bias_correction or "betas" not in group or not rate:
                continue
            step = 1 + _steps(optimizer, group["params"])
            first, second = (1 - beta**step for beta in BETAS)
            group["lr"] = rate * first / math.sqrt(second)
            group["eps"] = EPSILON / math.sqrt(second)
            group["weight_decay"] = group["decay"] * rate / group["lr"]


def _steps(optimizer: Optimizer, parameters: list[nn.Parameter]) -> int:
    """How many steps an optimiser has taken; steps that were skipped do not count."""
    return max((int(optimizer.state[one]["step"]) for one in parameters[:1] if one in optimizer.state), default=0)
