"""What the embedded model writes for everyday requests is run: most of it has to be right.

No measure of what it does with others: programs such as these are what it was trained on, half of the requests word for
word (the `everyday_` families). It is what a person meets who tries it first.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from everyday_intents import INTENTS, Intent

import codegeex
from codegeex.exercises.exercise import Exercise
from codegeex.exercises.ir import Function, Name
from codegeex.exercises.programs import LANGUAGES, hidden_tests, program
from codegeex.sandbox import Result, Sandbox

RIGHT = 15
"""Of the twenty; a request is answered right if it is in most languages."""

MOST = 4
"""Of the six languages."""

_DEFINED = {
    "python": r"^def (\w+)\(",
    "cpp": r"^\w[\w<>:& ]*?[ &](\w+)\([^;]*\{$",
    "java": r"^(?:    )?public (?:static )?[\w<>\[\], ]+ (\w+)\(",
    "javascript": r"^(?:const (\w+) = \(|function (\w+)\()",
    "go": r"^func (\w+)\(",
    "rust": r"^(?:pub )?fn (\w+)[(<]",
}
"""Where the function that answers is named: the last one, as it may have helpers before it."""

FACTORIAL = INTENTS[0]
MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text()
MOST_TOKENS = int(re.search(r"--max-tokens (\d+)", MAKEFILE)[1])
"""Of an answer, as in the demo."""


@pytest.fixture(scope="module")
def model() -> codegeex.Model:
    return codegeex.load()


def judged(model: codegeex.Model, sandbox: Sandbox, intent: Intent) -> tuple[Result | None, str]:
    """What became of the likeliest answer, and the answer."""
    code = model.generate(intent.words, language=intent.language, temperature=0, max_tokens=MOST_TOKENS).text
    named = [next(filter(None, found.groups())) for found in re.finditer(_DEFINED[intent.language], code, re.MULTILINE)]
    if not named:
        return None, code
    if intent.language == "java" and "class " not in code:
        code = f"class Solution {{\n{code}\n}}"  # a method alone is an answer too
    params = tuple(Name(f"p{number}", type_) for number, type_ in enumerate(intent.params))
    asked = Exercise("", 1, False, Function(named[-1], params, intent.result, ()), (), (), (), intent.cases)
    return sandbox.run(program(intent.language, f"{code}\n", "", hidden_tests(asked, intent.language))), code  # type: ignore[arg-type]


@pytest.mark.timeout(400)  # 120 programs are compiled and run
def test_everyday_requests(model, sandbox):
    table = {}
    for intent in INTENTS:
        answers = [judged(model, sandbox, replace(intent, language=language))[0] for language in LANGUAGES]
        table[intent.words] = sum(result is not None and result.passed for result in answers)
    most, everywhere = (sum(right >= least for right in table.values()) for least in (MOST, len(LANGUAGES)))
    lines = [f"{right} of {len(LANGUAGES)}: {words}" for words, right in table.items()]
    print(
        "\n".join([*lines, f"{most} requests are answered right in {MOST} languages, {everywhere} in all"])
    )  # pytest -s
    assert len(table) == 20
    assert most >= RIGHT, table


@pytest.mark.parametrize("language", ["python", "cpp", "java", "javascript", "go"])
def test_the_programs_of_make_demo_are_right(model, sandbox, language):
    assert f"PROMPT := {FACTORIAL.words}\n" in MAKEFILE
    assert "--temperature 0 " in MAKEFILE
    assert language in re.search(r"for lang in (.*);", MAKEFILE)[1].split()
    result, code = judged(model, sandbox, replace(FACTORIAL, language=language))
    assert result is not None, code
    assert result.passed, f"{result.detail}\n{code}"


def test_a_wrong_answer_is_found(sandbox):
    """The measure itself: an answer that ignores what was asked does not count."""

    class Echo:
        def generate(self, words, **options):
            return codegeex.Generation("def answer(value):\n    return value", [], "stop", [], 1)

    assert not any(judged(Echo(), sandbox, replace(intent, language="python"))[0].passed for intent in INTENTS)
