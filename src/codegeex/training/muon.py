"""Muon for matrices that several processes share (Jordan et al. 2024).

Muon turns the momentum of a matrix M into the nearest matrix whose singular values are all alike: with M = U S Vᵀ,
about U Vᵀ, by five Newton-Schulz iterations. These need the whole matrix. Left to distributed tensors, every product
of every iteration would speak to the other processes; here each matrix is gathered once, turned by one of them, and
handed round: as many at a time as there are processes, so that all have work and little memory is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, Replicate

from codegeex.training.arithmetic import compute_type

COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the iteration: the steepest at zero of those that keep singular values between about 0.7 and 1.2."""

ITERATIONS = 5


def orthogonalize(matrix: Tensor) -> Tensor:
    """About the nearest matrix to `matrix` [m, n] whose singular values are all 1; float32 if bfloat16 is slow."""
    a, b, c = COEFFICIENTS
    matrix = matrix.to(compute_type("bfloat16", matrix.device))
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x: Tensor = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.Muon):
    """`torch.optim.Muon`, with its state and its steps, for whole parameters and for distributed ones.

    Every process of the run calls `step` with the same parameters in the same order.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            matrices = [one for one in group["params"] if one.grad is not None]
            together = distributed.get_world_size() if any(isinstance(one, DTensor) for one in matrices) else 1
            for start in range(0, len(matrices), together):
                some = matrices[start : start + together]
                updates = [self._momentum(one, group["momentum"]) for one in some]
                for matrix, update in zip(some, _turned(updates), strict=True):
                    rows, columns = matrix.shape
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))

    def _momentum(self, matrix: Tensor, momentum: float) -> Tensor:
        """What is to be turned: the gradient on top of what is left of the ones before it (Nesterov)."""
        gradient, state = matrix.grad, self.state[matrix]
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum_buffer"], momentum)


def _turned(updates: list[Tensor]) -> list[Tensor]:
    """Each update orthogonalised; distributed ones each by the process that has its place in the list as rank."""
    if not any(isinstance(update, DTensor) for update in updates):
        return [orthogonalize(update) for update in updates]
    whole = [update.full_tensor() if isinstance(update, DTensor) else update for update in updates]
    turned = [
        orthogonalize(one).contiguous()
        if place == distributed.get_rank()
        else torch.empty_like(one, dtype=compute_type("bfloat16", one.device))
        for place, one in enumerate(whole)
    ]
    for place, one in enumerate(turned):
        distributed.broadcast(one.view(torch.uint8), src=place)  # bytes: not every backend knows bfloat16
    return [_shared(one, update) for one, update in zip(turned, updates, strict=True)]


def _shared(whole: Tensor, like: Tensor) -> Tensor:
    """A tensor that every process has, shared out as another one is; nothing is sent for that."""
    if not isinstance(like, DTensor):
        return whole
    mesh = like.device_mesh
    copies = DTensor.from_local(whole.to(like.dtype), mesh, [Replicate()] * mesh.ndim, run_check=False)
    return copies.redistribute(placements=like.placements)
