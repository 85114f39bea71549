"""`codegeex eval`: benchmarks that run programs, and what is made of their results."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codegeex.cli.options import Json
from codegeex.cli.progress import LINE_SECONDS, count_progress
from codegeex.errors import CodeGeeXError, WorkFailed

if TYPE_CHECKING:
    from codegeex.evaluation.humanevalx import Problem
    from codegeex.evaluation.run import Benchmark, Progress

eval_app = typer.Typer(help="Measure models on HumanEval-X and the built-in benchmark.", no_args_is_help=True)

DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the published files.  [default: $CODEGEEX_HUMANEVALX, or downloaded]", show_default=False
    ),
]
LanguagesOption = Annotated[str, typer.Option("--langs", help="Languages, with commas; or all.")]
WorkersOption = Annotated[int | None, typer.Option(help="Programs at a time.  [default: one for each processor]")]
IsolationOption = Annotated[
    bool, typer.Option("--require-isolation", help="Refuse to run programs that cannot be isolated.")
]
RepairsOption = Annotated[
    bool, typer.Option("--repairs/--no-repairs", help="Mend the benchmark's known faults; without, as published.")
]


@eval_app.command()
def doctor(
    data: DataOption = None,
    langs: LanguagesOption = "all",
    mutants: Annotated[bool, typer.Option(help="Also run wrong versions of the references, which must fail.")] = False,
    repairs: RepairsOption = False,
    workers: WorkersOption = None,
    require_isolation: IsolationOption = False,
    as_json: Json = False,
) -> None:
    """Run every reference solution: no score can be trusted on a machine where one fails."""
    from codegeex.evaluation import humanevalx
    from codegeex.evaluation.doctor import check_mutants, check_references
    from codegeex.evaluation.repairs import WRONG_REFERENCES, Repairs
    from codegeex.sandbox import toolchains

    keys = _languages(langs)
    report: dict[str, Any] = {"languages": {}}
    healthy = True
    with _sandbox(workers, require_isolation) as sandbox:
        report |= sandbox.describe()
        for key in keys:
            problems = humanevalx.load(data, key)
            if why := toolchains.missing(key):
                report["languages"][key] = {"passed": 0, "total": len(problems), "failed": [], "missing": why}
                healthy = False
                _say(as_json, f"{key:<11} cannot run: {why}")
                continue
            begun = time.perf_counter()
            with _counter(f"{key}: programs", len(problems)) as done:
                checkup = check_references(sandbox, problems, Repairs.of(repairs), done)
            row = checkup.to_dict()
            seconds = time.perf_counter() - begun
            _say(as_json, f"{key:<11} {checkup.passed} of {checkup.total} references pass, {seconds:.1f} s")
            for task, result in checkup.failed.items():
                why = WRONG_REFERENCES.get(task, "")
                known = f" (known: {why})" if why else ""
                _say(as_json, f"    {task}: {result.verdict}{known or ': ' + _line(result.detail)}")
            healthy = healthy and not checkup.unexpected
            if mutants:
                with _counter(f"{key}: mutants", 2 * len(problems)) as done:
                    number, survivors = check_mutants(sandbox, problems, Repairs.of(True), done)
                row |= {"mutants": number, "survivors": [task for task, _ in survivors]}
                share = 1 - len(survivors) / max(1, number)
                _say(
                    as_json,
                    f"    {share:.1%} of {number} mutants fail; these pass: {', '.join(row['survivors']) or 'none'}",
                )
            report["languages"][key] = row | {"seconds": seconds}
    if as_json:
        print(json.dumps(report))
    if not healthy:
        raise WorkFailed("this machine does not give every reference its pass: no score from it can be trusted.")


@eval_app.command()
def download(
    output: Annotated[
        Path | None, typer.Option(help="Folder to put them into.  [default: the one that is looked in]")
    ] = None,
) -> None:
    """Fetch the published files of HumanEval-X, once, and check them."""
    from codegeex.evaluation import humanevalx
    from codegeex.evaluation.download import download as fetch

    for path in fetch(output or humanevalx.downloaded_folder()):
        print(path)


OutputOption = Annotated[Path, typer.Option(help="Folder of the run; one that exists goes on where it was.")]
ModelOption = Annotated[
    str | None, typer.Option(help="Model directory, hf:NAME or openai:URL#MODEL.  [default: the one that ships]")
]
SamplesOption = Annotated[Path | None, typer.Option(help="Judge the samples of this file, made elsewhere.")]
TaskOption = Annotated[str, typer.Option(help="generation, or translation.")]
SourceOption = Annotated[str | None, typer.Option("--from", help="Translation: the language to translate from.")]
CountOption = Annotated[int, typer.Option(help="Samples of each problem.")]
KOption = Annotated[str, typer.Option(help="The k of pass@k, with commas.")]
TopPOption = Annotated[float, typer.Option(help="Nucleus sampling.")]
MaxTokensOption = Annotated[int, typer.Option(help="Most tokens of a completion.")]
SeedOption = Annotated[int, typer.Option(help="The run's random numbers.")]
ProblemsOption = Annotated[int | None, typer.Option(help="Only so many problems of each language.")]
RayOption = Annotated[str | None, typer.Option(help="Address of a Ray cluster to spread the run over; auto, local.")]


@eval_app.command("humaneval-x")
def humaneval_x(
    output: OutputOption,
    model: ModelOption = None,
    samples: SamplesOption = None,
    data: DataOption = None,
    langs: LanguagesOption = "all",
    task: TaskOption = "generation",
    source: SourceOption = None,
    n: CountOption = 1,
    k: KOption = "1,10,100",
    temperature: Annotated[
        str, typer.Option(help="One for all, or one for each k, such as 1:0.2,10:0.8,100:0.8.")
    ] = "0.8",
    top_p: TopPOption = 0.95,
    max_tokens: MaxTokensOption = 512,
    seed: SeedOption = 42,
    problems: ProblemsOption = None,
    ray: RayOption = None,
    repairs: RepairsOption = False,
    workers: WorkersOption = None,
    require_isolation: IsolationOption = False,
    as_json: Json = False,
) -> None:
    """Generate samples, run them, and write scores: a table here, report.json and report.html in the folder."""
    from codegeex.evaluation import humanevalx
    from codegeex.evaluation.run import HUMANEVAL_X, HumanEvalX

    report = _evaluate(
        (HUMANEVAL_X, HumanEvalX(repairs), lambda key: humanevalx.load(data, key)),
        output, model, samples, langs, task, source, n, k, temperature, top_p, max_tokens, seed, problems, ray, repairs,
        workers, require_isolation,
    )  # fmt: skip
    if as_json:
        print(json.dumps({name: report[name] for name in ("languages", "budget", "verdicts")} | _averages(report)))
    else:
        _show(report)
        print(f"Report: {output / 'report.html'}")


@eval_app.command("builtin")
def builtin(
    output: OutputOption,
    model: ModelOption = None,
    samples: SamplesOption = None,
    langs: LanguagesOption = "all",
    task: TaskOption = "generation",
    source: SourceOption = None,
    n: CountOption = 1,
    k: KOption = "1,10,100",
    temperature: Annotated[float, typer.Option(help="Of the samples; 0 takes the likeliest token always.")] = 0.2,
    top_p: TopPOption = 0.95,
    max_tokens: MaxTokensOption = 384,
    seed: SeedOption = 42,
    problems: ProblemsOption = None,
    ray: RayOption = None,
    workers: WorkersOption = None,
    require_isolation: IsolationOption = False,
    as_json: Json = False,
) -> None:
    """Measure on the problems that come with the package, half of them of kinds that no exercises train on."""
    from codegeex.evaluation.builtin import NAME, Builtin, load, split_scores
    from codegeex.evaluation.report import write_report

    report = _evaluate(
        (NAME, Builtin(), load), output, model, samples, langs, task, source, n, k, str(temperature), top_p, max_tokens,
        seed, problems, ray, False, workers, require_isolation,
    )  # fmt: skip
    split = split_scores(report, {key: load(key) for key in report["languages"]})
    report |= split
    write_report(output, report)
    if as_json:
        print(json.dumps({name: report[name] for name in ("languages", "verdicts")} | _averages(report) | split))
        return
    _show(report, repairs=False)
    for name, score in split.items():
        print(f"{name:<13} {score:.2%}")
    print(f"Report: {output / 'report.html'}")


def _evaluate(
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
    keys = _languages(langs)
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
    with _sandbox(workers, require_isolation, ray_module) as sandbox, _run_progress() as tell:
        run.execute(made, sandbox, tell)
    report = make_report(json.loads((output / "run.json").read_text(encoding="utf-8")), run.results())
    write_report(output, report)
    return report


@eval_app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a run.")],
    b: Annotated[Path, typer.Argument(help="Folder of another.")],
    as_json: Json = False,
) -> None:
    """Compare two runs problem by problem: pass@1, and how likely chance alone would make them differ as much."""
    from codegeex.evaluation.report import compare as compare_reports
    from codegeex.evaluation.report import read_report

    result = compare_reports(read_report(a), read_report(b))
    if as_json:
        print(json.dumps(result))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("", "problems", f"{a.name}, pass@1", f"{b.name}, pass@1", "p"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, one in result["languages"].items():
        table.add_row(name, str(one["problems"]), f"{one['a']:.2%}", f"{one['b']:.2%}", f"{one['p']:.3g}")
    Console().print(table)


@eval_app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")], as_json: Json = False
) -> None:
    """Write the report of a run anew, from the results that are there."""
    from codegeex.evaluation.report import make_report, write_report
    from codegeex.evaluation.samples import rows

    try:
        settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CodeGeeXError(f"no run in {folder}: {error}.") from None
    made = make_report(settings, rows(folder / "results.jsonl"))
    write_report(folder, made)
    if as_json:
        print(json.dumps(made["languages"]))
    else:
        _show(made)


def _languages(names: str) -> list[str]:
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
def _sandbox(workers: int | None, require: bool, ray: Any = None) -> Iterator[Any]:
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
def _counter(label: str, total: int) -> Iterator[Callable[[], None]]:
    done = 0
    with count_progress(label) as tell:

        def count() -> None:
            nonlocal done
            done += 1
            tell(done, total)

        yield count


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


def _say(quiet: bool, line: str) -> None:
    if not quiet:
        print(line)


def _line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:160]


def _averages(report: dict[str, Any]) -> dict[str, Any]:
    return {"average": report["average"]} if "average" in report else {}


def _show(report: dict[str, Any], *, repairs: bool = True) -> None:
    from rich.console import Console
    from rich.table import Table

    names = sorted(
        {name for one in report["languages"].values() for name in one if name.startswith("pass@") and " " not in name},
        key=lambda name: int(name[5:]),
    )
    table = Table()
    for heading in ("", "problems", "samples", *names):
        table.add_column(heading, justify="right" if heading else "left")
    for key, one in report["languages"].items():
        cells = []
        for name in names:
            low, high = one.get(f"{name} interval", (0.0, 0.0))
            cells.append(f"{one[name]:.2%} ({low:.1%} to {high:.1%})" if name in one else "-")
        table.add_row(key, str(one.get("problems", "-")), str(one["samples"]), *cells)
    Console().print(table)
    if repairs:
        print(
            f"Repairs {'on (honest)' if report['settings']['repairs'] else 'off (comparable with published scores)'}."
        )
    print("In brackets: 95 % intervals, by bootstrap over problems.")
