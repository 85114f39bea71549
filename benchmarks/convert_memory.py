"""Peak memory of converting an official checkpoint, beside PyTorch reading the same file.

    python benchmarks/convert_memory.py [--hidden 2048] [--layers 24] [--directory DIR]

Makes a synthetic half-precision checkpoint in the official layout (2.75 GB by default; the place needs twice as much
while it runs), and runs each command in a child process of its own. The figure is the child's peak resident memory as
the kernel counted it. This process stays small and imports neither PyTorch nor numpy: a child's peak begins with its
parent's size. The exit status is 1 if a conversion took a quarter of the file's size or more.
(Choose a model of two gigabytes or more: the interpreter takes 50 MB, and the largest tensor its size.)

The peers are what one would write with PyTorch: loading the file, and loading it as a memory map to save it again in
the safetensors format, which is the work that `convert official` does (a map's pages count while they are resident).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 1 / 4
VOCAB_SIZE = 52224
POSITIONS = 2048

# Every tensor has a storage of its own, as in the released file; their values are slices of one random block.
MAKE = """
import sys, torch
hidden, layers, vocab, positions = map(int, sys.argv[2:])
block = torch.randn(max(4 * hidden, vocab // 8 + 1) * hidden).mul_(0.02).half()
def tensor(*shape):
    count = torch.Size(shape).numel()
    return block.repeat(-(-count // block.numel()))[:count].clone().view(shape)
transformer = {}
for layer in [*(f"layers.{index}" for index in range(layers)), "topQueryLayer"]:
    for norm in ("input_layernorm", "post_attention_layernorm"):
        transformer |= {f"{layer}.{norm}.weight": tensor(hidden), f"{layer}.{norm}.bias": tensor(hidden)}
    for name, rows, columns in (
        *((f"attention.{name}", hidden, hidden) for name in ("query", "key", "value", "dense")),
        ("mlp.dense_h_to_4h", 4 * hidden, hidden),
        ("mlp.dense_4h_to_h", hidden, 4 * hidden),
    ):
        transformer |= {f"{layer}.{name}.weight": tensor(rows, columns), f"{layer}.{name}.bias": tensor(rows)}
transformer |= {"final_layernorm.weight": tensor(hidden), "final_layernorm.bias": tensor(hidden)}
embedding = {
    "word_embeddings": {"weight": tensor(vocab, hidden)},
    "position_embeddings": {"weight": tensor(positions, hidden)},
}
query = {"top_query_embeddings": {"weight": tensor(positions, hidden)}}
language_model = {"embedding": embedding, "topQueryEmbedding": query, "transformer": transformer}
torch.save({"module": {"language_model": language_model}}, sys.argv[1])
"""
LOAD = "import sys, torch; torch.load(sys.argv[1], map_location='cpu', weights_only=True)"
RESAVE = """
import sys, torch
from safetensors.torch import save_file
def flat(content, prefix=""):
    for name, value in content.items():
        yield from flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
save_file(dict(flat(torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap=True))), sys.argv[2])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=2048, help="hidden size")
    parser.add_argument("--layers", type=int, default=24, help="ordinary layers")
    parser.add_argument("--directory", type=Path, help="where the temporary files go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="convert-memory-", dir=options.directory) as place:
        checkpoint, config, output = Path(place, "official.pt"), Path(place, "config.json"), Path(place, "output")
        config.write_text(json.dumps({"num_attention_heads": options.hidden // 128}))
        shape = [options.hidden, options.layers, VOCAB_SIZE, POSITIONS]
        subprocess.run([sys.executable, "-c", MAKE, checkpoint, *map(str, shape)], check=True)
        size = checkpoint.stat().st_size
        convert = [sys.executable, "-m", "codegeex", "convert"]
        commands = {
            "codegeex convert official": [*convert, "official", checkpoint, output, "--config", config],
            "codegeex convert int8": [*convert, "int8", checkpoint, output, "--config", config],
            "torch.load": [sys.executable, "-c", LOAD, checkpoint],
            "torch.load(mmap=True), save_file": [sys.executable, "-c", RESAVE, checkpoint, output],
        }
        rows = {name: {"file_bytes": size} | measure(command, output) for name, command in commands.items()}

    print(f"{'':<34}{'file MB':>9}{'written MB':>12}{'peak MB':>9}{'peak/file':>11}{'seconds':>9}")
    for name, row in rows.items():
        row["ratio"] = round(row["peak_bytes"] / size, 3)
        megabytes = [row[key] / 1e6 for key in ("file_bytes", "written_bytes", "peak_bytes")]
        print("{:<34}{:>9,.0f}{:>12,.0f}{:>9,.0f}".format(name, *megabytes), f"{row['ratio']:>10}{row['seconds']:>9}")
    passed = all(row["ratio"] < LIMIT for name, row in rows.items() if name.startswith("codegeex"))
    print(json.dumps({"under_a_quarter": passed, "commands": rows}))
    return 0 if passed else 1


def measure(command: list[str | Path], output: Path) -> dict[str, float]:
    """Peak resident bytes, bytes written to `output` (removed again) and seconds of a command."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = round(time.perf_counter() - began, 1)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:5]))} failed with exit status {process.returncode}.")
    written = 0
    if output.is_dir():
        written = sum(file.stat().st_size for file in output.iterdir())
        shutil.rmtree(output)
    elif output.exists():
        written = output.stat().st_size
        output.unlink()
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return {"written_bytes": written, "peak_bytes": usage.ru_maxrss * unit, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
