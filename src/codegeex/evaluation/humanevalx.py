"""The problems of HumanEval-X and the prompts made of them (paper, section 4)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from codegeex import languages, prompts
from codegeex.errors import CodeGeeXError
from codegeex.files import json_lines
from codegeex.languages import Language
from codegeex.sandbox.toolchains.base import cache_folder

PROBLEMS = 164
"""Problems in each language."""

_VARIABLE = "CODEGEEX_HUMANEVALX"


NAME = "humaneval-x"
"""What settings call it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in one language; the fields of the published files.

    Attributes:
        task_id: such as "CPP/7".
        language: a key of the language table.
        prompt: imports, signature and docstring, to be continued (Rust: the docstring alone).
        declaration: the same without the docstring.
        solution: the reference's body, closing braces included.
        tests: the hidden tests.
        imports: Go: the import block inside the prompt.
        test_setup: Go: the package clause and the imports of the tests.
    """

    task_id: str
    language: str
    prompt: str
    declaration: str
    solution: str
    tests: str
    imports: str = ""
    test_setup: str = ""

    @property
    def number(self) -> int:
        return int(self.task_id.rpartition("/")[2])


def downloaded_folder() -> Path:
    """Where `codegeex eval download` puts the published files."""
    return cache_folder() / "humaneval-x"


def generation_prompt(problem: Problem) -> str:
    """What a model continues: the language's tag, then the prompt (Rust: with the declaration)."""
    text = problem.declaration + problem.prompt if problem.language == "rust" else problem.prompt
    return f"{languages.get(problem.language).tag}\n{text}"


def translation_prompt(source: Problem, target: Problem) -> str:
    """What a model continues to translate: the source's solution, then the target's declaration.

    An empty line stands between declaration and body, as in the original; Rust's bodies bring it.
    """
    between = source.prompt if source.language == "rust" else "\n"
    return translation_frame(source.language, f"{source.declaration}{between}{source.solution.rstrip()}", target)


def translation_frame(language: str, code: str, target: Problem) -> str:
    """Code of a language, and the declaration that its translation begins with (paper, section 4.2)."""
    return prompts.translation(code, languages.get(language), languages.get(target.language)) + target.declaration


def load(folder: Path | None, language: str) -> list[Problem]:
    """The problems of a language, in their order.

    Args:
        folder: with the published files, humaneval_python.jsonl.gz and so on, or the published tree of folders. Without
            one, the folder that the variable CODEGEEX_HUMANEVALX names, or the one that they were downloaded to.

    Raises:
        CodeGeeXError: no such file, or one that is no file of problems.
    """
    known = languages.get(language)
    if not known.runner:
        raise CodeGeeXError(f"HumanEval-X has no problems in {known.name}.")
    path = _find(folder, known.runner)
    problems = []
    for number, row in json_lines(path, "file of HumanEval-X problems"):
        try:
            problems.append(_problem(row, known))
        except KeyError as error:
            raise CodeGeeXError(f"{path}, line {number}: no file of HumanEval-X problems (no {error}).") from None
    return problems


def _find(folder: Path | None, runner: str) -> Path:
    place = folder or Path(os.environ.get(_VARIABLE) or downloaded_folder())
    if folder is None and not place.is_dir():
        raise CodeGeeXError(
            f"where is HumanEval-X? 'codegeex eval download' fetches it; or name a folder of the published files "
            f"with --data or {_VARIABLE}."
        )
    for name in (f"humaneval_{runner}.jsonl.gz", f"humaneval_{runner}.jsonl"):
        for path in (place / name, place / runner / name, place / runner / "data" / name):
            if path.is_file():
                return path
    raise CodeGeeXError(f"no humaneval_{runner}.jsonl.gz in {place}.")


def _problem(row: dict[str, str], language: Language) -> Problem:
    return Problem(
        task_id=row["task_id"],
        language=language.key,
        prompt=row["prompt"],
        declaration=row["declaration"],
        solution=row["canonical_solution"],
        tests=row["test"],
        imports=row.get("import", ""),
        test_setup=row.get("test_setup", ""),
    )
