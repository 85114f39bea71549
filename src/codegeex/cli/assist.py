"""`codegeex generate`, `complete`, `translate` and `explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codegeex import languages
from codegeex.errors import CodeGeeXError

if TYPE_CHECKING:
    from codegeex.assistant import Model, Task
    from codegeex.engine.sampling import SamplingParams
    from codegeex.languages import Language

Temperature = Annotated[float | None, typer.Option(help="Randomness; 0 is greedy.  [default: 0.2]")]
TopK = Annotated[int | None, typer.Option(help="Draw from the K likeliest tokens; 0 for all.  [default: 0]")]
TopP = Annotated[
    float | None, typer.Option(help="Draw from the likeliest tokens up to this probability.  [default: 0.95]")
]
Beams = Annotated[int | None, typer.Option(help="Width of beam search; 1 for none.  [default: 1]")]
LengthPenalty = Annotated[float | None, typer.Option(help="Beams are ranked by log p / length ^ this.  [default: 1.0]")]
Greedy = Annotated[bool, typer.Option("--greedy", help="Always take the likeliest token.")]
Samples = Annotated[int | None, typer.Option("--n", "-n", help="How many answers.  [default: 1]")]
Seed = Annotated[int | None, typer.Option(help="Makes the answer reproducible.")]
MaxTokens = Annotated[int | None, typer.Option(help="Longest answer, in tokens.  [default: 256]")]
Stop = Annotated[list[str] | None, typer.Option(help="End before this text; may be given again.")]
ModelPath = Annotated[Path | None, typer.Option("--model", help="Model directory.  [default: the one that ships]")]
BackendOption = Annotated[str, typer.Option(help="What runs the model: numpy or torch.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Lang = Annotated[str, typer.Option("--lang", "-l", help="Language, for example python, cpp, java, javascript, go.")]
FileLang = Annotated[str | None, typer.Option("--lang", "-l", help="Language; otherwise told from the file's name.")]


def generate(
    intent: Annotated[str, typer.Argument(help="What the program should do, in words.")],
    lang: Lang,
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
    backend: BackendOption = "numpy",
    as_json: Json = False,
) -> None:
    """Write a program for an intent."""
    params = _params(temperature, top_k, top_p, beams, length_penalty, greedy, n, seed, max_tokens, stop)
    _answer("generate", intent, params, model, backend, as_json, language=languages.get(lang).key)


def complete(
    file: Annotated[Path, typer.Argument(help="Code to continue; - for standard input.", allow_dash=True)] = Path("-"),
    suffix: Annotated[Path | None, typer.Option(help="File with the code that follows the gap.")] = None,
    lang: FileLang = None,
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
    backend: BackendOption = "numpy",
    as_json: Json = False,
) -> None:
    """Continue a piece of code, or fill the gap before a suffix."""
    params = _params(temperature, top_k, top_p, beams, length_penalty, greedy, n, seed, max_tokens, stop)
    language = _file_language(file, lang)
    _answer(
        "complete",
        _read(file),
        params,
        model,
        backend,
        as_json,
        language=language.key if language else None,
        suffix=_read(suffix) if suffix else "",
    )


def translate(
    file: Annotated[Path, typer.Argument(help="Code to translate; - for standard input.", allow_dash=True)],
    target: Annotated[str, typer.Option("--to", help="Language to write.")],
    source: Annotated[str | None, typer.Option("--from", help="Language of the file; else told from its name.")] = None,
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
    backend: BackendOption = "numpy",
    as_json: Json = False,
) -> None:
    """Write a program anew in another language."""
    params = _params(temperature, top_k, top_p, beams, length_penalty, greedy, n, seed, max_tokens, stop)
    language = _known(_file_language(file, source), "--from")
    target = languages.get(target).key
    _answer("translate", _read(file), params, model, backend, as_json, source=language.key, target=target)


def explain(
    file: Annotated[Path, typer.Argument(help="Code to explain; - for standard input.", allow_dash=True)],
    lang: FileLang = None,
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
    backend: BackendOption = "numpy",
    as_json: Json = False,
) -> None:
    """Comment a piece of code line by line."""
    params = _params(temperature, top_k, top_p, beams, length_penalty, greedy, n, seed, max_tokens, stop)
    language = _known(_file_language(file, lang), "--lang")
    _answer("explain", _read(file), params, model, backend, as_json, language=language.key)


def _params(
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    beams: int | None,
    length_penalty: float | None,
    greedy: bool,
    n: int | None,
    seed: int | None,
    max_tokens: int | None,
    stop: list[str] | None,
) -> SamplingParams:
    from codegeex.assistant.assistant import sampling_params

    if greedy and temperature:
        raise CodeGeeXError("--greedy and --temperature contradict each other; leave one out.")
    return sampling_params(
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
    task: Task, text: str, params: SamplingParams, path: Path | None, backend: str, as_json: bool, **options: Any
) -> None:
    """Load the model, run a task and print its answer."""
    from codegeex.assistant import load

    model = load(path, backend)  # type: ignore[arg-type]
    request = model.request(task, text, params=params, **options)
    if request.truncated:
        limit = model.backend.config.max_position_embeddings
        print(
            f"note: the prompt is longer than this model's context of {limit} tokens; its beginning was left out.",
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
