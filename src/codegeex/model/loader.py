"""A model directory as a PyTorch module, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codegeex.checkpoint import NativeSource, TensorSource, TensorSpec
from codegeex.checkpoint.quantize import dequantize
from codegeex.checkpoint.source import as_float32, is_linear_weight, scale_name
from codegeex.config import ModelConfig
from codegeex.model.transformer import CodeGeeX


def load(
    path: str | Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    keep_int8: bool = False,
) -> CodeGeeX:
    """The model of a native directory, in evaluation mode.

    Args:
        path: the model directory.
        dtype: type of the parameters.
        device: where they go; they are moved one at a time.
        keep_int8: leave the linear maps of an int8 directory int8 (`Int8Linear`), for inference; by default they
            become `dtype`.

    Raises:
        CodeGeeXError: no model there, or a damaged one.
    """
    return from_source(NativeSource(path), dtype, device, keep_int8)


def from_source(
    source: TensorSource, dtype: torch.dtype, device: torch.device | str = "cpu", keep_int8: bool = False
) -> CodeGeeX:
    """The model that a tensor source holds; arguments as in `load`."""
    config = source.config if keep_int8 else replace(source.config, quantization=None)
    with torch.device("meta"):
        model = CodeGeeX(config)
    weights = {}
    for name in model.state_dict():
        if name.endswith(".scale") or (config.quantization is not None and is_linear_weight(name)):
            weights[name] = torch.from_numpy(np.array(source.read(name))).to(device)
        else:
            weights[name] = torch.from_numpy(read_float32(source, name)).to(device=device, dtype=dtype)
    model.load_state_dict(weights, assign=True)
    return model.eval()


def read_float32(source: TensorSource, name: str) -> NDArray[np.float32]:
    """A writable float32 copy of a tensor; int8 weights times their scales."""
    spec = source.specs[name]
    if spec.dtype == "I8":
        return dequantize(source.read(name), source.read(scale_name(name)))
    return np.array(as_float32(source.read(name), spec.dtype))


class ModuleSource:
    """The weights of a module as a tensor source.

    Args:
        model: the module.
        dtype: "F32" or "F16".
    """

    def __init__(self, model: CodeGeeX, dtype: str = "F32"):
        self.config: ModelConfig = model.config
        self._tensors: dict[str, Tensor] = {name: tensor.detach() for name, tensor in model.state_dict().items()}
        self._dtype = {"F32": torch.float32, "F16": torch.float16}[dtype]
        self.specs: Mapping[str, TensorSpec] = {
            name: TensorSpec(dtype, tuple(tensor.shape)) for name, tensor in self._tensors.items()
        }

    def read(self, name: str) -> NDArray[Any]:
        return self._tensors[name].to("cpu", self._dtype).numpy()
