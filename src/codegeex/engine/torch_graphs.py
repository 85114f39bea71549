"""CUDA graphs of one-token steps: recorded once for each shape, then started with a single call.

A step of a large model is some hundred kernels of a few microseconds; started one by one from Python they would take
longer than they run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from codegeex.engine.torch_cache import Shape

Compute = Callable[[Shape, Tensor], Tensor]
"""Turns the numbers [n] of a step of some shape, on the device, into logits [wanted, V]."""


class Graphs:
    """Runs a function as recorded graphs; it must touch the same memory every time, its argument's apart.

    Args:
        compute: the function.
    """

    def __init__(self, compute: Compute):
        self._compute = compute
        self._recorded: dict[Shape, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        # Graphs never run at the same time, so all may use the same memory for what they compute in between.
        self._memory = torch.cuda.graph_pool_handle()

    def __call__(self, shape: Shape, numbers: Tensor) -> Tensor:
        """What the function returns, for `numbers` [n] in page-locked memory; the next call overwrites it."""
        if shape not in self._recorded:
            self._recorded[shape] = self._record(shape, numbers)
        graph, inputs, logits = self._recorded[shape]
        inputs.copy_(numbers, non_blocking=True)
        graph.replay()
        return logits

    def _record(self, shape: Shape, numbers: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        inputs = numbers.to(torch.cuda.current_device(), non_blocking=True)
        # A first run outside compiles kernels and makes libraries allocate what they keep. That it stores the new
        # keys and values does no harm: the recorded run stores the same ones again.
        stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._compute(shape, inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, for example those that watch over collectives, may go on calling CUDA meanwhile.
        with torch.cuda.graph(graph, pool=self._memory, stream=stream, capture_error_mode="thread_local"):
            logits = self._compute(shape, inputs)
        return graph, inputs, logits
