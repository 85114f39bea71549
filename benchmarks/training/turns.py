"""What a worker of `compare.py` does around its steps, and the work that all of them have.

A worker says `ready` after its first step, which warms up. Then it waits for lines with a number, takes so many steps,
and answers with one JSON object. Its loop runs as it always does; it is only held up between two steps.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

SHAPES = {
    # hidden size, ordinary layers, heads, vocabulary. The peers get one layer more, for the top query layer.
    "base": (768, 12, 12, 52224),
    "small": (256, 5, 4, 8192),
}
DOCUMENT = 400
"""Tokens of a document: about that of a short source file."""


class Turns:
    """Called after every step."""

    def __init__(self, tokens: int) -> None:
        self._tokens, self._left, self._began = tokens, 0, 0.0

    def step(self, loss: float) -> None:
        """Wait for the next turn where one has ended; the process ends with its input."""
        if self._left > 1:
            self._left -= 1
            return
        seconds = time.perf_counter() - self._began
        if self._left:
            peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
            assert peak
            answer = {"seconds": seconds, "tokens": self._tokens * self._steps, "peak_mb": int(peak[1]) / 1024}
            print(json.dumps(answer | {"loss": loss}), flush=True)
        else:
            print("ready", flush=True)
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        self._left = self._steps = int(line)
        self._began = time.perf_counter()


def random_documents(tokens: int, vocab_size: int, end_of_text: int) -> list[NDArray[np.int64]]:
    """Documents of random ids, the same for every worker."""
    random = np.random.default_rng(0)
    documents = []
    for _ in range(-(-tokens // DOCUMENT)):
        # Few of the ids are frequent, as in text: Zipf's law.
        ids = np.minimum(random.zipf(1.3, DOCUMENT) + 255, vocab_size - 1)
        documents.append(np.append(ids[:-1], end_of_text))
    return documents


def prepare(threads: int) -> None:
    """The same number of threads for all."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
