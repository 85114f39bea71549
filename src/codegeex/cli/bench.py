"""`codegeex bench`: measure this machine. A table for people, and one JSON line last."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from codegeex.cli.progress import count_progress
from codegeex.cli.tables import print_table
from codegeex.errors import CodeGeeXError

if TYPE_CHECKING:
    from codegeex.engine.benchmark import DecodeReport

bench_app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)


@bench_app.callback()
def _benchmarks() -> None:
    """Keeps `decode` a name of its own while it is the only benchmark."""


@bench_app.command()
def decode(
    shape: Annotated[str | None, typer.Option(help="Random weights of a shape: 54m, 125m or 13b.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model directory, instead of a shape.  [default: the one that ships]")
    ] = None,
    batch: Annotated[int, typer.Option(help="Sequences decoded together.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads.  [default: one for each processor, 16 at most]")] = None,
    prompt: Annotated[int, typer.Option(help="Tokens of each prompt.")] = 128,
    tokens: Annotated[int, typer.Option(help="Tokens decoded for each sequence in a round.")] = 64,
    rounds: Annotated[int, typer.Option(help="Rounds; figures are their medians.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON line only.")] = False,
) -> None:
    """Decode and prefill on the native engine, beside the speed at which its threads read memory."""
    from codegeex.assistant.assistant import EMBEDDED_MODEL
    from codegeex.checkpoint import NativeSource, TensorSource
    from codegeex.checkpoint.random_source import RandomSource
    from codegeex.engine import benchmark

    if shape is not None and model is not None:
        raise CodeGeeXError("--shape and --model contradict each other; leave one out.")
    workload = benchmark.Workload(batch=batch, prompt=prompt, tokens=tokens, rounds=rounds)
    source: TensorSource = (
        NativeSource(model or EMBEDDED_MODEL) if shape is None else RandomSource(benchmark.shape(shape))
    )
    name = shape.lower() if shape else str(model) if model else "embedded"
    with count_progress("round") as progress:
        report = benchmark.measure_decode(benchmark.load(source, workload, threads), workload, progress)
    if not as_json:
        _show(report, name)
    print(json.dumps({"shape": name} | report.to_dict()))


def _show(report: DecodeReport, name: str) -> None:
    work = report.workload
    measured: tuple[tuple[str, list[float], str], ...] = (
        ("decode, tokens/s", report.tokens_per_second, ",.1f"),
        ("prefill, tokens/s", [one.prefilled for one in report.rounds], ",.1f"),
        ("memory read, GB/s", [one.bandwidth / 1e9 for one in report.rounds], ",.1f"),
        ("weights read / memory read", report.fraction_of_bandwidth, ".0%"),
    )
    print(f"{name}: batch {work.batch}, prompt {work.prompt}, tokens {work.tokens}, threads {report.threads}, ", end="")
    print(f"kernels {report.kernels}")
    print_table(
        ("", f"median of {work.rounds}", "least", "most"),
        (
            (label, *(format(value, form) for value in (median(values), min(values), max(values))))
            for label, values, form in measured
        ),
    )
    print(
        f"A step reads {report.weight_bytes / 1e6:,.0f} MB of weights "
        f"and {report.cache_bytes / 1e6:,.1f} MB of keys and values."
    )
