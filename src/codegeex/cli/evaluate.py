"""`codegeex eval`: benchmarks that run programs, and what is made of their results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from codegeex.cli.evaluating import evaluate, language_keys, open_sandbox
from codegeex.cli.extras import needs_packages
from codegeex.cli.options import Json
from codegeex.cli.progress import count_progress
from codegeex.cli.tables import print_table
from codegeex.errors import CodeGeeXError, WorkFailed

eval_app = typer.Typer(help="Measure models on HumanEval-X and the built-in benchmark.", no_args_is_help=True)

DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the published files.  [default: $CODEGEEX_HUMANEVALX, or downloaded]", show_default=False
    ),
]
LanguagesOption = Annotated[
    str, typer.Option("--langs", help="Languages, with commas; or all. Of a translation, those to translate to.")
]
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

    keys = language_keys(langs)
    report: dict[str, Any] = {"languages": {}}
    healthy = True
    with open_sandbox(workers, require_isolation, languages=keys) as sandbox:
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
    as_json: Json = False,
) -> None:
    """Fetch the published files of HumanEval-X, once, and check them."""
    from codegeex.evaluation import humanevalx
    from codegeex.evaluation.download import download as fetch

    paths = [str(path) for path in fetch(output or humanevalx.downloaded_folder())]
    print(json.dumps({"files": paths}) if as_json else "\n".join(paths))


OutputOption = Annotated[Path, typer.Option(help="Folder of the run; one that exists goes on where it was.")]
ModelOption = Annotated[
    str | None, typer.Option(help="Model directory, hf:NAME or openai:URL#MODEL.  [default: the one that ships]")
]
SamplesOption = Annotated[Path | None, typer.Option(help="Judge the samples of this file, made elsewhere.")]
TaskOption = Annotated[str, typer.Option(help="generation, or translation.")]
SourceOption = Annotated[str | None, typer.Option("--from", help="Translation: the language to translate from.")]
CountOption = Annotated[int, typer.Option(help="Samples of each problem.")]
KOption = Annotated[
    str | None,
    typer.Option(help="The k of pass@k, with commas.  [default: of 1,10,100 those up to n]", show_default=False),
]
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
    k: KOption = None,
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
    from codegeex.evaluation.run import HumanEvalX

    report = evaluate(
        (humanevalx.NAME, HumanEvalX(repairs), lambda key: humanevalx.load(data, key)),
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
    k: KOption = None,
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
    from codegeex.evaluation.builtin import NAME, Builtin, load

    report = evaluate(
        (NAME, Builtin(), load), output, model, samples, langs, task, source, n, k, str(temperature), top_p, max_tokens,
        seed, problems, ray, False, workers, require_isolation,
    )  # fmt: skip
    split = {name: report[name] for name in report if "seen_pass@1" in name}
    if as_json:
        print(json.dumps({name: report[name] for name in ("languages", "verdicts")} | _averages(report) | split))
        return
    _show(report)
    print(f"Report: {output / 'report.html'}")


@eval_app.command()
def loss(
    data: Annotated[Path, typer.Argument(help="Validation directory, such as a corpus has.")],
    model: Annotated[Path | None, typer.Option(help="Model directory.  [default: the embedded model]")] = None,
    windows: Annotated[int, typer.Option(help="Windows of each language.", min=1)] = 32,
    length: Annotated[
        int, typer.Option(help="Tokens of a window.  [default: as many as the model holds]", show_default=False)
    ] = 0,
    as_json: Json = False,
) -> None:
    """How well a model foretells held-out text of each language: nats per token, and bits per byte."""
    from codegeex.assistant.assistant import EMBEDDED_MODEL

    validation = needs_packages("codegeex.training.validation", "train")
    record = validation.measure(model or EMBEDDED_MODEL, data, windows, length)
    if as_json:
        print(json.dumps(record))
        return
    rows = ((name, str(nats), str(record["bits_per_byte"][name])) for name, nats in record["validation"].items())
    print_table(("", "nats per token", "bits per byte"), rows)


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
    rows = (
        (name, str(one["problems"]), f"{one['a']:.2%}", f"{one['b']:.2%}", f"{one['p']:.3g}")
        for name, one in result["languages"].items()
    )
    print_table(("", "problems", f"{a.name}, pass@1", f"{b.name}, pass@1", "p"), rows)


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
    try:
        made = make_report(settings, rows(folder / "results.jsonl"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CodeGeeXError(f"what is in {folder} is no run of this version: {error!r}.") from None
    write_report(folder, made)
    if as_json:
        print(json.dumps(made["languages"]))
    else:
        _show(made)


@contextmanager
def _counter(label: str, total: int) -> Iterator[Callable[[], None]]:
    done = 0
    with count_progress(label) as tell:

        def count() -> None:
            nonlocal done
            done += 1
            tell(done, total)

        yield count


def _say(quiet: bool, line: str) -> None:
    if not quiet:
        print(line)


def _line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:160]


def _averages(report: dict[str, Any]) -> dict[str, Any]:
    return {"average": report["average"]} if "average" in report else {}


def _show(report: dict[str, Any]) -> None:
    from codegeex.evaluation.humanevalx import NAME

    names = sorted(
        {name for one in report["languages"].values() for name in one if name.startswith("pass@") and " " not in name},
        key=lambda name: int(name[5:]),
    )
    rows = []
    for key, one in report["languages"].items():
        cells = []
        for name in names:
            low, high = one.get(f"{name} interval", (0.0, 0.0))
            cells.append(f"{one[name]:.2%} ({low:.1%} to {high:.1%})" if name in one else "-")
        rows.append((key, str(one.get("problems", "-")), str(one["samples"]), *cells))
    print_table(("", "problems", "samples", *names), rows)
    for name in ("seen_pass@1", "unseen_pass@1"):
        if name in report:
            low, high = report[f"{name} interval"]
            print(f"{name:<13} {report[name]:.2%}  ({low:.2%} to {high:.2%})")
    if report["settings"].get("benchmark", NAME) == NAME:
        print(
            f"Repairs {'on (honest)' if report['settings']['repairs'] else 'off (comparable with published scores)'}."
        )
    print("In brackets: 95 % intervals, by bootstrap over problems.")
