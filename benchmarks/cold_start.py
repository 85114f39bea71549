"""Seconds from starting the process to the answer, on the embedded model.

    python benchmarks/cold_start.py

The peer is the start of the same interpreter with PyTorch imported and nothing else done.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 9
ANSWER = [sys.executable, "-m", "codegeex", "generate", "write a factorial function", "--lang", "python", "--greedy"]
COMMANDS = {
    "first token": [*ANSWER, "--max-tokens", "1"],
    "whole answer (at most 256 tokens)": ANSWER,
    "codegeex --version": [sys.executable, "-m", "codegeex", "--version"],
    "import torch, nothing else": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    print(f"{'':<36}{'median s':>10}{'least':>8}{'most':>8}")
    for name, values in seconds.items():
        print(f"{name:<36}{medians[name]:>10}{min(values):>8.3f}{max(values):>8.3f}")
    print(json.dumps({"rounds": ROUNDS, "median_seconds": medians}))


if __name__ == "__main__":
    main()
