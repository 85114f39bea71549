"""How fast the native engine decodes, beside how fast the same threads can read memory.

A step reads every weight once, so for one sequence the time to read them is the least it can take: a step that takes
twice as long has reached half of the bandwidth. Machines are shared and their memory's speed swings between seconds,
so the measurement is made in rounds. Each reads memory, decodes, reads memory again and prefills; figures are medians
of the rounds, and the fraction of the bandwidth is the median of a ratio that is taken inside each round. Where others
use the machine it can come out above 1, when they happen to disturb the reading more than the decoding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from codegeex.checkpoint.quantize import Int8Source
from codegeex.checkpoint.source import TensorSource
from codegeex.config import OFFICIAL_VOCAB_SIZE, PRESETS, ModelConfig
from codegeex.engine.backend import _NOT_COMPILED
from codegeex.engine.machine import free_memory
from codegeex.errors import CodeGeeXError

if TYPE_CHECKING:
    from codegeex.engine.native_backend import NativeBackend

SHAPES: dict[str, ModelConfig] = {
    "54m": ModelConfig(512, 11, 8, 32768, 1024),
    "125m": ModelConfig(768, 11, 12, OFFICIAL_VOCAB_SIZE),
    "13b": PRESETS["13b"],
}
"""Shapes to be measured with random weights. The top query layer is the last of their 12, 12 and 40 layers."""

MOST_READ_BYTES = 1 << 30
"""Memory is read in a buffer of the weights' size, which then is in the processor's caches as far as they are. Beyond
this size it makes no difference."""

READ_SHARE = 0.25
"""Memory is read for about this part of the time of the decoding, half of it before and half after."""


MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Workload:
    """What is measured: `batch` sequences of `prompt` tokens grow by `tokens` more, in each of `rounds`.

    Raises:
        CodeGeeXError: a number below 1.
    """

    batch: int = 1
    prompt: int = 128
    tokens: int = 64
    rounds: int = 5

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise CodeGeeXError(f"{name} must be at least 1.")

    @property
    def length(self) -> int:
        """Tokens of a sequence at the end, the one that follows the prompt included."""
        return self.prompt + 1 + self.tokens


@dataclass(frozen=True, slots=True)
class Round:
    """Figures of one round, all of them per second."""

    steps: float
    prefilled: float  # tokens
    bandwidth: float  # bytes


@dataclass(frozen=True)
class DecodeReport:
    """What was measured, and the figures of every round."""

    workload: Workload
    threads: int
    kernels: str
    weight_bytes: int
    """What every step reads: all linear maps and the int8 output head, with scales, biases and padding."""
    cache_bytes: int
    """Keys and values that a step reads, of all sequences, on average."""
    rounds: tuple[Round, ...]

    @cached_property
    def tokens_per_second(self) -> list[float]:
        """Of all sequences together, in each round."""
        return [self.workload.batch * one.steps for one in self.rounds]

    @cached_property
    def fraction_of_bandwidth(self) -> list[float]:
        """Weight bytes read per second of decoding over bytes read per second of reading, in each round."""
        return [self.weight_bytes * one.steps / one.bandwidth for one in self.rounds]

    def to_dict(self) -> dict[str, Any]:
        """Medians, under the names that scripts rely on."""
        return {
            "tokens_per_second": round(median(self.tokens_per_second), 2),
            "fraction_of_bandwidth": round(median(self.fraction_of_bandwidth), 3),
            "bandwidth_gb_s": round(median(one.bandwidth for one in self.rounds) / 1e9, 2),
            "prefill_tokens_per_second": round(median(one.prefilled for one in self.rounds), 2),
            "batch": self.workload.batch,
            "prompt": self.workload.prompt,
            "tokens": self.workload.tokens,
            "rounds": self.workload.rounds,
            "threads": self.threads,
            "kernels": self.kernels,
            "weight_gb": round(self.weight_bytes / 1e9, 4),
            "cache_gb_per_step": round(self.cache_bytes / 1e9, 5),
        }


def shape(name: str) -> ModelConfig:
    """The shape called `name`, in any case.

    Raises:
        CodeGeeXError: no such shape.
    """
    try:
        return SHAPES[name.lower()]
    except KeyError:
        raise CodeGeeXError(f"unknown shape {name!r}; known: {', '.join(SHAPES)}.") from None


def load(source: TensorSource, workload: Workload, threads: int | None = None) -> NativeBackend:
    """The native backend over `source`, with room for the workload's keys and values.

    Raises:
        CodeGeeXError: the workload does not fit the model's context, the model does not fit the free memory, no
            threads, or codegeex was installed without its C++ engine.
    """
    config = source.config
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise CodeGeeXError(f"threads must be from 1 to {MOST_THREADS}.")
    if workload.length > config.max_position_embeddings:
        raise CodeGeeXError(
            f"{workload.prompt} tokens, one more and {workload.tokens} steps are longer than this model's context of "
            f"{config.max_position_embeddings}."
        )
    try:
        from codegeex import _native
        from codegeex.engine.native_backend import NativeBackend
    except ImportError:
        raise CodeGeeXError(f"{_NOT_COMPILED}.") from None

    lengths = [workload.length] * workload.batch + [workload.prompt]  # prefill is timed beside the open sequences
    pages = sum(-(-length // _native.PAGE_TOKENS) for length in lengths)
    cache = pages * _native.page_bytes(config.hidden_size, config.num_layers, config.num_attention_heads)
    if config.quantization is None:
        source = Int8Source(source)
    sizes = [spec.nbytes for spec in source.specs.values()]
    head = config.vocab_size * config.hidden_size
    needed = sum(sizes) + head + max(sizes) + cache + min(sum(sizes), MOST_READ_BYTES)
    if needed > (free := free_memory()):
        raise CodeGeeXError(
            f"this needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; "
            "close other programs, or choose a smaller model or batch."
        )
    return NativeBackend(source, threads=threads, cache_bytes=cache)


def measure_decode(
    backend: NativeBackend, workload: Workload, progress: Callable[[int, int], None] = lambda done, total: None
) -> DecodeReport:
    """Decode greedily from random prompts, and read memory in between.

    Args:
        backend: from `load`.
        workload: what is measured. The sequences are cut back to their prompts after every round.
        progress: called with rounds done and rounds in total.
    """
    model, config = backend.model, backend.config
    prompts = np.random.default_rng(1).integers(0, config.vocab_size, (workload.batch, workload.prompt)).tolist()
    started = [backend.prefill(prompt) for prompt in prompts]
    sequences = [sequence for sequence, _ in started]
    first = [int(logits.argmax()) for _, logits in started]

    def decode() -> float:
        """Steps per second; its clock starts once every sequence has a token behind its prompt."""
        ids = backend.decode(sequences, first).argmax(-1).tolist()
        began = time.perf_counter()
        for _ in range(workload.tokens):
            ids = backend.decode(sequences, ids).argmax(-1).tolist()
        seconds = time.perf_counter() - began
        for sequence in sequences:
            backend.truncate(sequence, workload.prompt)
        return workload.tokens / seconds

    def prefill() -> float:
        """Tokens per second, of one prompt."""
        began = time.perf_counter()
        sequence, _ = backend.prefill(prompts[0])
        seconds = time.perf_counter() - began
        backend.free(sequence)
        return workload.prompt / seconds

    size = min(model.weight_bytes, MOST_READ_BYTES)
    passes = max(1, round(READ_SHARE / 2 * workload.tokens * model.weight_bytes / size))

    def read() -> float:
        """Seconds of all passes."""
        return sum(size / model.read_bandwidth(size, 1) for _ in range(passes))

    model.read_bandwidth(size, 1)  # makes the buffer
    rounds = []
    for done in range(workload.rounds):
        progress(done, workload.rounds)
        before = read()
        steps = decode()
        bandwidth = 2 * passes * size / (before + read())
        rounds.append(Round(steps=steps, prefilled=prefill(), bandwidth=bandwidth))
    for sequence in sequences:
        backend.free(sequence)
    return DecodeReport(
        workload=workload,
        threads=model.threads,
        kernels=model.kernels,
        weight_bytes=model.weight_bytes,
        cache_bytes=_cache_bytes(config, workload),
        rounds=tuple(rounds),
    )


def _cache_bytes(config: ModelConfig, workload: Workload) -> int:
    """Keys and values in half precision of all layers, at the middle of the decoding."""
    per_token = 2 * 2 * config.hidden_size * (config.num_layers + 1)
    return workload.batch * per_token * (workload.length - workload.tokens // 2)
