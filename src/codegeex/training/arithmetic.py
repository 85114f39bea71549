"""In which type a device multiplies matrices."""

from __future__ import annotations

import torch

_FAST = "AVX512", "SVE"
"""How the capabilities of processors begin that multiply bfloat16 at least as fast as float32. Others take many times
as long for it (docs/log.md, 2026-11-29)."""


def compute_type(precision: str, device: torch.device) -> torch.dtype:
    """The type called `precision`, but float32 for bfloat16 on a processor that is faster so."""
    if (
        precision == "bfloat16"
        and device.type == "cpu"
        and not torch.backends.cpu.get_cpu_capability().startswith(_FAST)
    ):
        return torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype
