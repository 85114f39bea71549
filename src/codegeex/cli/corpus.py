"""`codegeex corpus`: build training data, look into it, and ask why a file is in or out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from codegeex.cli.assist import _read
from codegeex.cli.extras import needs_packages
from codegeex.cli.options import Json
from codegeex.cli.progress import count_progress
from codegeex.cli.tables import print_table

corpus_app = typer.Typer(help="Build training data from source code, and look into it.", no_args_is_help=True)


@corpus_app.callback()
def _quiet() -> None:
    """What Daft writes to a terminal is not for the people who use this command."""
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    os.environ.setdefault("DAFT_SHOW_QUERY_ID", "0")


@corpus_app.command(name="build")
def corpus_build(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Recipe (.yaml), folder, git repository, archive, table (.jsonl, .parquet), or a URL of such.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Directory to write tokenizer and shards into.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, such as packing=fit; may be repeated."),
    ] = None,
    benchmark: Annotated[
        list[Path] | None, typer.Option(help="HumanEval-X data, or problems in JSONL, to keep out; may be repeated.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where downloaded archives are kept.")] = Path("data/archives"),
    ray: Annotated[str, typer.Option(metavar="ADDRESS", help='Ray cluster to work on ("auto", host:port).')] = "",
    as_json: Json = False,
) -> None:
    """Gather source files, clean them, and write token shards. Interrupted, the same command goes on."""
    building = needs_packages("codegeex.corpus.build", "corpus")
    if ray:
        needs_packages("codegeex.corpus.engine", "corpus").use_ray(ray)
    try:
        report = building.build(
            sources,
            output,
            cache,
            benchmark or [],
            settings or [],
            lambda line: print(line, file=sys.stderr, flush=True),
            _bar,
        )
    except KeyboardInterrupt:
        # Daft's threads, when they are interrupted, bring the process down in other ways than ours.
        print("error: stopped; the same command goes on.", file=sys.stderr, flush=True)
        os._exit(130)
    for line in report["damaged"]:
        print(f"warning: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"output": str(output)} | report))
    else:
        print(f"{output}: {_words(report)}; see {output / 'report.html'}", file=sys.stderr)


def _words(report: dict[str, Any]) -> str:
    tokens = sum(sum(meta["tokens_per_language"].values()) for meta in report["shards"].values())
    return f"{tokens:,} tokens of {len(report['languages'])} languages"


@contextmanager
def _bar(name: str) -> Iterator[Any]:
    with count_progress(name) as progress:
        yield progress


@corpus_app.command()
def why(
    file: Annotated[Path, typer.Argument(help="Source file, its path as it would be in an archive.")],
    benchmark: Annotated[list[Path] | None, typer.Option(help="Benchmark to be kept out; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Print every rule with what it measures of a file, and the verdict."""
    answer = needs_packages("codegeex.corpus.explain", "corpus").explain(_read(file), str(file), benchmark or [])
    if as_json:
        print(json.dumps(answer))
        return
    print_table(
        ("rule", "measured", "taken if", ""),
        (
            (rule["name"], rule["measured"], rule["taken_if"], "" if rule["ok"] else "left out")
            for rule in answer["rules"]
        ),
        figures=False,
    )
    masked = ", ".join(f"{count} {kind}" for kind, count in answer["masked"].items())
    if masked:
        print(f"would be masked: {masked}")
    print(f"taken as {answer['language']}" if answer["taken"] else f"left out: {', '.join(answer['reasons'])}")
    if not answer["licence"]:
        print("its licence is not told here: a build takes it from the licence file nearest above.")


@corpus_app.command()
def origin(
    shards: Annotated[Path, typer.Argument(help="Shard directory, such as data/mine/files.")],
    window: Annotated[int, typer.Option(help="Number of the window.", min=0)] = 0,
    sequence_length: Annotated[int, typer.Option(help="Tokens of a window.", min=1)] = 512,
    as_json: Json = False,
) -> None:
    """Print which files a window of tokens comes from, with repository, licence and hash."""
    found = needs_packages("codegeex.corpus.ledger", "corpus").origins(shards, window, sequence_length)
    if as_json:
        print(json.dumps({"window": window, "origins": found}))
        return
    for row in found:
        print(f"{row['source']} {row['version']} {row['path']}  {row['licence']}  sha256:{row['sha256']}")


@corpus_app.command()
def stats(
    directory: Annotated[Path, typer.Argument(help="Shard directory, or a folder of such.")],
    as_json: Json = False,
) -> None:
    """Show how many tokens of which language token shards hold."""
    from codegeex.shards import summarize

    answer = summarize(directory)
    if as_json:
        print(json.dumps(answer))
        return
    total = answer["tokens"]
    print(f"{total:,} tokens in {answer['documents']:,} documents of {len(answer['shards'])} shard directories")
    largest = max(answer["languages"].values(), default=1)
    for language, tokens in sorted(answer["languages"].items(), key=lambda item: -item[1]):
        print(f"{language:<16} {tokens:>16,} {tokens / total:>6.1%}  {'█' * round(40 * tokens / largest)}")
