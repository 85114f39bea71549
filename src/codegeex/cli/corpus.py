"""`codegeex corpus`: build training data, look into it, and ask why a file is in or out."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from codegeex.cli.assist import _read
from codegeex.cli.options import Json
from codegeex.errors import CodeGeeXError

corpus_app = typer.Typer(help="Build training data from source packages, and look into it.", no_args_is_help=True)


def _needs_packages(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("codegeex"):
            raise
        raise CodeGeeXError(f"this needs {error.name}: pip install 'codegeex[corpus]'.") from None


@corpus_app.command(name="build")
def corpus_build(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="YAML list of sources, folder, git repository, archive, or table of files (.jsonl, .parquet).",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Directory to write tokenizer and shards into.")],
    cache: Annotated[Path, typer.Option(help="Where downloaded archives are kept.")] = Path("data/archives"),
    benchmark: Annotated[list[Path] | None, typer.Option(help="HumanEval-X data to keep out; may be repeated.")] = None,
    vocab_size: Annotated[int, typer.Option(help="Ids of the tokenizer that is trained.", min=300)] = 8192,
    validation_share: Annotated[
        float, typer.Option(help="Share of the repositories kept out of training.", min=0, max=1)
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Gather source files, clean them, and write token shards."""
    building = _needs_packages("codegeex.corpus.build")
    settings = building.Settings(vocab_size=vocab_size, validation_share=validation_share)
    report = building.build(
        sources, output, cache, benchmark or [], lambda line: print(line, file=sys.stderr, flush=True), settings
    )
    if as_json:
        print(json.dumps({"output": str(output)} | report))


@corpus_app.command()
def why(
    file: Annotated[Path, typer.Argument(help="Source file, its path as it would be in an archive.")],
    as_json: Json = False,
) -> None:
    """Print every rule with what it measures of a file, and the verdict."""
    from codegeex.corpus.explain import explain

    answer = explain(_read(file), str(file))
    if as_json:
        print(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("rule", "measured", "taken if", ""):
        table.add_column(heading)
    for rule in answer["rules"]:
        table.add_row(rule["name"], rule["measured"], rule["taken_if"], "" if rule["ok"] else "[red]left out[/red]")
    Console().print(table)
    masked = ", ".join(f"{count} {kind}" for kind, count in answer["masked"].items())
    if masked:
        print(f"would be masked: {masked}")
    print(f"taken as {answer['language']}" if answer["taken"] else f"left out: {', '.join(answer['reasons'])}")


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
