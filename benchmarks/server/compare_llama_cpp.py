"""Requests per second beside llama.cpp's Python server, with a model of the embedded one's shape.

    .venv-peers/bin/pip install 'llama-cpp-python[server]'       # into the peers' environment of benchmarks/decode
    python benchmarks/server/compare_llama_cpp.py --peers-python .venv-peers/bin/python [--seconds 20] [--rounds 3]

The peer has random weights (GPT-2, Q8_0) and the embedded model's own tokenizer. Both are asked for exactly so many
tokens: nothing ends an answer early. They take turns; the clients are in this process, as many as there are tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from load import PROMPT

import codegeex

TOKENS = 64
ASSET = Path(codegeex.__file__).parent / "assets/nano"
BUILD = Path(__file__).with_name("build_gguf.py")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Server:
    """A server under comparison."""

    def __init__(self, name: str, command: list[str], port: int, fields: dict[str, object]):
        self.name, self.fields = name, {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0.8} | fields
        self.url = f"http://127.0.0.1:{port}/v1/completions"
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=None))

    async def __aenter__(self) -> Server:
        until = time.monotonic() + 60
        while True:
            try:
                await self.ask(0, False)
                return self
            except httpx.TransportError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise SystemExit(f"{self.name} does not start: {self.process.args}") from None
                await asyncio.sleep(0.1)

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        self.process.terminate()
        self.process.wait(60)

    async def ask(self, seed: int, stream: bool) -> None:
        fields = self.fields | {"seed": seed, "stream": stream}
        if not stream:
            answer = (await self.client.post(self.url, json=fields)).raise_for_status().json()
            assert answer["choices"][0]["finish_reason"] == "length", answer
            return
        async with self.client.stream("POST", self.url, json=fields) as answer:
            answer.raise_for_status()
            last = ""
            async for line in answer.aiter_lines():
                last = line or last
            assert last == "data: [DONE]", last

    async def rate(self, clients: int, seconds: float, stream: bool) -> float:
        """Requests a second."""
        began, done = time.monotonic(), 0

        async def client(number: int) -> None:
            nonlocal done
            while time.monotonic() < began + seconds:
                await self.ask(number * 1000 + done, stream)
                done += 1

        await asyncio.gather(*(client(number) for number in range(clients)))
        return done / (time.monotonic() - began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", default=".venv-peers/bin/python")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    tokenizer = codegeex.load().tokenizer
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([options.peers_python, BUILD, ASSET, place], check=True)
        ours, theirs = free_port(), free_port()
        threads = str(options.threads)
        async with AsyncExitStack() as stack:
            command = [sys.executable, "-m", "codegeex", "serve", "--port", str(ours), "--quiet", "--threads", threads]
            # llama.cpp is given no end-of-text; ours is forbidden to say it.
            bias = {"logit_bias": {str(tokenizer.end_of_text): -100}}
            one = await stack.enter_async_context(Server("codegeex", command, ours, bias))
            command = [options.peers_python, "-m", "llama_cpp.server", "--model", f"{place}/Q8_0.gguf", "--port"]
            command += [str(theirs), "--n_ctx", "512", "--n_threads", threads, "--n_threads_batch", threads]
            command += ["--interrupt_requests", "false", "--verbose", "false"]
            other = await stack.enter_async_context(Server("llama-cpp-python", command, theirs, {}))
            found = []
            for clients in options.clients:
                for stream in (False, True):
                    pairs = []
                    for _ in range(options.rounds):
                        pairs.append([await each.rate(clients, options.seconds, stream) for each in (one, other)])
                    left, right = (statistics.median(rates) for rates in zip(*pairs, strict=True))
                    ratio = statistics.median(mine / yours for mine, yours in pairs)
                    found.append({"clients": clients, "stream": stream, "ours": left, "peer": right, "ratio": ratio})
                    how = "streamed" if stream else "whole"
                    print(f"{clients:3} clients, {how:8}: {left:7.1f} beside {right:6.1f} requests/s, ×{ratio:.1f}")
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
