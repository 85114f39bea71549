"""Memory and time of a large model: converting its official checkpoint to int8, loading the result, decoding with it.

    python benchmarks/large/measure_rss.py convert official.pt DIR
    python benchmarks/large/measure_rss.py load DIR [--threads N]

The work is done in a child process; figures are its peak resident memory as the kernel counts it, pages of mapped
files included. This process stays small and imports neither PyTorch nor numpy: a child's peak begins with its parent's
size. `load` asks for the peak after loading and again after decoding, and only then makes the buffer in which the
memory's speed is measured. DIR stays where it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_GB = {"convert": 6.0, "load": 15.5}
"""Of the 13B model: above these the exit status is 1."""

LOAD = """
import json, sys, time
from codegeex.checkpoint import NativeSource
from codegeex.engine import benchmark

def peak_gb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 / 1e9 for line in status if line.startswith("VmHWM:"))

threads = int(sys.argv[2]) or None
workload = benchmark.Workload(prompt=128, tokens=int(sys.argv[3]), rounds=int(sys.argv[4]))
began = time.perf_counter()
backend = benchmark.load(NativeSource(sys.argv[1]), workload, threads)
report = {"load_seconds": time.perf_counter() - began, "loaded_gb": peak_gb()}
sequence, logits = backend.prefill(list(range(workload.prompt)))
for _ in range(workload.tokens):
    logits = backend.decode([sequence], [int(logits.argmax())])[0]
backend.free(sequence)
report["peak_gb"] = peak_gb()
print(json.dumps(report | benchmark.measure_decode(backend, workload).to_dict()))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    convert = verbs.add_parser("convert", help="an official checkpoint to int8")
    convert.add_argument("file", type=Path)
    convert.add_argument("directory", type=Path, help="to be written; must not exist")
    convert.add_argument("--heads", type=int, default=40, help="attention heads, which the checkpoint does not tell")
    load = verbs.add_parser("load", help="an int8 directory, and decode with it")
    load.add_argument("directory", type=Path)
    load.add_argument("--threads", type=int, default=0, help="0 for one for each processor")
    load.add_argument("--tokens", type=int, default=16)
    load.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report = converted(options) if options.verb == "convert" else loaded(options)
    for name, value in report.items():
        print(
            f"{name.replace('_', ' '):<28} {value:>12,.2f}" if isinstance(value, float) else f"{name:<28} {value:>12}"
        )
    print(json.dumps(report))
    return int(report["peak_gb"] > LIMIT_GB[options.verb])


def converted(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        config.write(json.dumps({"num_attention_heads": options.heads}))
        config.flush()
        command = [sys.executable, "-m", "codegeex", "convert", "int8"]
        seconds, peak, _ = child([*command, options.file, options.directory, "--config", config.name])
    written = sum(file.stat().st_size for file in options.directory.iterdir())
    size = options.file.stat().st_size
    return {"file_gb": size / 1e9, "written_gb": written / 1e9, "peak_gb": peak / 1e9, "seconds": seconds}


def loaded(options: argparse.Namespace) -> dict[str, Any]:
    work = [options.threads, options.tokens, options.rounds]
    _, _, output = child([sys.executable, "-c", LOAD, options.directory, *work])
    size = sum(file.stat().st_size for file in options.directory.iterdir())
    report: dict[str, Any] = {"directory_gb": size / 1e9} | json.loads(output)
    return report


def child(command: list[Any]) -> tuple[float, int, str]:
    """Seconds, peak resident bytes and output of a command."""
    began = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        output = stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command[3:]))[:200]} failed with exit status {process.returncode}.")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return time.perf_counter() - began, usage.ru_maxrss * unit, output


if __name__ == "__main__":
    sys.exit(main())
