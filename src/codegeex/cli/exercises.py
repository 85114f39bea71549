"""`codegeex exercises`: verified exercises in six languages, for training and for the built-in benchmark."""

from __future__ import annotations

import fnmatch
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codegeex.cli.evaluate import IsolationOption, WorkersOption
from codegeex.cli.evaluating import open_sandbox
from codegeex.cli.extras import needs_packages
from codegeex.cli.options import Json
from codegeex.cli.progress import count_progress
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.files import check_file

if TYPE_CHECKING:
    from codegeex.exercises.guard import Guard

exercises_app = typer.Typer(help="Make exercises with solutions and tests in six languages.", no_args_is_help=True)

BenchmarkOption = Annotated[
    Path | None, typer.Option(help="HumanEval-X data, or problems in JSONL, that no exercise may be like.")
]

_SHOWN = 5
"""Failures that are shown in full."""


@exercises_app.command(name="build")
def exercises_build(
    output: Annotated[Path, typer.Option(help="File to write, .jsonl or .jsonl.gz.")],
    count: Annotated[int, typer.Option(help="How many exercises; each has a row in every language.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed makes other exercises.")] = 1,
    families: Annotated[
        str, typer.Option(help="Families, with commas; all that are not held out, or 'everyday_*'.")
    ] = "*",
    levels: Annotated[str, typer.Option(help="Levels, with commas.")] = "1,2,3",
    benchmark: BenchmarkOption = None,
    as_json: Json = False,
) -> None:
    """Draw exercises and write them as JSON lines. Families that are held out are for the benchmark and never drawn."""
    from codegeex.exercises import builtin
    from codegeex.exercises.families import FAMILIES
    from codegeex.exercises.make import make, rows, write

    wanted_levels = {part.strip() for part in levels.split(",")}
    if not wanted_levels <= {"1", "2", "3"}:
        raise CodeGeeXError(f"--levels takes 1, 2 and 3 with commas, not {levels!r}.")
    names: list[str] = []
    for pattern in map(str.strip, families.split(",")):
        found = fnmatch.filter((name for name, one in FAMILIES.items() if not one.held_out), pattern)
        if not found and pattern in FAMILIES:
            raise CodeGeeXError(f"family {pattern!r} is held out for the built-in benchmark; leave it out.")
        names += found or [pattern]
    names = [name for name in names if name not in FAMILIES or str(FAMILIES[name].level) in wanted_levels]
    if not names:
        raise CodeGeeXError(f"none of these families is of level {levels}.")
    check_file(output)
    with count_progress("exercises") as tell:
        made = make(count, seed, names, guard=_guard(benchmark), taken=builtin.known(), tell=tell)
    write(output, (row for one in made.exercises for row in rows(one)))
    report = {"output": str(output), **made.report()}
    if as_json:
        print(json.dumps(report))
    else:
        _show(report)
    if len(made.exercises) < count:
        print(f"warning: these families have no more than {len(made.exercises)} exercises.", file=sys.stderr)


@exercises_app.command(name="encode")
def exercises_encode(
    file: Annotated[Path, typer.Argument(help="File that build wrote.")],
    tokenizer: Annotated[Path, typer.Option(help="Directory with the tokenizer, such as that of a corpus.")],
    output: Annotated[Path, typer.Option(help="Shard directory to write.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of the corpus; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write token shards for training: each exercise described, asked for, translated and explained."""
    encoding = needs_packages("codegeex.corpus.encoding", "corpus")
    from codegeex import tokenizer as tokenizers
    from codegeex.corpus.settings import load
    from codegeex.exercises import lessons
    from codegeex.exercises.make import stream
    from codegeex.files import check_free

    check_free(output)
    chosen = load({"packing": "fit"}, settings or [], "--set")
    encoder = encoding.Encoder(tokenizers.load(tokenizer), chosen, frozenset())
    families = _families(file)
    with count_progress("exercises") as tell:
        times, total = lessons.repeats(families), families.total()
        written = lessons.write(stream(file), output, encoder, times, lambda done: tell(done, total))
        report = {"output": str(output), **written}
    if as_json:
        print(json.dumps(report))
    else:
        print(f"{output}: {report['tokens']:,} tokens of {report['exercises']:,} exercises")


@exercises_app.command(name="lessons")
def exercises_lessons(
    file: Annotated[Path, typer.Argument(help="File that build wrote.")],
    output: Annotated[Path, typer.Option(help="File to write, .jsonl or .jsonl.gz.")],
    seed: Annotated[int, typer.Option(help="Decides about wordings and layouts.", min=0)] = 1,
    forms: Annotated[
        str | None, typer.Option(help="What to ask for, all by default: described, intent, translated, explained.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write prompts and solutions to fine-tune on: what `encode` writes, but only solutions are learned."""
    from codegeex.exercises import lessons
    from codegeex.exercises.make import stream, write

    chosen = [form.strip() for form in forms.split(",")] if forms else lessons.FORMS
    if unknown := sorted(set(chosen) - set(lessons.FORMS)):
        raise CodeGeeXError(f"unknown form {unknown[0]!r}; known: {', '.join(lessons.FORMS)}.")
    check_file(output)
    families, written = _families(file), 0

    def examples() -> Iterator[dict[str, str]]:
        nonlocal written
        with count_progress("exercises") as tell:
            made = lessons.repeated(stream(file), lessons.repeats(families), seed, chosen)
            for done, (_, documents) in enumerate(made, 1):
                yield from ({"prompt": head, "solution": text} for _, head, text in documents)
                written += len(documents)
                tell(done, families.total())

    write(output, examples())
    report = {"output": str(output), "exercises": families.total(), "examples": written}
    print(json.dumps(report) if as_json else f"{output}: {written:,} examples of {families.total():,} exercises")


def _families(file: Path) -> Counter[str]:
    """How many exercises of a file each family has."""
    from codegeex.exercises import lessons
    from codegeex.exercises.make import stream

    return Counter(exercise[0]["family"] for exercise in lessons.exercises(stream(file)))


@exercises_app.command(name="check")
def exercises_check(
    file: Annotated[Path, typer.Argument(help="File that build wrote.")],
    sample: Annotated[int | None, typer.Option(help="Only so many rows, drawn at random.", min=1)] = None,
    workers: WorkersOption = None,
    require_isolation: IsolationOption = False,
    as_json: Json = False,
) -> None:
    """Compile and run the solutions of a file on their tests."""
    from codegeex.exercises.check import check
    from codegeex.exercises.make import read

    rows = read(file)
    if sample is not None and sample < len(rows):
        rows = random.Random(0).sample(rows, sample)
    with open_sandbox(workers, require_isolation) as sandbox, count_progress("programs") as tell:
        checked = check(rows, sandbox, tell)
    report = checked.report()
    if as_json:
        print(json.dumps(report))
    else:
        for name, one in report["languages"].items():
            print(f"{name:<11} {one['passed']} of {one['total']} solutions pass")
        for failure in report["failures"][:_SHOWN]:
            print(f"    {failure['family']} {failure['id']} {failure['language']}: {failure['verdict']}")
            print(f"        {failure['detail'][:200]}")
    if report["failures"]:
        raise WorkFailed(f"{len(report['failures'])} solutions fail their own tests.")


@exercises_app.command(name="benchmark")
def exercises_benchmark(
    output: Annotated[Path, typer.Option(help="File to write, .jsonl.gz.")],
    benchmark: BenchmarkOption = None,
    as_json: Json = False,
) -> None:
    """Write the built-in benchmark anew; the same version of the package writes the same file."""
    from codegeex.exercises import builtin
    from codegeex.exercises.make import write

    check_file(output)
    made, rows = builtin.build(_guard(benchmark))
    write(output, rows)
    report: dict[str, Any] = {"output": str(output), "version": builtin.VERSION, "bytes": output.stat().st_size}
    report |= made.report()
    if as_json:
        print(json.dumps(report))
    else:
        print(f"{output}: version {builtin.VERSION}, {report['bytes'] / 1e3:,.0f} kB")
        _show(report)


def _guard(benchmark: Path | None) -> Guard | None:
    """What keeps the problems of a benchmark out."""
    from codegeex.exercises.guard import Guard

    if benchmark is None:
        return None
    decontaminate = needs_packages("codegeex.corpus.decontaminate", "corpus")
    problems = list(decontaminate.read_problems(benchmark))
    overlaps = decontaminate.Benchmark((name, text) for name, texts in problems for text in texts)
    return Guard(overlaps, problems)


def _show(report: dict[str, Any]) -> None:
    print(f"{report['exercises']:,} exercises of {report['families']} families in six languages: {report['output']}")
    print(
        f"{report['tasks']:,} different tasks, {report['solutions']:,} solutions that differ in more than names; "
        f"{report['near_duplicates']:,} differ from others in names and numbers only; "
        f"{report['duplicates']:,} draws were repetitions."
    )
    for reason, number in sorted(report["refused"].items(), key=lambda item: -item[1])[:_SHOWN]:
        print(f"refused {number}: {reason}")
    for one in report["nearest"][:_SHOWN]:
        print(
            f"nearest to the benchmark: {one['name']} ({one['family']}), "
            f"{one['share']:.0%} of its {one['of']} in problem {one['problem']}"
        )
