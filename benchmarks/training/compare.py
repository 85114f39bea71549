"""Training steps of `codegeex train` beside Hugging Face's Trainer and a plain loop, on a CPU.

    (the peers' environment: benchmarks/requirements-peers.txt)
    python benchmarks/training/compare.py --peers-python .venv-peers/bin/python --output benchmarks/records/training_...

All have the same shape (the peers one ordinary layer more for the top query layer), AdamW, bfloat16 products, float32
weights, batch and length. Each is a process of its own, and they take turns of a few steps: a ratio is taken inside a
round; what is reported is the median of the rounds' ratios, with the least and the most, and each process' peak memory.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
OURS = "codegeex train"
WORKERS = {OURS: "ours.py", "Trainer, GPT-2": "peer_trainer.py", "plain PyTorch": "peer_plain.py"}


class Worker:
    def __init__(self, python: str, script: str, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [python, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended with {self.process.wait()}")
        # Trainer prints a line of its own now and then.
        return line.strip() if line.startswith(("ready", '{"seconds"')) else self.read()

    def turn(self, steps: int) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer: dict[str, float] = json.loads(self.read())
        return answer

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--shape", default="base")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="of a turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, help="record to write, without its suffix")
    options = parser.parse_args()

    arguments = [options.shape, str(options.batch), str(options.length), str(options.threads)]
    workers: dict[str, Worker] = {}
    speeds: dict[str, list[float]] = {name: [] for name in WORKERS}
    peaks: dict[str, float] = {}
    try:
        for name, script in WORKERS.items():
            workers[name] = Worker(sys.executable if name == OURS else options.peers_python, script, arguments)
            assert workers[name].read() == "ready"
            print(f"{name} is ready", file=sys.stderr)
        for turn in range(options.rounds + 1):
            for name in random.Random(turn).sample(list(WORKERS), len(WORKERS)):
                answer = workers[name].turn(options.steps)
                peaks[name] = answer["peak_mb"]
                if turn:  # the first round warms up
                    speeds[name].append(answer["tokens"] / answer["seconds"])
            print(f"round {turn}", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.close()

    lines = ["| | tokens/s | codegeex is faster by | peak memory |", "|---|---|---|---|"]
    content: dict[str, object] = {"shape": options.shape, "batch": options.batch, "length": options.length}
    for name, found in speeds.items():
        ratios = [ours / other for ours, other in zip(speeds[OURS], found, strict=True)]
        spread = "" if name == OURS else f"{median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
        lines.append(f"| {name} | {median(found):,.0f} | {spread} | {peaks[name]:,.0f} MB |")
        content[name] = {"tokens_per_second": median(found), "ratio": median(ratios), "peak_mb": peaks[name]}
    print("\n".join(lines))
    print(json.dumps(content))
    if options.output:
        command = f"python benchmarks/training/compare.py {' '.join(sys.argv[1:])}"
        text = f"""# Training steps beside Trainer and plain PyTorch

{datetime.now(UTC):%Y-%m-%d}, {platform.processor() or platform.machine()}, {options.threads} threads.
Shape `{options.shape}`, {options.batch} windows of {options.length} tokens a step, AdamW, bfloat16 products, float32
weights.

{chr(10).join(lines)}

Medians of {options.rounds} rounds of {options.steps} steps each, in which all take turns; in brackets the least and the
most.

    {command}
"""
        options.output.with_suffix(".md").write_text(text)
        options.output.with_suffix(".json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
