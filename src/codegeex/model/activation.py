"""The activation between the two linear maps of a feed-forward block."""

from __future__ import annotations

import torch
from torch import Tensor


def fast_gelu(x: Tensor) -> Tensor:
    """FastGELU(x) = x · sigmoid(1.702 x), the activation of the Ascend operator the model was trained with."""
    return x * torch.sigmoid(1.702 * x)
