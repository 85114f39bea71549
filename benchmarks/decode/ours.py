"""The native engine behind the protocol of `shapes.py`.

The shape has one ordinary layer less than a peer's model and the top query layer in its place: as many weights to read.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import shapes
from numpy.typing import NDArray

import codegeex
from codegeex.checkpoint.source import TensorSpec, tensor_shapes
from codegeex.config import ModelConfig
from codegeex.engine.native_backend import NativeBackend


class RandomSource:
    """Random weights of a shape, made when they are read."""

    def __init__(self, shape: shapes.Shape):
        self.config = ModelConfig(shape.hidden, shape.layers - 1, shape.heads, shape.vocab, shape.context, shape.ffn)
        self.specs = {name: TensorSpec("F32", size) for name, size in tensor_shapes(self.config).items()}
        self._random = np.random.default_rng(0)

    def read(self, name: str) -> NDArray[Any]:
        noise = self._random.standard_normal(self.specs[name].shape, dtype=np.float32) * np.float32(0.02)
        return noise + np.float32(name.endswith("layernorm.weight"))


class Ours:
    name = "codegeex native"
    version = codegeex.__version__

    def __init__(self, options: shapes.Options):
        self._backend = NativeBackend(RandomSource(options.shape), threads=options.threads)

    def prefill(self, prompt: shapes.Ids) -> NDArray[np.float32]:
        sequence, logits = self._backend.prefill(prompt)
        self._backend.free(sequence)
        return logits

    def decode(self, prompts: list[shapes.Ids], tokens: int) -> float:
        started = [self._backend.prefill(prompt) for prompt in prompts]
        sequences = [sequence for sequence, _ in started]
        ids = [int(logits.argmax()) for _, logits in started]
        began = time.perf_counter()
        for _ in range(tokens):
            ids = self._backend.decode(sequences, ids).argmax(-1).tolist()
        seconds = time.perf_counter() - began
        for sequence in sequences:
            self._backend.free(sequence)
        return seconds


if __name__ == "__main__":
    shapes.serve(Ours, ["int8"])
