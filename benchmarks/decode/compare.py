"""Decoding and prefill of the native engine beside llama.cpp, CTranslate2, OpenVINO and transformers.

    python benchmarks/decode/compare.py --peers-python .venv-peers/bin/python \\
        --output benchmarks/records/decode_HARDWARE_DATE

Each engine is a process of its own (see `shapes.py`). All workers of one shape and number of threads are started, and
then take turns, so that only one computes at a time: in every round, each case is run once by each engine, in an order
drawn anew. A ratio is taken inside a round, between runs that are seconds apart; what is reported is the median of the
rounds' ratios, with the least and the most. A first round warms up and is not counted. Engines that are not installed
are named and left out. `--output` writes the record (.md), all figures (.json) and a chart for each number of threads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import select
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import IO, Any

from chart import Chart
from shapes import SHAPES

OURS = "codegeex int8"
WORKERS = {
    OURS: "ours.py",
    "llama.cpp Q8_0": "peer_llama_cpp.py",
    "llama.cpp bf16": "peer_llama_cpp.py",
    "CTranslate2 int8": "peer_ctranslate2.py",
    "OpenVINO int8": "peer_openvino.py",
    "transformers bf16": "peer_transformers.py",
}
"""By engine and format of the weights. llama.cpp reads fewer bytes in Q8_0 and multiplies faster in bfloat16 where the
processor has it, so each is its best for some cases."""
PEERS = list(dict.fromkeys(name.split()[0] for name in WORKERS if name != OURS))
READY_SECONDS, ANSWER_SECONDS = 600, 600
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")
"""Of the processor, the ones that decide which kernels an engine takes."""


class WorkerFailed(Exception):
    """A worker ended, or did not answer in time."""


@dataclass
class Worker:
    """A process around an engine."""

    engine: str
    process: subprocess.Popen[str]
    errors: IO[str]
    about: dict[str, Any] = field(default_factory=dict)

    def receive(self, seconds: float) -> dict[str, Any]:
        """Its next line. Workers write one for each request, so nothing waits in the pipe's buffer."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise WorkerFailed(f"no answer in {seconds:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise WorkerFailed((self.errors.read().strip().splitlines() or ["it ended without a word"])[-1])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self, request: dict[str, Any]) -> float:
        """Tokens per second."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # `receive` says why
            print(json.dumps(request), file=self.process.stdin, flush=True)
        return float(self.receive(ANSWER_SECONDS)["tokens_per_second"])


@contextmanager
def started(engine: str, python: str, shape: str, threads: int, cache: Path) -> Iterator[Worker]:
    """A worker that is ready; its process ends with the block.

    Raises:
        WorkerFailed: it cannot be started: a package is missing, a file cannot be written.
    """
    script = Path(__file__).parent / WORKERS[engine]
    command = [python, script, "--format", engine.split()[1], "--shape", shape, "--threads", threads, "--cache", cache]
    with tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
            )
        except OSError as error:
            raise WorkerFailed(f"{python}: {error.strerror}") from None
        try:
            worker = Worker(engine, process, errors)
            worker.about = worker.receive(READY_SECONDS)
            yield worker
        finally:
            process.kill()
            process.communicate()


Figures = dict[str, list[float]]
"""Tokens per second of each engine, round by round."""


@dataclass
class Comparison:
    """Everything that was measured."""

    options: argparse.Namespace
    cases: dict[str, dict[str, Any]]
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each engine says of itself."""
    figures: dict[tuple[int, str, str], Figures] = field(default_factory=dict)
    """By threads, shape and case."""

    @property
    def chosen(self) -> list[str]:
        return [name for name in WORKERS if name == OURS or name.split()[0] in self.options.peers]

    def measure(self, shape: str, threads: int, order: random.Random) -> None:
        """All rounds of one shape and number of threads."""
        self.figures |= {(threads, shape, case): {} for case in self.cases}
        with ExitStack() as stack:
            workers = []
            for engine in self.chosen:
                python = sys.executable if engine == OURS else self.options.peers_python
                say(f"{shape}, {plural(threads, 'thread')}: starting {engine}")
                try:
                    worker = stack.enter_context(started(engine, python, shape, threads, self.options.cache))
                except WorkerFailed as error:
                    if engine == OURS:
                        raise SystemExit(f"{engine} does not start: {error}") from None
                    say(f"{engine} is left out: {error}")
                    continue
                self.engines[engine] = worker.about
                workers.append(worker)
            for number in range(self.options.rounds + 1):
                say(f"{shape}, {plural(threads, 'thread')}: " + (f"round {number}" if number else "warming up"))
                for case in order.sample(list(self.cases), len(self.cases)):
                    for worker in order.sample(workers, len(workers)):
                        try:
                            speed = worker.run(self.cases[case])
                        except WorkerFailed as error:
                            say(f"{worker.engine} is left out from here on: {error}")
                            workers.remove(worker)
                            continue
                        if number:
                            self.figures[threads, shape, case].setdefault(worker.engine, []).append(speed)

    def ratios(self, figures: Figures, peer: str) -> list[float]:
        """How many times faster than `peer` we are, in each round that both finished."""
        return [ours / theirs for ours, theirs in zip(figures.get(OURS, []), figures.get(peer, []), strict=False)]

    def rows(self, threads: int) -> Iterator[list[str]]:
        """Cells of a table: heading first, then a row for each shape and case."""
        names = [engine for engine in self.chosen if engine in self.engines]
        yield ["shape", "case", *names]
        for (number, shape, case), figures in self.figures.items():
            if number == threads:
                yield [shape.upper(), case, *(self._cell(figures, name) for name in names)]

    def _cell(self, figures: Figures, engine: str) -> str:
        if engine not in figures:
            return "–"
        speed = f"{median(figures[engine]):,.0f}"
        ratios = self.ratios(figures, engine)
        if engine == OURS or not ratios:
            return speed
        return f"{speed}: {median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"

    def chart(self, threads: int) -> str:
        names = [engine for engine in self.chosen if engine in self.engines]
        return Chart(
            title=f"Tokens per second, {plural(threads, 'thread')}: longer is faster",
            notes=[
                f"{processor()}. Decoding follows prompts of {self.options.prompt} tokens; "
                f"medians of {plural(self.options.rounds, 'round')},",
                "the thin line from the slowest to the fastest. Every group of bars has its own scale.",
            ],
            engines=names,
            shapes=[f"{shape.upper()} parameters" for shape in self.options.shapes],
            cases=list(self.cases),
            values={
                (f"{shape.upper()} parameters", case): figures
                for (number, shape, case), figures in self.figures.items()
                if number == threads
            },
        ).svg()

    def summary(self) -> dict[str, Any]:
        """Median ratios: threads, shape, case, peer."""
        content: dict[str, Any] = {}
        for (threads, shape, case), figures in self.figures.items():
            place = content.setdefault(str(threads), {}).setdefault(shape, {}).setdefault(case, {})
            for peer in figures:
                if peer != OURS and (ratios := self.ratios(figures, peer)):
                    place[peer] = round(median(ratios), 3)
        return content

    def record(self) -> str:
        """The record as Markdown."""
        options = self.options
        about = "; ".join(f"{name} ({engine['version']})" for name, engine in self.engines.items())
        lines = [
            "# Decoding and prefill beside other engines",
            "",
            f"{hardware()}. {datetime.now(UTC):%Y-%m-%d}. {about}.",
            "",
            "Random weights of the same shape in every engine. "
            f"{plural(options.rounds, 'round')} (seed {options.seed}) after one to warm up.",
            f"Decode follows prompts of {options.prompt} tokens, {options.tokens} steps. Cells are tokens a second of",
            "all sequences together, and how many times faster codegeex is: the median of the rounds' ratios, with the",
            "least and the most.",
        ]
        for threads in options.threads:
            lines += [
                "",
                f"## {plural(threads, 'thread')}",
                "",
                f"![chart]({chart_path(options.output, threads).name})",
                "",
            ]
            heading, *rows = self.rows(threads)
            lines += ["| " + " | ".join(row) + " |" for row in (heading, ["---"] * len(heading), *rows)]
        lines += ["", f"All figures are in [{options.output.name}.json]({options.output.name}.json). Command:", ""]
        return "\n".join([*lines, f"    python {shlex.join(sys.argv)}", ""])

    def write(self) -> None:
        """The record, the figures and the charts."""
        output: Path = self.options.output
        output.parent.mkdir(parents=True, exist_ok=True)
        runs = [
            {"threads": threads, "shape": shape, "case": case, "tokens_per_second": figures}
            for (threads, shape, case), figures in self.figures.items()
        ]
        content = {"hardware": hardware(), "command": sys.argv, "engines": self.engines, "runs": runs}
        output.with_name(f"{output.name}.md").write_text(self.record())
        output.with_name(f"{output.name}.json").write_text(json.dumps(content, indent=1) + "\n")
        for threads in self.options.threads:
            chart_path(output, threads).write_text(self.chart(threads))


def chart_path(output: Path, threads: int) -> Path:
    return output.with_name(f"{output.name}_{threads}-threads.svg")


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count != 1 else "")


def processor() -> str:
    return f"{cpuinfo('model name') or platform.processor()}, {plural(os.cpu_count() or 1, 'core')}"


def hardware() -> str:
    """One line: the processor with what its kernels depend on, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = set((cpuinfo("flags") or cpuinfo("Features")).split())
    flags = ", ".join(flag for flag in FLAGS if flag in found)
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{processor()} ({flags}), {memory:.0f} GB memory, {system}"


def cpuinfo(key: str) -> str:
    """A value of the first processor; "" where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has the peers installed")
    parser.add_argument("--output", type=Path, help="where to write, without an ending; else only print")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 1])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=128, help="tokens before decoding")
    parser.add_argument("--tokens", type=int, default=64, help="steps of decoding")
    parser.add_argument("--prefill", type=int, default=512, help="tokens of the prefill case")
    parser.add_argument("--seed", type=int, default=0, help="of the order within rounds")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "benchmarks-cache"))
    options = parser.parse_args(given)
    if min(options.rounds, options.prompt, options.tokens, options.prefill, *options.threads, *options.batches) < 1:
        parser.error("numbers must be at least 1")
    return options


def main() -> None:
    options = arguments()
    decode = {"mode": "decode", "prompt": options.prompt, "tokens": options.tokens}
    cases = {f"decode, batch {batch}": decode | {"batch": batch} for batch in options.batches}
    comparison = Comparison(
        options, cases | {f"prefill {options.prefill}": {"mode": "prefill", "prompt": options.prefill}}
    )
    order = random.Random(options.seed)
    for threads in options.threads:
        for shape in options.shapes:
            comparison.measure(shape, threads, order)
    if options.output:
        comparison.write()
    for threads in options.threads:
        print(f"\n{plural(threads, 'thread')}, tokens/s: times codegeex is faster (least–most)")
        table = list(comparison.rows(threads))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(json.dumps({"rounds": options.rounds, "median_ratio": comparison.summary()}))


if __name__ == "__main__":
    main()
