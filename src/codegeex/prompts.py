"""The prompts of the four tasks, as text (facts of the original, sections 7.2 and 9.3).

The assistant sends them, the benchmarks measure with them, and the exercises train on them: one text for all.
"""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import Literal

from codegeex.languages import Language

Task = Literal["generate", "complete", "translate", "explain"]


def generation(intent: str, language: Language) -> str:
    """The language tag and the intent as a comment; the model continues with the program."""
    return f"{language.tag}\n{language.comment(intent.strip())}\n"


def completion(prefix: str, language: Language | None) -> str:
    """The code before the cursor under its language tag, unless it has that tag already."""
    if language is None or prefix.startswith(language.tag):
        return prefix
    return f"{language.tag}\n{prefix}"


def translation(code: str, source: Language, target: Language) -> str:
    """The paper's translation prompt, which has no tag and ends where the target program begins."""
    return f"code translation\n{source.name}:\n{code.rstrip()}\n{target.name}:\n"


# A worked example shows the model what an explanation looks like: plain, then commented line by line.
_INDENT_EXAMPLE = (
    "def mean(numbers):\n    total = sum(numbers)\n    return total / len(numbers)",
    "{A function called mean, which takes a list of numbers}\n"
    "def mean(numbers):\n"
    "    {Add all the numbers up}\n"
    "    total = sum(numbers)\n"
    "    {Divide by how many there are, and give that back}\n"
    "    return total / len(numbers)",
)
_BRACES_EXAMPLE = (
    "double half(double x) {\n    double result = x / 2;\n    return result;\n}",
    "{A function called half, which takes a number x}\n"
    "double half(double x) {\n"
    "    {Divide x by two and keep that as result}\n"
    "    double result = x / 2;\n"
    "    {Give the result back}\n"
    "    return result;\n"
    "}",
)
_HEADING = "Explain the code line by line"


def explanation(code: str, language: Language) -> tuple[str, str]:
    """A worked example, the code, and the heading under which the model explains it line by line.

    Returns:
        The prompt, and its last line: the first line of the code, which the answer begins with.
    """
    plain, explained = _INDENT_EXAMPLE if language.blocks == "indent" else _BRACES_EXAMPLE
    commented = re.sub(r"{(.*)}$", lambda words: language.comment(words[1]), explained, flags=re.MULTILINE)
    heading = language.comment(_HEADING)
    code = "\n".join(dropwhile(lambda line: not line.strip(), code.splitlines())).rstrip()
    first_line = code.partition("\n")[0]
    head = f"{language.tag}\n{plain}\n\n{heading}\n{commented}\n\n"
    return f"{head}{code}\n\n{heading}\n{first_line}\n", f"{first_line}\n"
