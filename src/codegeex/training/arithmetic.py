"""In which type a device multiplies matrices."""

from __future__ import annotations

import torch

from codegeex.training.recipe import Recipe

_FAST = "AVX512", "SVE"
"""How the capabilities of processors begin that multiply bfloat16 at least as fast as float32. Others take many times
as long for it (docs/log.md, 2026-11-29)."""


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is what to compute in there, where it is exact enough."""
    return device.type != "cpu" or torch.backends.cpu.get_cpu_capability().startswith(_FAST)


def compute_type(recipe: Recipe, device: torch.device) -> torch.dtype:
    """The recipe's precision, but float32 for bfloat16 on a processor that is faster so."""
    if recipe.precision == "bfloat16" and not multiplies_bfloat16(device):
        return torch.float32
    dtype: torch.dtype = getattr(torch, recipe.precision)
    return dtype
