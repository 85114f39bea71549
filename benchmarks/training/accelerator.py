"""What an accelerator gives: model FLOPs utilisation of training, and tokens a second of decoding.

    PYTHONPATH=src python benchmarks/training/accelerator.py --output benchmarks/records/accelerator_h100_DATE

Training is `codegeex train` itself on shards of random ids, `base` (135 million parameters) and `dev` (1.0 billion),
with and without compiled layers. Utilisation is counted as in PaLM's appendix B, of the peak in `--peak-tflops` (dense
bfloat16; 989 is an H100 SXM's). Decoding is the torch backend at the released model's shape with random weights, in
half precision and int8, beside the memory's speed as a large copy shows it. `--quick` tries everything at toy sizes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from turns import random_documents

from codegeex import shards, tokenizer
from codegeex.checkpoint.random_source import RandomSource
from codegeex.config import PRESETS, ModelConfig
from codegeex.engine.torch_backend import TorchBackend
from codegeex.model.loader import from_source
from codegeex.tokenizer.train import MIN_SIZE
from codegeex.training import loop
from codegeex.training import recipe as recipes

WARM_UP = 10
"""Steps that compile and fill caches, and do not count."""

TINY = ModelConfig(64, 2, 4, 512, 256)
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "base": ("base", {"batch_size": 64, "layout": {"micro_batch": 32}}),
    "base, compiled": ("base", {"batch_size": 64, "layout": {"micro_batch": 32, "compile": True}}),
    "1.0B": ("dev", {"batch_size": 16, "layout": {"micro_batch": 8}}),
    "1.0B, compiled": ("dev", {"batch_size": 16, "layout": {"micro_batch": 8, "compile": True}}),
}


def train(config: ModelConfig, changes: dict[str, Any], peak: float, steps: int) -> dict[str, float]:
    """Median tokens a second and utilisation of the steps after the warm-up."""
    length = min(1024, config.max_position_embeddings)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        vocabulary = tokenizer.train([], MIN_SIZE)
        (root / "tokenizer").mkdir()
        vocabulary.save(root / "tokenizer")
        with shards.create(root / "shards", config.vocab_size, vocabulary.fingerprint) as writer:
            for document in random_documents(2_000_000, config.vocab_size, vocabulary.end_of_text):
                writer.add(document.tolist(), "python")
        content = {
            "output": str(root / "model"),
            "model": config.to_dict(),
            "data": {
                "tokenizer": str(root / "tokenizer"),
                "streams": [{"shards": str(root / "shards")}],
                "sequence_length": length,
            },
            "schedule": {"steps": WARM_UP + steps},
            "save_every": 10_000,
        } | changes
        (root / "recipe.yaml").write_text(json.dumps(content))
        recipe = recipes.load(root / "recipe.yaml")
        times = []

        def report(record: dict[str, Any]) -> None:
            if "loss" in record:
                times.append((time.perf_counter(), record["tflops"] / record["tokens_per_second"]))

        loop.train(recipe, report)
    seconds = median(after - before for (before, _), (after, _) in pairwise(times[WARM_UP:]))
    speed = recipe.batch_size * length / seconds
    return {"tokens_per_second": speed, "mfu": speed * times[-1][1] / peak}


def decode(config: ModelConfig, int8: bool, batch: int, tokens: int) -> dict[str, float]:
    """Tokens a second of all sequences together, after prompts of 128 tokens."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    model = from_source(RandomSource(config), dtype, device, keep_int8=int8)
    backend = TorchBackend(model, cache_bytes=2 << 30)
    prompts = np.random.default_rng(1).integers(0, config.vocab_size, (batch, min(128, tokens))).tolist()
    sequences = [backend.prefill(prompt)[0] for prompt in prompts]
    ids = [0] * batch
    times = []
    for _ in range(tokens):
        began = time.perf_counter()
        ids = backend.decode(sequences, ids).argmax(-1).tolist()
        times.append(time.perf_counter() - began)
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    seconds = median(times[tokens // 4 :])
    return {"tokens_per_second": batch / seconds, "weights_gb_s": size / seconds / 1e9}


def bandwidth(size: int) -> float:
    """GB a second that a copy of `size` bytes reads and writes."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        target.copy_(source)
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - began)
    return 2 * size / median(times) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, help="record to write, without its suffix")
    options = parser.parse_args()

    results: dict[str, dict[str, float]] = {}
    for name, (preset, changes) in RUNS.items():
        if options.quick:
            config, changes = TINY, changes | {"batch_size": 4, "layout": changes["layout"] | {"micro_batch": 2}}
        else:
            config = PRESETS[preset]
        results[f"train {name}"] = train(config, changes, options.peak_tflops, options.steps)
        print(f"train {name}: {results[f'train {name}']}", file=sys.stderr)
    shape = TINY if options.quick else PRESETS["13b"]
    for int8 in (False, True):
        for batch in (1, 16):
            name = f"decode 13B shape, {'int8' if int8 else 'half precision'}, batch {batch}"
            results[name] = decode(shape, int8, batch, options.tokens)
            print(f"{name}: {results[name]}", file=sys.stderr)
    memory = bandwidth(1 << (24 if options.quick else 32))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    lines = ["| | tokens/s | |", "|---|---|---|"]
    for name, one in results.items():
        note = f"{one['mfu']:.1%} of the peak" if "mfu" in one else f"{one['weights_gb_s']:,.0f} GB/s of weights"
        lines.append(f"| {name} | {one['tokens_per_second']:,.0f} | {note} |")
    lines.append(f"| a copy | | {memory:,.0f} GB/s read and written |")
    print("\n".join(lines))
    print(json.dumps({"device": device, "torch": torch.__version__, "copy_gb_s": memory} | results))
    if options.output:
        head = f"# Training and decoding on {device}\n\n{datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}.\n\n"
        command = f"    PYTHONPATH=src python benchmarks/training/accelerator.py {' '.join(sys.argv[1:])}\n"
        options.output.with_suffix(".md").write_text(head + "\n".join(lines) + "\n\n" + command)


if __name__ == "__main__":
    main()
