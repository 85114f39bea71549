"""Int8 by absolute maximum, one scale for each output row (paper section 4.2, eq. 5).

    scale[r] = max |W[r, :]| / 127          q = round(W / scale)          W ≈ q · scale

Only the linear maps are quantised: embeddings, layer norms and biases keep their type, as in the released model.
Scales are float32: in half precision the scales of a small model fall below 6e-5, where float16 loses digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.safetensors_file import release_pages
from codegeex.checkpoint.source import TensorSource, TensorSpec, as_float32, is_linear_weight, scale_name
from codegeex.config import ModelConfig, Quantization
from codegeex.errors import CodeGeeXError

LEVELS = 127
"""Largest int8 magnitude used: the scheme is symmetric, so -128 never occurs."""

ROWS_AT_ONCE = 1024
"""Rows converted together: bounds the float32 working copy (84 MB for the widest rows of the 13B model)."""


def quantize(weight: NDArray[Any], dtype: str = "F32") -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise a matrix [out, in] of safetensors type `dtype`.

    Returns:
        int8 [out, in] and float32 scales [out]; a row of zeros has scale 0.

    Raises:
        ValueError: the matrix holds an infinity or NaN.
    """
    quantized = np.empty(weight.shape, dtype=np.int8)
    scales = np.empty(weight.shape[0], dtype=np.float32)
    for start in range(0, weight.shape[0], ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        part = as_float32(weight[rows], dtype)
        scale = np.maximum(part.max(axis=1), -part.min(axis=1)) / np.float32(LEVELS)
        if not np.isfinite(scale).all():
            raise ValueError("holds values that are not finite")
        scales[rows] = scale
        scaled = part / np.where(scale > 0, scale, 1)[:, None]
        # Division can round a row's maximum up past the last level.
        quantized[rows] = np.clip(np.rint(scaled, out=scaled), -LEVELS, LEVELS, out=scaled).astype(np.int8)
    return quantized, scales


def dequantize(quantized: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """The float32 matrix [out, in] that an int8 matrix stands for."""
    return quantized.astype(np.float32) * scales[:, None]


class Int8Source:
    """A float source seen as int8: each matrix is quantised when it is read."""

    def __init__(self, source: TensorSource):
        if source.config.quantization is not None:
            raise CodeGeeXError("the model is quantised already.")
        self._source = source
        self.config: ModelConfig = replace(source.config, quantization=Quantization())
        self._scales: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        specs: dict[str, TensorSpec] = {}
        for name, spec in self._source.specs.items():
            if is_linear_weight(name):
                specs[name] = TensorSpec("I8", spec.shape)
                specs[scale_name(name)] = TensorSpec("F32", spec.shape[:1])
            else:
                specs[name] = spec
        return specs

    def read(self, name: str) -> NDArray[Any]:
        """A tensor; a matrix and its scales come from one reading when they are asked for in the order of `specs`."""
        if name in self._scales:
            return self._scales.pop(name)
        if not is_linear_weight(name) and not name.endswith(".scale"):
            return self._source.read(name)
        matrix = name.removesuffix(".scale") + ".weight" if name.endswith(".scale") else name
        try:
            weights = self._source.read(matrix)
            quantized, scales = quantize(weights, self._source.specs[matrix].dtype)
        except ValueError as error:
            raise CodeGeeXError(f"tensor {matrix} {error}.") from None
        release_pages(weights)
        if name.endswith(".scale"):
            return scales
        self._scales[scale_name(matrix)] = scales
        return quantized
