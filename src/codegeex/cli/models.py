"""`codegeex convert` and `tokenizer`: checkpoints and vocabularies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from codegeex.cli.assist import _read
from codegeex.cli.options import Json
from codegeex.cli.progress import byte_progress
from codegeex.errors import CodeGeeXError

convert_app = typer.Typer(help="Convert checkpoints to the native model directory.", no_args_is_help=True)
tokenizer_app = typer.Typer(help="Train a vocabulary; encode and decode text.", no_args_is_help=True)

In = Annotated[
    Path,
    typer.Argument(
        metavar="IN", help="Official .pt file, or directory of its parts; int8 also takes a model directory."
    ),
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="Model directory to write; must not exist.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="JSON with what the shapes do not tell.")]
BesideOption = Annotated[Path | None, typer.Option("--tokenizer", help="Directory of the tokenizer to put beside.")]
TokenizerOption = Annotated[
    Path | None, typer.Option("--tokenizer", help="Directory with a tokenizer.  [default: the embedded model's]")
]


@convert_app.command()
def official(
    source: In, output: Out, config: ConfigOption = None, tokenizer: BesideOption = None, as_json: Json = False
) -> None:
    """From the official checkpoint, keeping its precision. Needs neither PyTorch nor memory for the whole model."""
    _convert(_official_source(source, config), output, tokenizer, as_json)


@convert_app.command()
def int8(
    source: In, output: Out, config: ConfigOption = None, tokenizer: BesideOption = None, as_json: Json = False
) -> None:
    """To int8 weights, from the official checkpoint or from a native model directory."""
    from codegeex.checkpoint import Int8Source, NativeSource

    # A directory of official files may have their config.json beside them.
    native = (source / "config.json").is_file() and not any(source.glob("*.pt"))
    if native and tokenizer is None and (source / "tokenizer.json").is_file():
        tokenizer = source
    _convert(
        Int8Source(NativeSource(source) if native else _official_source(source, config)), output, tokenizer, as_json
    )


def _official_source(path: Path, config: Path | None) -> Any:
    from codegeex.checkpoint import OfficialSource
    from codegeex.config import read_json

    values = read_json(config) if config else {}
    if not isinstance(values, dict):
        raise CodeGeeXError(f"{config}: expected a JSON object.")
    return OfficialSource(path, values)


def _convert(source: Any, output: Path, tokenizer: Path | None, as_json: bool) -> None:
    from codegeex import tokenizer as tokenizers
    from codegeex.checkpoint import write_model

    vocabulary = tokenizers.load(tokenizer) if tokenizer else None
    if vocabulary is not None and len(vocabulary) > source.config.vocab_size:
        raise CodeGeeXError(
            f"the tokenizer in {tokenizer} has {len(vocabulary)} ids, the model only {source.config.vocab_size}."
        )
    with byte_progress(f"writing {output}") as progress:
        write_model(output, source, vocabulary, progress=progress)
    written = sum(file.stat().st_size for file in output.iterdir())
    if as_json:
        config = source.config.to_dict()
        print(json.dumps({"output": str(output), "parameters": source.config.num_parameters, "config": config}))
        return
    print(f"{output}: {source.config.num_parameters:,} parameters, {written / 1e6:,.1f} MB")
    if vocabulary is None:
        print("note: no tokenizer beside it; give --tokenizer DIR to make it usable for generation.", file=sys.stderr)


@tokenizer_app.command(name="train")
def tokenizer_train(
    files: Annotated[list[Path], typer.Argument(help="Text files to learn from.")],
    output: Annotated[Path, typer.Option(help="Directory to write tokenizer.json into.")],
    vocab_size: Annotated[int, typer.Option(help="Number of ids, special tokens included.")] = 8192,
    as_json: Json = False,
) -> None:
    """Train a vocabulary with the CodeGeeX scheme."""
    from codegeex import tokenizer

    texts = [_read(file) for file in files]
    if not any(text.strip() for text in texts):
        raise CodeGeeXError("the files hold no text to learn from.")
    vocabulary = tokenizer.train(texts, vocab_size)
    output.mkdir(parents=True, exist_ok=True)
    path = vocabulary.save(output)
    print(json.dumps({"output": str(path), "ids": len(vocabulary)}) if as_json else f"{path}: {len(vocabulary)} ids")


@tokenizer_app.command(name="encode")
def tokenizer_encode(
    file: Annotated[Path, typer.Argument(help="Text; - for standard input.", allow_dash=True)] = Path("-"),
    tokenizer: TokenizerOption = None,
    special: Annotated[bool, typer.Option("--special", help="Recognise special tokens in the text.")] = False,
    as_json: Json = False,
) -> None:
    """Print the ids of a text."""
    ids = _tokenizer(tokenizer).encode(_read(file), special=special)
    print(json.dumps({"ids": ids}) if as_json else " ".join(map(str, ids)))


@tokenizer_app.command(name="decode")
def tokenizer_decode(
    file: Annotated[Path, typer.Argument(help="Ids apart by spaces or commas; - for standard input.")] = Path("-"),
    tokenizer: TokenizerOption = None,
    as_json: Json = False,
) -> None:
    """Print the text of ids."""
    words = _read(file).replace(",", " ").replace("[", " ").replace("]", " ").split()
    try:
        ids = [int(word) for word in words]
    except ValueError:
        raise CodeGeeXError("ids must be whole numbers, apart by spaces or commas.") from None
    vocabulary = _tokenizer(tokenizer)
    if as_json:
        print(json.dumps({"text": vocabulary.decode(ids)}))
    else:
        sys.stdout.buffer.write(vocabulary.decode_bytes(ids))
        sys.stdout.flush()


def _tokenizer(directory: Path | None) -> Any:
    from codegeex import tokenizer
    from codegeex.assistant.assistant import EMBEDDED_MODEL

    return tokenizer.load(directory or EMBEDDED_MODEL)
