"""The native engine behind the protocol of `shapes.py`.

Its shapes have one ordinary layer less than a peer's model and the top query layer in its place: as many weights to
read.
"""

from __future__ import annotations

import time

import numpy as np
import shapes
from numpy.typing import NDArray

import codegeex
from codegeex.checkpoint.random_source import RandomSource
from codegeex.engine.benchmark import SHAPES
from codegeex.engine.native_backend import NativeBackend


class Ours:
    name = "codegeex native"

    def __init__(self, options: shapes.Options):
        self._backend = NativeBackend(RandomSource(SHAPES[options.shape_name]), threads=options.threads)
        self.version = f"{codegeex.__version__}, {self._backend.model.kernels}"

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
