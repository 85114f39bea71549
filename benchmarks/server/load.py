"""What the server costs beside the engine alone, and how it bears many clients. Embedded model, this machine only.

    python benchmarks/server/load.py [--seconds 60] [--clients 200] [--rounds 5]

The server and its clients are processes of their own. Every answer is compared with what the engine says by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import codegeex
from codegeex.engine import Finished, Piece, SamplingParams

PROMPT = "# language: Python\ndef quick_sort(numbers):\n"
FIELDS = {"prompt": PROMPT, "temperature": 0.8, "top_p": 0.95, "stream": True}
SEEDS = 32
"""Different answers that the clients of the long run ask for."""


async def ask(
    port: int, seed: int, tokens: int, fields: dict[str, Any] | None = None
) -> tuple[list[bytes], float, float]:
    """A streamed answer over a connection of its own: its events, seconds to the first one, and to the end."""
    body = json.dumps(FIELDS | {"seed": seed, "max_tokens": tokens} | (fields or {})).encode()
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status = await reader.readline()
        assert b" 200 " in status, status
        first, events = 0.0, []
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                first = first or time.perf_counter() - began
                events.append(line[6:])
            elif line.startswith(b"data: [DONE]"):
                return events, first, time.perf_counter() - began
        raise AssertionError("the stream broke off")
    finally:
        writer.close()


def text(events: list[bytes]) -> str:
    """What an answer says; read once the clock has stopped, as clients have processors of their own."""
    return "".join(choice["text"] for event in events for choice in json.loads(event)["choices"])


def memory(process: subprocess.Popen[str]) -> float:
    """MB that the server has."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]


def alone(
    model: codegeex.Model, seeds: range, tokens: int, bias: dict[int, float] | None = None
) -> tuple[list[str], float, float]:
    """The engine without a server: texts, seconds to the first piece of the first, seconds in all."""
    ids = model.tokenizer.encode(PROMPT)
    began = time.perf_counter()
    common = SamplingParams(temperature=0.8, top_p=0.95, max_tokens=tokens, logit_bias=bias or {})
    requests = [model.engine.submit(ids, replace(common, seed=seed)) for seed in seeds]
    first = 0.0
    while model.engine.step():
        if not first and any(isinstance(event, Piece) for event in requests[0].events):
            first = time.perf_counter() - began
    seconds = time.perf_counter() - began
    finished = [event for request in requests for event in request.events if isinstance(event, Finished)]
    return [event.completion.text for event in finished], first or seconds, seconds


async def overhead(model: codegeex.Model, port: int, rounds: int) -> dict[str, float]:
    """Sixteen streams, and one, in turns with the engine alone.

    The sixteen go on to the context's end, as end-of-text is forbidden: the batch is full for the whole time.
    """
    ratios, extra = [], []
    tokens = model.backend.config.max_position_embeddings - 64
    bias = {model.tokenizer.end_of_text: -100.0}
    for _ in range(rounds):
        expected, _, engine = alone(model, range(16), tokens, bias)
        began = time.perf_counter()
        answers = await asyncio.gather(*(ask(port, seed, tokens, {"logit_bias": bias}) for seed in range(16)))
        ratios.append((time.perf_counter() - began) / engine)
        assert [text(events) for events, _, _ in answers] == expected
        for _ in range(4):
            extra.append((await ask(port, 1, 4))[1] - alone(model, range(1, 2), 4)[1])
    return {
        "batch_16_time_ratio": round(statistics.median(ratios), 3),
        "first_token_extra_ms": round(statistics.median(extra) * 1000, 2),
    }


async def soak(model: codegeex.Model, process: subprocess.Popen[str], port: int, clients: int, seconds: float) -> dict:
    """Clients that ask again as soon as they have their answer."""
    expected = [alone(model, range(seed, seed + 1), 48)[0][0] for seed in range(SEEDS)]
    latencies: list[float] = []
    begins, sizes = time.perf_counter(), []

    async def client(number: int) -> None:
        turn = number
        while time.perf_counter() - begins < seconds:
            events, _, latency = await ask(port, turn % SEEDS, 48)
            assert text(events) == expected[turn % SEEDS], "a lost or mixed token"
            latencies.append(latency)
            turn += 7

    async def watch() -> None:
        while True:
            await asyncio.sleep(seconds / 10)
            sizes.append(memory(process))

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(client(number) for number in range(clients)))
    watcher.cancel()
    took = time.perf_counter() - begins
    return {
        "clients": clients,
        "seconds": round(took, 1),
        "answers": len(latencies),
        "answers_per_second": round(len(latencies) / took, 1),
        "latency_median_s": round(statistics.median(latencies), 3),
        "latency_max_over_median": round(max(latencies) / statistics.median(latencies), 2),
        "memory_mb_early": round(sizes[1]),
        "memory_mb_late": round(sizes[-1]),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = codegeex.load()
    command = [sys.executable, "-m", "codegeex", "serve", "--port", "0", "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        port = int(re.search(r":(\d+)/", process.stderr.readline())[1])  # type: ignore[index]
        await ask(port, 0, 1)
        found = {"start_s": round(time.perf_counter() - began, 2)}
        found |= await overhead(model, port, arguments.rounds)
        found |= await soak(model, process, port, arguments.clients, arguments.seconds)
    finally:
        process.terminate()
        process.wait(40)
    for name, value in found.items():
        print(f"{name:26} {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
