"""What every worker shares: the shapes, random weights, and the protocol.

A worker is a process around one engine: `python WORKER.py --shape 54m --threads 2`. It makes a GPT-2-like model
(learned positions, biases, layer norm first, tied head, tanh GELU) of that shape in the engine's own format, prints
`{"ready": true, "engine": ..., "version": ..., "format": ...}`, and answers each line of stdin with one line:

    {"mode": "decode", "batch": 8, "prompt": 128, "tokens": 64}   → {"tokens_per_second": ..., "seconds": ...}
    {"mode": "prefill", "prompt": 512}                            → {"tokens_per_second": ..., "seconds": ...}
    {"mode": "logits", "prompt": 32}                              → {"logits": [...]}

Decoding is greedy. Its clock starts when every sequence has its prompt and one token behind it, and stops `tokens`
tokens later; nothing ends a sequence early. Prefill ends with the logits of the last token, at batch 1. The logits are
those of the same prompt in every worker, to see that all compute the same model. The process ends with stdin.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = list[int]
LOGITS = 512
"""How many of the logits the mode of that name gives."""


@dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    heads: int
    ffn: int
    vocab: int
    context: int


SHAPES = {
    "54m": Shape(layers=12, hidden=512, heads=8, ffn=2048, vocab=32768, context=1024),
    "125m": Shape(layers=12, hidden=768, heads=12, ffn=3072, vocab=52224, context=2048),
}


class Options(argparse.Namespace):
    """What a worker is told on the command line."""

    shape: Shape
    shape_name: str
    threads: int
    format: str
    cache: Path


class Engine(Protocol):
    """What the loop asks of an engine."""

    name: str
    version: str

    def prefill(self, prompt: Ids) -> NDArray[np.float32]:
        """The logits [vocab] of the token after `prompt`."""

    def decode(self, prompts: list[Ids], tokens: int) -> float:
        """Seconds for `tokens` greedy steps of all sequences together, after the prompts and a first token."""


def weights(shape: Shape, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random weights under the names of GGUF files; matrices are [out, in], `attn_qkv` is query, key, value."""
    random = np.random.default_rng(seed)
    result: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *size: int, mean: float = 0.0) -> None:
        result[name] = random.standard_normal(size, dtype=np.float32) * np.float32(0.02) + np.float32(mean)

    def norm(name: str) -> None:
        add(f"{name}.weight", shape.hidden, mean=1.0)
        add(f"{name}.bias", shape.hidden)

    def linear(name: str, rows: int, columns: int) -> None:
        add(f"{name}.weight", rows, columns)
        add(f"{name}.bias", rows)

    add("token_embd.weight", shape.vocab, shape.hidden)
    add("position_embd.weight", shape.context, shape.hidden)
    for index in range(shape.layers):
        norm(f"blk.{index}.attn_norm")
        linear(f"blk.{index}.attn_qkv", 3 * shape.hidden, shape.hidden)
        linear(f"blk.{index}.attn_output", shape.hidden, shape.hidden)
        norm(f"blk.{index}.ffn_norm")
        linear(f"blk.{index}.ffn_up", shape.ffn, shape.hidden)
        linear(f"blk.{index}.ffn_down", shape.hidden, shape.ffn)
    norm("output_norm")
    return result


def prompts(shape: Shape, batch: int, length: int) -> list[Ids]:
    """Different random ids for each sequence, the same in every process."""
    ids = np.random.default_rng(1).integers(0, shape.vocab, (batch, length))
    return [list(map(int, row)) for row in ids]


def require(module: str) -> Any:
    """Import a peer's package, or end the process with a line that says what to do."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SystemExit(
            f"{Path(sys.argv[0]).name}: {error}. The peers live in an environment of their own; "
            "benchmarks/requirements-peers.txt says how to make it."
        ) from error


def built(options: Options, name: str, make: Callable[[Path], None]) -> Path:
    """The cached file or directory `name` of this shape. `make` writes it, under another name until it is whole."""
    path = options.cache / f"{options.shape_name}-{name}"
    if not path.exists():
        options.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.cache) as place:
            partial = Path(place, path.name)
            make(partial)
            shutil.move(partial, path)
    return path


def serve(make: Callable[[Options], Engine], formats: Sequence[str]) -> None:
    """Read the command line, make the engine, answer requests until stdin ends. The first format is the default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", dest="shape_name", choices=SHAPES, default="54m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--format", choices=formats, default=formats[0], help="of the weights")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "benchmarks-cache"))
    options = parser.parse_args(namespace=Options())
    options.shape = SHAPES[options.shape_name]

    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints, from Python or C, goes to stderr

    def reply(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=replies)

    engine = make(options)
    engine.decode(prompts(options.shape, 1, 8), 2)  # the first call of many engines is slow
    reply({"ready": True, "engine": engine.name, "version": engine.version, "format": options.format})
    for line in sys.stdin:
        reply(answer(engine, options.shape, json.loads(line)))


def answer(engine: Engine, shape: Shape, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request."""
    batch, length = request.get("batch", 1), request["prompt"]
    sequences = prompts(shape, batch, length)
    if request["mode"] == "decode":
        seconds = engine.decode(sequences, request["tokens"])
        done = batch * request["tokens"]
    else:
        began = time.perf_counter()
        logits = engine.prefill(sequences[0])
        seconds = time.perf_counter() - began
        done = length
        if request["mode"] == "logits":
            return {"logits": [round(float(value), 5) for value in logits[:LOGITS]]}
    return {"tokens_per_second": round(done / seconds, 2), "seconds": round(seconds, 5)}
