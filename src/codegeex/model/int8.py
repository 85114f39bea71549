"""Linear maps whose weights stay int8 on the device (paper section 4.2): y = x · (q · scale)ᵀ + bias.

A step that writes one token reads every weight once and does little else, so its time is that of reading them: int8
halves it. For few rows a Triton kernel multiplies by the int8 numbers directly. For many, and where there is no
Triton, blocks of the matrix are turned into floats and multiplied as usual; there the product outweighs the reading.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from codegeex.config import ModelConfig
from codegeex.model.activation import fast_gelu

FEW_ROWS = 64
"""Rows of x up to which the weights are read as int8; beyond, the multiplication is what takes time."""

OUTPUTS_AT_ONCE = 8192
"""Rows of the matrix that are floats at the same time: 84 MB in half precision at the 13B model's width."""


def linear(config: ModelConfig, inputs: int, outputs: int) -> nn.Linear | Int8Linear:
    """A fresh linear map as `config` wants its weights: int8 in a quantised model, else floats."""
    return nn.Linear(inputs, outputs) if config.quantization is None else Int8Linear(inputs, outputs)


class Int8Linear(nn.Module):
    """A linear map with int8 weights [out, in], float32 scales [out] and a bias [out] of the activations' type.

    For inference: its tensors are buffers, filled by loading.

    Attributes:
        group: set where each process holds some of the inputs (`shard_inputs`); the outputs are summed over it.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(outputs, dtype=torch.float32))
        self.register_buffer("bias", torch.zeros(outputs))
        self.group: distributed.ProcessGroup | None = None

    def forward(self, x: Tensor, gelu: bool = False) -> Tensor:
        """[..., in] → [..., out]; with `gelu`, FastGELU is applied to the result."""
        rows = x.reshape(-1, x.shape[-1])
        if self.group is None:
            y = int8_linear(rows, self.weight, self.scale, self.bias, gelu)
        else:
            y = int8_linear(rows, self.weight, self.scale, None)
            distributed.all_reduce(y, group=self.group)
            y = fast_gelu(y + self.bias) if gelu else y + self.bias
        return y.view(*x.shape[:-1], -1)

    def shard_outputs(self, rank: int, degree: int) -> None:
        """Keep the outputs that are the part of process `rank` among `degree`."""
        for name in ("weight", "scale", "bias"):
            setattr(self, name, getattr(self, name).chunk(degree)[rank].clone())

    def shard_inputs(self, rank: int, degree: int, group: distributed.ProcessGroup) -> None:
        """Keep the weights of the inputs that process `rank` among `degree` has; the group adds up the outputs."""
        self.weight = self.weight.chunk(degree, dim=1)[rank].clone(memory_format=torch.contiguous_format)
        self.group = group


def join_projections(model: nn.Module) -> None:
    """Let attention compute query, key and value in one go where all three are int8 maps of the same input.

    One long matrix is read at full speed, three short ones are not. The three become views into the long one.
    """
    for module in model.modules():
        parts = [getattr(module, name, None) for name in ("query", "key", "value")]
        if not all(isinstance(part, Int8Linear) for part in parts):
            continue
        joint = Int8Linear(0, 0)
        for name in ("weight", "scale", "bias"):
            whole = torch.cat([getattr(part, name) for part in parts])
            joint.register_buffer(name, whole, persistent=False)
            for part, view in zip(parts, whole.chunk(3), strict=True):
                setattr(part, name, view)
        module.joint = joint


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    """x [R, in] times int8 `weight` [out, in] with `scale` [out], plus `bias` [out]: [R, out] in the type of x."""
    if x.is_cuda and len(x) <= FEW_ROWS and (kernels := _kernels()) is not None:
        y: Tensor = kernels.int8_linear(x, weight, scale, bias, gelu)
        return y
    blocks = []
    for part, factors in zip(torch.split(weight, OUTPUTS_AT_ONCE), torch.split(scale, OUTPUTS_AT_ONCE), strict=True):
        # Multiplied in float32 and rounded once: small scales have few digits in half precision.
        floats = torch.mul(part, factors[:, None], out=x.new_empty(part.shape))
        blocks.append(F.linear(x, floats))
    y = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)
    y = y if bias is None else y + bias
    return fast_gelu(y) if gelu else y


@cache
def _kernels() -> ModuleType | None:
    """The Triton kernels, where Triton is installed; importing it takes a while, so only when they are needed."""
    try:
        from codegeex.model import int8_triton
    except ImportError as error:
        if (error.name or "").split(".")[0] != "triton":
            raise
        return None
    return int8_triton
