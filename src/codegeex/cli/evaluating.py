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
    k: str | None,
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
    from codegeex.evaluation.models import Sampling, fingerprint, generator
    from codegeex.evaluation.report import make_report, write_report
    from codegeex.evaluation.run import Run, Settings
    from codegeex.evaluation.samples import read_foreign
    from codegeex.sandbox import toolchains

    benchmark_name, rules, load = benchmark
    keys = language_keys(langs)
    if task not in ("generation", "translation"):
        raise CodeGeeXError(f"unknown task {task!r}: generation or translation.")
    if (task == "translation") != (source is not None):
        raise CodeGeeXError("a translation needs --from LANGUAGE, and only a translation does.")
    for name, value in (("--n", n), ("--problems", problems), ("--workers", workers), ("--max-tokens", max_tokens)):
        if value is not None and value < 1:
            raise CodeGeeXError(f"{name} must be at least 1, not {value}.")
    if not 0 < top_p <= 1:
        raise CodeGeeXError(f"--top-p must be above 0 and at most 1, not {top_p}.")
    if model and samples:
        raise CodeGeeXError("--model and --samples contradict each other; leave one out.")
    origin = languages.get(source).key if source else None
    keys = [key for key in keys if key != origin]
    if not keys:
        raise CodeGeeXError("--langs names the languages to translate to, and --from is the only one of them.")
    tables = {key: load(key)[:problems] for key in dict.fromkeys([*keys, *([origin] if origin else [])])}
    if not ray and (lacking := {key: why for key in keys if (why := toolchains.missing(key))}):
        raise CodeGeeXError(f"{', '.join(lacking)} cannot run here: {next(iter(lacking.values()))}; see --langs.")
    ray_module = cluster.connect(ray) if ray else None
    if samples:
        prompts = {problem.task_id: problem.prompt for key in keys for problem in tables[key]}
        foreign = list(read_foreign(samples, keys[0] if len(keys) == 1 else None, prompts))
        made: Any = foreign
        name, digest, n = samples.name, fingerprint(samples), max(sample.index + 1 for sample in foreign)
        temperatures = {sample.temperature for sample in foreign}
        if len(temperatures) > 1:
            raise CodeGeeXError("the samples were drawn at several temperatures; judge them one at a time.")
        by_k = dict.fromkeys(_ks(k, n), temperatures.pop())
        if without := len(prompts) - len({sample.task_id for sample in foreign}):
            print(
                f"warning: {without} of {len(prompts)} problems have no sample; the score leaves them out.",
                file=sys.stderr,
            )
    else:
        by_k = _temperatures(temperature, _ks(k, n))
        made = cluster.ClusterGenerator(ray_module, model) if ray_module else generator(model)
        name, digest = made.name, made.fingerprint
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
        fingerprint=digest,
    )
    run = Run(output, settings, tables, rules)
    with open_sandbox(workers, require_isolation, ray_module, keys) as sandbox, _run_progress() as tell:
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
        raise CodeGeeXError(f"there are no problems in {stray[0]}, but in {', '.join(runnable)}.")
    if not wanted:
        raise CodeGeeXError("--langs names no language.")
    return [key for key in runnable if key in wanted]


def _ks(text: str | None, n: int) -> list[int]:
    """The k of pass@k; where nobody asks, those that so many samples are enough for."""
    from codegeex.evaluation.passk import KS

    if text is None:
        return [k for k in KS if k <= n]
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise CodeGeeXError(f"--k takes whole numbers with commas, not {text!r}.") from None
    if not ks or ks[0] < 1:
        raise CodeGeeXError("--k must be at least 1.")
    if ks[-1] > n:
        raise CodeGeeXError(f"pass@{ks[-1]} needs as many samples of each problem, not {n}: see --n and --k.")
    return ks


def _temperatures(text: str, ks: list[int]) -> dict[int, float]:
    try:
        if ":" not in text:
            table = dict.fromkeys(ks, float(text))
        else:
            table = {int(k): float(value) for k, _, value in (part.partition(":") for part in text.split(","))}
        if not all(0 <= value < float("inf") for value in table.values()):
            raise CodeGeeXError(f"--temperature must be 0 (the likeliest token) or above, not {text}.")
        return {k: table[k] for k in ks}
    except ValueError:
        raise CodeGeeXError(f"--temperature takes a number, or pairs such as 1:0.2,10:0.8, not {text!r}.") from None
    except KeyError as error:
        raise CodeGeeXError(f"--temperature gives none for pass@{error}.") from None


@contextmanager
def open_sandbox(
    workers: int | None, require: bool, ray: Any = None, languages: Sequence[Any] | None = None
) -> Iterator[Any]:
    """A sandbox on this machine, for some languages or all, or on a cluster."""
    from codegeex.evaluation.cluster import ClusterSandbox
    from codegeex.sandbox import Isolation, Sandbox

    isolation: Isolation = "require" if require else "auto"
    with (
        ClusterSandbox(ray, workers=workers, isolation=isolation)
        if ray
        else Sandbox(workers=workers, isolation=isolation, languages=languages)
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
