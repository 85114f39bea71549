"""The `codegeex` command: its verbs, and how errors reach a person.

Exit codes: 0 done, 1 the work failed, 2 bad input. An error is one line on stderr, never a traceback.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from codegeex import __version__
from codegeex.cli import assist, bench, corpus, doctor, evaluate, exercises, models, serve, train
from codegeex.errors import CodeGeeXError

# typer raises the errors of the click that it uses, which may be a copy of its own.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="codegeex",
    help="A multilingual code model that you own: generate, complete, translate and explain code.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(assist.generate)
app.command()(assist.complete)
app.command()(assist.translate)
app.command()(assist.explain)
app.add_typer(models.convert_app, name="convert")
app.add_typer(models.tokenizer_app, name="tokenizer")
app.add_typer(corpus.corpus_app, name="corpus")
app.command()(train.train)
app.command()(train.plan)
app.add_typer(evaluate.eval_app, name="eval")
app.add_typer(exercises.exercises_app, name="exercises")
app.add_typer(bench.bench_app, name="bench")
app.command()(serve.serve)
app.command()(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"codegeex {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    # The numpy backend multiplies vectors too short for threads, whose waiting for each other costs ten times the work
    # on a busy machine. numpy's BLAS reads this when it is imported, hence here; a value set by the user stands.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed by whoever started this
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may know few characters
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="codegeex", standalone_mode=False)
        if result == 130:  # what typer makes of an interruption
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except CodeGeeXError as error:
        return _fail(str(error), error.exit_code)
    except UsageError as error:
        message: str = error.format_message()  # type: ignore[attr-defined]
        if message.startswith("Usage:"):  # no verb was given: the message is the help page
            print(message, file=sys.stderr)
            return 2
        context = getattr(error, "ctx", None)
        return _fail(f"{message} (see {context.command_path if context else 'codegeex'} --help)", 2)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("stopped.", 130)
    except BrokenPipeError:
        # The reader has gone (codegeex ... | head); Python would complain once more when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.", 1)
    except MemoryError:
        return _fail("not enough memory.", 1)


def _fail(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
