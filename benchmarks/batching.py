"""What the engine above the backend saves on the embedded model: batching, guessing, and kept prompts.

    python benchmarks/batching.py

Prompts are pieces of this project's own source files. Both sides of every row say the same tokens, which is checked.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import codegeex
from codegeex.engine import Engine, Finished, SamplingParams

ROUNDS = 5
SOURCES = sorted(path for path in Path(codegeex.__file__).parent.rglob("*.py") if path.stat().st_size > 1000)[:24]
PROMPT_CHARACTERS = 700

model = codegeex.load()
prompts = [model.tokenizer.encode(path.read_text()[:PROMPT_CHARACTERS])[:250] for path in SOURCES]
Answer = list[list[int]]


def answers(engine: Engine, prompt: Sequence[int], params: SamplingParams) -> Answer:
    found = [event for event in engine.generate(prompt, params) if isinstance(event, Finished)]
    return [one.completion.tokens for one in sorted(found, key=lambda one: one.index)]


def timed(work: Callable[[], Answer]) -> tuple[float, Answer]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def every_prompt(temperature: float, speculate: bool) -> Callable[[], Answer]:
    params = SamplingParams(temperature=temperature, seed=1, max_tokens=100)

    def work() -> Answer:
        engine = Engine(model.backend, model.tokenizer, kept=0, speculate=speculate)
        return [tokens for prompt in prompts for tokens in answers(engine, prompt, params)]

    return work


def samples(batch: int) -> Callable[[], Answer]:
    params = SamplingParams(temperature=0.8, top_p=0.95, seed=1, n=64, max_tokens=100)

    def work() -> Answer:
        engine = Engine(model.backend, model.tokenizer, kept=0, batch=batch, speculate=False)
        return answers(engine, prompts[0], params)

    return work


def typing(kept: int) -> Callable[[], Answer]:
    """One token after every three of a growing prompt, as an editor asks."""
    params = SamplingParams(temperature=0, max_tokens=1)

    def work() -> Answer:
        engine = Engine(model.backend, model.tokenizer, kept=kept)
        found = [answers(engine, prompts[0][:length], params)[0] for length in range(100, len(prompts[0]), 3)]
        engine.forget()
        return found

    return work


CASES: dict[str, tuple[Callable[[], Answer], Callable[[], Answer]]] = {
    "guessing, greedy": (every_prompt(0.0, True), every_prompt(0.0, False)),
    "guessing, temperature 0.6": (every_prompt(0.6, True), every_prompt(0.6, False)),
    "64 samples together, not one by one": (samples(64), samples(1)),
    "growing prompt, its beginning kept": (typing(8), typing(0)),
}


def main() -> None:
    ratios: dict[str, float] = {}
    print(f"{'':<38}{'tokens/s':>10}{'without':>10}{'times as fast':>15}{'least':>7}{'most':>7}")
    for name, (ours, plain) in CASES.items():
        rounds = []
        for _ in range(ROUNDS):
            (seconds, found), (plain_seconds, expected) = timed(ours), timed(plain)
            if found != expected:
                raise SystemExit(f"{name}: the answers differ.")
            rounds.append((sum(map(len, found)), seconds, plain_seconds))
        each = [plain_seconds / seconds for _, seconds, plain_seconds in rounds]
        ratios[name] = round(statistics.median(each), 2)
        speeds = [statistics.median(count / one[place] for count, *one in rounds) for place in (0, 1)]
        print(
            f"{name:<38}{speeds[0]:>10,.0f}{speeds[1]:>10,.0f}{ratios[name]:>15.2f}{min(each):>7.2f}{max(each):>7.2f}"
        )
    print(json.dumps({"rounds": ROUNDS, "median_ratios": ratios}))


if __name__ == "__main__":
    main()
