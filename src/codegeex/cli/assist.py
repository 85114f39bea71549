"""`codegeex generate`, `complete`, `translate` and `explain`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codegeex import languages
from codegeex.cli.options import Json
from codegeex.errors import CodeGeeXError

if TYPE_CHECKING:
    from codegeex.assistant import Model, Task
    from codegeex.engine.sampling import SamplingParams
    from codegeex.languages import Language

Answer = Callable[..., None]
"""Takes a task, its text and its options, and prints the answer."""

Temperature = Annotated[float | None, typer.Option(help="Randomness; 0 is greedy.  [default: 0.2]")]
TopK = Annotated[int | None, typer.Option(help="Draw from the K likeliest tokens; 0 for all.  [default: 0]")]
TopP = Annotated[
    float | None, typer.Option(help="Draw from the likeliest tokens up to this probability.  [default: 0.95]")
]
Beams = Annotated[int | None, typer.Option(help="Width of beam search; 1 for none.  [default: 1]")]
LengthPenalty = Annotated[float | None, typer.Option(help="Beams are ranked by log p / length ^ this.  [default: 0]")]
Greedy = Annotated[bool, typer.Option("--greedy", help="Always take the likeliest token.")]
Samples = Annotated[int | None, typer.Option("--n", "-n", help="How many answers.  [default: 1]")]
Seed = Annotated[int | None, typer.Option(help="Makes the answer reproducible.")]
MaxTokens = Annotated[int | None, typer.Option(help="Longest answer, in tokens.  [default: 256]")]
Stop = Annotated[list[str] | None, typer.Option(help="End before this text; may be given again.")]
ModelPath = Annotated[Path | None, typer.Option("--model", help="Model directory.  [default: the one that ships]")]
BackendOption = Annotated[str, typer.Option(help="What runs the model: native, torch or numpy; auto is native.")]
Lang = Annotated[str, typer.Option("--lang", "-l", help="Language, for example python, cpp, java, javascript, go.")]
FileLang = Annotated[str | None, typer.Option("--lang", "-l", help="Language; otherwise told from the file's name.")]


def _answerer(
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    beams: Beams = None,
    length_penalty: LengthPenalty = None,
    greedy: Greedy = False,
    n: Samples = None,
    seed: Seed = None,
    max_tokens: MaxTokens = None,
    stop: Stop = None,
    model: ModelPath = None,
    backend: BackendOption = "auto",
    as_json: Json = False,
) -> Answer:
    """The options that all four verbs share, as a function that answers a task the way they say."""
    from codegeex.assistant.assistant import sampling_params

    if greedy and temperature:
        raise CodeGeeXError("--greedy and --temperature contradict each other; leave one out.")
    if beams is not None and beams > 1 and any((temperature, top_k, top_p, seed is not None)):
        raise CodeGeeXError("beam search draws nothing: leave out --temperature, --top-k, --top-p and --seed.")
    params = sampling_params(
        temperature=0.0 if greedy else temperature,
        top_k=top_k,
        top_p=top_p,
        beams=beams,
        length_penalty=length_penalty,
        n=n,
        seed=seed,
        max_tokens=max_tokens,
        stop=tuple(stop) if stop else None,
    )
    return partial(_answer, params, model, backend, as_json)


def _verb(command: Callable[..., None]) -> Callable[..., None]:
    """Add the shared options to a verb, which gets them as its first argument, `answer`."""
    shared = inspect.signature(_answerer, eval_str=True).parameters
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @wraps(command)
    def run(**arguments: Any) -> None:
        answer = _answerer(**{name: arguments.pop(name) for name in shared})
        command(answer, **arguments)

    signature = inspect.Signature([*own, *shared.values()])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run


@_verb
def generate(
    answer: Answer,
    intent: Annotated[str, typer.Argument(help="What the program should do, in words.")],
    lang: Lang,
) -> None:
    """Write a program for an intent."""
    answer("generate", intent, language=languages.get(lang).key)


@_verb
def complete(
    answer: Answer,
    file: Annotated[Path, typer.Argument(help="Code to continue; - for standard input.", allow_dash=True)] = Path("-"),
    suffix: Annotated[Path | None, typer.Option(help="File with the code that follows the gap.")] = None,
    lang: FileLang = None,
) -> None:
    """Continue a piece of code, or fill the gap before a suffix."""
    language = _file_language(file, lang)
    after = _read(suffix) if suffix else ""
    answer("complete", _read(file), language=language.key if language else None, suffix=after)


@_verb
def translate(
    answer: Answer,
    file: Annotated[Path, typer.Argument(help="Code to translate; - for standard input.", allow_dash=True)],
    target: Annotated[str, typer.Option("--to", help="Language to write.")],
    source: Annotated[str | None, typer.Option("--from", help="Language of the file; else told from its name.")] = None,
) -> None:
    """Write a program anew in another language."""
    language = _known(_file_language(file, source), "--from")
    wanted = languages.get(target)
    for one in (language, wanted):
        if one not in languages.EXECUTABLE:
            known = ", ".join(each.name for each in languages.EXECUTABLE)
            print(f"note: models learn to translate between {known}; {one.name} is none of them.", file=sys.stderr)
    answer("translate", _read(file), source=language.key, target=wanted.key)


@_verb
def explain(
    answer: Answer,
    file: Annotated[Path, typer.Argument(help="Code to explain; - for standard input.", allow_dash=True)],
    lang: FileLang = None,
) -> None:
    """Comment a piece of code line by line."""
    language = _known(_file_language(file, lang), "--lang")
    answer("explain", _read(file), language=language.key)


def _read(path: Path) -> str:
    """The text of a file, or of standard input for "-"."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise CodeGeeXError(f"cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CodeGeeXError(f"{path} is not UTF-8 text.") from None
    if "\0" in text:
        raise CodeGeeXError(f"{path} is not text: it holds NUL bytes.")
    return text


def _file_language(path: Path, name: str | None) -> Language | None:
    """The language called `name`, else the likeliest one for the file's name."""
    if name is not None:
        return languages.get(name)
    return next(iter(languages.for_path(path)), None)


def _known(language: Language | None, option: str) -> Language:
    if language is None:
        raise CodeGeeXError(f"the file's name does not tell its language; give it with {option}.")
    return language


def _answer(
    params: SamplingParams, path: Path | None, backend: str, as_json: bool, task: Task, text: str, **options: Any
) -> None:
    """Load the model, run a task and print its answer."""
    from codegeex.assistant import load

    model = load(path, backend)  # type: ignore[arg-type]
    request = model.request(task, text, params=params, **options)
    if request.truncated:
        limit = model.backend.config.max_position_embeddings
        print(
            f"note: the prompt is longer than this model's context of {limit} tokens allows; its beginning was left out"
            + (", or the end of the suffix." if options.get("suffix") else "."),
            file=sys.stderr,
        )
    if as_json:
        answer = model.run(request, params)
        content = {
            "choices": [{"text": choice.text, "finish_reason": choice.finish_reason} for choice in answer],
            "usage": {
                "prompt_tokens": len(request.prompt),
                "completion_tokens": sum(len(choice.tokens) for choice in answer),
            },
            "truncated": request.truncated,
        }
        print(json.dumps(content))
    elif params.n == 1 and params.beams == 1:
        _show_stream(model, request, params)
    else:
        answer = model.run(request, params)
        for number, choice in enumerate(answer, start=1):
            if len(answer) > 1:
                comment = request.language.comment if request.language else str
                _show(comment(f"{number} of {len(answer)}") + "\n", request.language)
            _show(choice.text, request.language)


def _show_stream(model: Model, request: Any, params: SamplingParams) -> None:
    """Print a single answer while it grows; in colour where a person is watching."""
    if not sys.stdout.isatty():
        ends_line = True
        for piece in model.pieces(request, params):
            print(piece, end="", flush=True)
            ends_line = piece.endswith("\n")
        if not ends_line:
            print()
        return
    from rich.console import Console
    from rich.live import Live

    text = ""
    console = Console()
    # What does not fit the window is cut while it grows; the finished text is printed whole.
    with Live(console=console, refresh_per_second=15, transient=True, vertical_overflow="crop") as live:
        for piece in model.pieces(request, params):
            text += piece
            live.update(_highlighted("\n".join(text.split("\n")[-(console.height - 2) :]), request.language))
    console.print(_highlighted(text.rstrip(), request.language))


def _show(text: str, language: Language | None) -> None:
    """Print finished code."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(_highlighted(text.rstrip(), language))
    else:
        print(text.rstrip("\n"))


def _highlighted(code: str, language: Language | None) -> Any:
    from rich.syntax import Syntax

    lexer = language.key if language else "text"
    return Syntax(code, lexer, theme="ansi_dark", background_color="default", word_wrap=True)
