"""Random weights of any shape: models to measure speed and memory with, which do not depend on what a model knows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.quantize import LEVELS
from codegeex.checkpoint.source import DTYPES, TensorSpec, is_linear_weight, scale_name, tensor_shapes
from codegeex.config import ModelConfig, Quantization

STANDARD_DEVIATION = 0.02
"""Of all weights, as at the start of training; layer norms are about 1."""

VALUES_AT_ONCE = 1 << 20
"""Float32 values drawn together, before they become the tensor's type."""


class RandomSource:
    """An int8 model with random weights, each tensor made when it is read, and the same one every time.

    Levels are drawn directly, which takes a tenth of the time of quantising normal numbers. Tables, norms and biases
    are float16, as in the released model.
    """

    def __init__(self, config: ModelConfig, seed: int = 0):
        self.config = replace(config, quantization=Quantization())
        self._seed = seed

    @cached_property
    def specs(self) -> Mapping[str, TensorSpec]:
        specs: dict[str, TensorSpec] = {}
        for name, shape in tensor_shapes(self.config).items():
            if is_linear_weight(name):
                specs[name] = TensorSpec("I8", shape)
                specs[scale_name(name)] = TensorSpec("F32", shape[:1])
            else:
                specs[name] = TensorSpec("F16", shape)
        return specs

    def read(self, name: str) -> NDArray[Any]:
        spec = self.specs[name]
        random = np.random.default_rng([self._seed, zlib.crc32(name.encode())])
        if spec.dtype == "I8":
            levels = np.frombuffer(random.bytes(spec.nbytes), dtype=np.int8)
            return np.maximum(levels, -LEVELS).reshape(spec.shape)
        if name.endswith(".scale"):  # levels are uniform, so their deviation is that of -LEVELS .. LEVELS
            return np.full(spec.shape, STANDARD_DEVIATION / (LEVELS / np.sqrt(3)), dtype=np.float32)
        values: NDArray[Any] = np.empty(spec.shape, dtype=DTYPES[spec.dtype])
        flat = values.reshape(-1)
        for start in range(0, len(flat), VALUES_AT_ONCE):
            part = flat[start : start + VALUES_AT_ONCE]
            part[:] = random.standard_normal(len(part), dtype=np.float32) * np.float32(STANDARD_DEVIATION)
        return values + values.dtype.type(1) if name.endswith("layernorm.weight") else values
