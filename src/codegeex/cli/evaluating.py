"""What the verbs of `codegeex eval` share: samples made, judged and reported, with progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegeex.cli.progress import LINE_SECONDS
from codegeex.errors import CodeGeeXError

if TYPE_CHECKING:
    from codegeex.evaluation.humanevalx import Problem
    from codegeex.evaluation.run import Benchmark, Progress


def evaluate(
    benchmark: tuple[str, Benchmark, Callable[[str], Sequence[Problem]]],
    output: Path,
    model: str | None,
    samples: Path | None,
    langs: str,
    task: str,
    source: str | None,
    n: int,
    k: str,
    temperature: str,
    top_p: float,
    max_tokens: int,
    seed: int,
    problems: int | None,
    ray: str | None,
    repairs: bool,
    workers: int | None,
    require_isolation: bool,
) -> dict[str, Any]:
    """Make, judge and report the samples of a benchmark: its name, what it makes of its problems, how to load them."""
    from codegeex import languages
    from codegeex.evaluation import cluster
    from codegeex.evaluation.models import Sampling, generator
    from codegeex.evaluation.report import make_report, write_report
    from codegeex.evaluation.run import Run, Settings
    from codegeex.evaluation.samples import read_foreign

    benchmark_name, rules, load = benchmark
    keys = language_keys(langs)
    if task not in ("generation", "translation"):
        raise CodeGeeXError(f"unknown task {task!r}: generation or translation.")
    if (task == "translation") != (source is not None):
        raise CodeGeeXError("a translation needs --from LANGUAGE, and only a translation does.")
    if n < 1 or (problems is not None and problems < 1):
        raise CodeGeeXError("--n and --problems must be at least 1.")
    if model and samples:
        raise CodeGeeXError("--model and --samples contradict each other; leave one out.")
    origin = languages.get(source).key if source else None
    keys = [key for key in keys if key != origin]
    tables = {key: load(key)[:problems] for key in dict.fromkeys([*keys, *([origin] if origin else [])])}
    ray_module = cluster.connect(ray) if ray else None
    foreign = list(read_foreign(samples, keys[0] if len(keys) == 1 else None)) if samples else None
    if foreign is not None:
        made: Any = foreign
        most = max(1, max((sample.index + 1 for sample in foreign), default=1))
        name, ks, temperatures = (
            samples.name if samples else "",
            _ks(k, most),
            {sample.temperature for sample in foreign},
        )
        if len(temperatures) > 1:
            raise CodeGeeXError("the samples were drawn at several temperatures; judge them one at a time.")
        by_k = dict.fromkeys(ks, next(iter(temperatures), 0.0))
        n = most
    else:
        made = cluster.ClusterGenerator(ray_module, model) if ray_module else generator(model)
        name, ks = made.name, _ks(k, n)
        by_k = _temperatures(temperature, ks)
    settings = Settings(
        model=name,
        task=task,
        source=origin,
        languages=tuple(keys),
        samples=n,
        temperatures=by_k,
        sampling=Sampling(top_p=top_p, max_tokens=max_tokens),
        seed=seed,
        repairs=repairs,
        problems=problems,
        benchmark=benchmark_name,
    )
    run = Run(output, settings, tables, rules)
    with open_sandbox(workers, require_isolation, ray_module) as sandbox, _run_progress() as tell:
        run.execute(made, sandbox, tell)
    report = make_report(json.loads((output / "run.json").read_text(encoding="utf-8")), run.results())
    write_report(output, report)
    return report


def language_keys(names: str) -> list[str]:
    """The keys that --langs names, in the benchmark's order."""
    from codegeex import languages

    runnable = [language.key for language in languages.EXECUTABLE]
    if names == "all":
        return runnable
    wanted = [languages.get(name).key for name in names.split(",") if name.strip()]
    if stray := [key for key in wanted if key not in runnable]:
        raise CodeGeeXError(f"HumanEval-X has no problems in {stray[0]}; it has {', '.join(runnable)}.")
    if not wanted:
        raise CodeGeeXError("--langs names no language.")
    return [key for key in runnable if key in wanted]


def _ks(text: str, n: int) -> list[int]:
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise CodeGeeXError(f"--k takes whole numbers with commas, not {text!r}.") from None
    if not ks or ks[0] < 1:
        raise CodeGeeXError("--k must be at least 1.")
    return [k for k in ks if k <= n] or [n]


def _temperatures(text: str, ks: list[int]) -> dict[int, float]:
    try:
        if ":" not in text:
            return dict.fromkeys(ks, float(text))
        table = {int(k): float(value) for k, _, value in (part.partition(":") for part in text.split(","))}
        return {k: table[k] for k in ks}
    except ValueError:
        raise CodeGeeXError(f"--temperature takes a number, or pairs such as 1:0.2,10:0.8, not {text!r}.") from None
    except KeyError as error:
        raise CodeGeeXError(f"--temperature gives none for pass@{error}.") from None


@contextmanager
def open_sandbox(workers: int | None, require: bool, ray: Any = None) -> Iterator[Any]:
    """A sandbox on this machine, or on a cluster."""
    from codegeex.evaluation.cluster import ClusterSandbox
    from codegeex.sandbox import Isolation, Sandbox

    isolation: Isolation = "require" if require else "auto"
    with (
        ClusterSandbox(ray, workers=workers, isolation=isolation)
        if ray
        else Sandbox(workers=workers, isolation=isolation)
    ) as sandbox:
        if sandbox.problem:
            print(
                f"warning: programs are NOT isolated from this machine: {sandbox.problem} They run under limits only; "
                "judge no model here that you do not trust. --require-isolation refuses instead.",
                file=sys.stderr,
            )
        yield sandbox


@contextmanager
def _run_progress() -> Iterator[Callable[[Progress], None]]:
    """Tells how far a run is, with running scores: a line that changes on a terminal, lines now and then elsewhere."""
    begun, last = time.monotonic(), 0.0
    start: int | None = None
    terminal = sys.stderr.isatty()

    def tell(progress: Progress) -> None:
        nonlocal last, start
        start = progress.judged if start is None else start
        if time.monotonic() - last < (0.2 if terminal else LINE_SECONDS):
            return
        last = time.monotonic()
        left = "?"
        if progress.judged > start:
            seconds = (last - begun) / (progress.judged - start) * (progress.total - progress.judged)
            left = f"{int(seconds // 60)}:{int(seconds % 60):02}"
        scores = "  ".join(f"{key} {passed / total:.1%}" for key, (passed, total) in progress.solved.items())
        line = f"made {progress.generated}, judged {progress.judged} of {progress.total}, {left} left  {scores}"
        print(f"\r\x1b[K{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)

    yield tell
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
