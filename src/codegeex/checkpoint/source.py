"""What a checkpoint is to the rest of the house: named tensors that are read one at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from codegeex.config import ModelConfig
from codegeex.errors import CodeGeeXError

# safetensors' names. numpy has no bfloat16: such tensors are carried as their 16 raw bits.
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Type (a key of `DTYPES`) and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return DTYPES[self.dtype].itemsize * math.prod(self.shape)


class TensorSource(Protocol):
    """Tensors of a model under their native names."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Every tensor's type and shape, without reading any."""

    def read(self, name: str) -> NDArray[Any]:
        """One tensor, as `specs` says; bfloat16 as uint16 bits."""


def as_float32(values: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """A float tensor of safetensors type `dtype` in float32."""
    if dtype == "BF16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


LINEARS = ("query", "key", "value", "dense", "dense_h_to_4h", "dense_4h_to_h")
"""The linear maps of a layer: what int8 conversion quantises (240 of them in the 13B model)."""


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a model, in the order of the computation. Weights are [out, in]."""
    h, ffn = config.hidden_size, config.ffn_hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        "word_embeddings.weight": (config.vocab_size, h),
        "position_embeddings.weight": (config.max_position_embeddings, h),
    }
    for layer in [*(f"layers.{index}" for index in range(config.num_layers)), "top_query_layer"]:
        if layer == "top_query_layer":
            shapes |= {"final_layernorm.weight": (h,), "final_layernorm.bias": (h,)}
            shapes["query_embeddings.weight"] = (config.max_position_embeddings, h)
        shapes |= {f"{layer}.input_layernorm.weight": (h,), f"{layer}.input_layernorm.bias": (h,)}
        for name in ("query", "key", "value", "dense"):
            shapes |= {f"{layer}.attention.{name}.weight": (h, h), f"{layer}.attention.{name}.bias": (h,)}
        shapes |= {f"{layer}.post_attention_layernorm.weight": (h,), f"{layer}.post_attention_layernorm.bias": (h,)}
        for name, rows, columns in (("dense_h_to_4h", ffn, h), ("dense_4h_to_h", h, ffn)):
            shapes |= {f"{layer}.mlp.{name}.weight": (rows, columns), f"{layer}.mlp.{name}.bias": (rows,)}
    return shapes


def is_linear_weight(name: str) -> bool:
    """Whether `name` is the matrix of a linear map, which int8 conversion quantises."""
    *_, module, kind = name.split(".")
    return kind == "weight" and module in LINEARS


def check_shapes(specs: Mapping[str, TensorSpec], config: ModelConfig, where: str) -> None:
    """Compare the tensors found in `where` with what `config` asks for.

    Raises:
        CodeGeeXError: a tensor is missing, unexpected or of another shape or type; the message names it.
    """
    if config.num_layers > len(specs):  # before the names of ever so many layers are listed
        raise CodeGeeXError(f"{where}: {config.num_layers} layers are asked for, but there are {len(specs)} tensors.")
    expected = tensor_shapes(config)
    if config.quantization is not None:
        expected |= {scale_name(name): (shape[0],) for name, shape in expected.items() if is_linear_weight(name)}
    for name, shape in expected.items():
        if name not in specs:
            raise CodeGeeXError(f"{where}: tensor {name} is missing.")
        if specs[name].shape != shape:
            raise CodeGeeXError(
                f"{where}: tensor {name} has shape {list(specs[name].shape)}, the config asks for {list(shape)}."
            )
        quantized = config.quantization is not None and is_linear_weight(name)
        if specs[name].dtype not in DTYPES or (specs[name].dtype == "I8") != quantized:
            raise CodeGeeXError(
                f"{where}: tensor {name} has type {specs[name].dtype}, which the config does not allow."
            )
    if unexpected := [name for name in specs if name not in expected]:
        raise CodeGeeXError(f"{where}: unexpected tensor {unexpected[0]}.")


def scale_name(name: str) -> str:
    """The name of the scales of int8 matrix `name`."""
    return name.removesuffix(".weight") + ".scale"
