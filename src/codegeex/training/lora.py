"""Low-rank adaptation (arXiv 2106.09685): W + α/r · U D in place of W, where only U [out, r] and D [r, in] are learned.

U begins at zero, so a run begins with the model as it was. In the end the product is added to the weights: what comes
out is an ordinary model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from codegeex.model.transformer import CodeGeeX
from codegeex.training.recipe import Lora

WEIGHT = ".parametrizations.weight.original"
"""What PyTorch calls the weight of a map whose weight is computed."""

MARK = ".parametrizations.weight.0."
"""In the names of U and D."""


class LowRank(nn.Module):
    """weight [out, in] → weight + scale · U D."""

    def __init__(self, weight: Tensor, settings: Lora):
        super().__init__()
        outputs, inputs = weight.shape
        self.up = nn.Parameter(weight.new_empty(outputs, settings.rank))
        self.down = nn.Parameter(weight.new_empty(settings.rank, inputs))
        self.scale = settings.alpha / settings.rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.up @ self.down)


def adapt(model: CodeGeeX, settings: Lora) -> None:
    """Freeze a model and give each linear map of its layers something to learn, in place."""
    model.requires_grad_(False)
    for layer in (*model.layers, model.top_query_layer):
        for module in layer.modules():
            if isinstance(module, nn.Linear):
                low_rank = LowRank(module.weight, settings)
                parametrize.register_parametrization(module, "weight", low_rank, unsafe=True)


def merge(model: CodeGeeX) -> None:
    """Add the products to the weights, in place; the model is an ordinary one again."""
    for module in list(model.modules()):
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


def initial_adapter(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Fresh U: zeros; fresh D: uniform with variance 1 / (3 in), as in the paper's code."""
    if name.endswith("up"):
        return torch.zeros(shape)
    bound = 1 / math.sqrt(shape[1])
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
