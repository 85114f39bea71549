"""Whether this machine gives the verdicts it should: every reference solution must pass, every mutant must not."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from codegeex.evaluation.humanevalx import Problem
from codegeex.evaluation.programs import assemble
from codegeex.evaluation.repairs import WRONG_REFERENCES, Repairs
from codegeex.sandbox.program import Limits, Program, Result
from codegeex.sandbox.sandbox import Sandbox

_MUTANT_SECONDS = 2.0
"""Many a mutant never ends; the references take a tenth of a second at most."""


@dataclass(slots=True)
class Checkup:
    """What became of the references, or the mutants, of one language."""

    total: int
    failed: dict[str, Result] = field(default_factory=dict)

    @property
    def passed(self) -> int:
        return self.total - len(self.failed)

    @property
    def unexpected(self) -> list[str]:
        """References that failed and have no business to."""
        return [task for task in self.failed if task not in WRONG_REFERENCES]

    def to_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "total": self.total, "failed": list(self.failed), "unexpected": self.unexpected}


def check_references(
    sandbox: Sandbox, problems: Sequence[Problem], repairs: Repairs, done: Callable[[], None] = lambda: None
) -> Checkup:
    """Run the reference solutions of one language."""
    checkup = Checkup(len(problems))
    programs = [assemble(problem, problem.solution, repairs) for problem in problems]
    for problem, result in zip(problems, _run_all(sandbox, programs, done), strict=True):
        if not result.passed:
            checkup.failed[problem.task_id] = result
    return checkup


def check_mutants(
    sandbox: Sandbox, problems: Sequence[Problem], repairs: Repairs, done: Callable[[], None] = lambda: None
) -> tuple[int, list[tuple[str, str]]]:
    """Run the mutants of every reference; how many there were, and (task, mutant) of those that passed all the same."""
    made = [(problem, mutant) for problem in problems for mutant in mutants(problem)]
    programs = [assemble(problem, mutant, repairs) for problem, mutant in made]
    results = _run_all(sandbox, programs, done, replace(sandbox.limits, seconds=_MUTANT_SECONDS))
    passed = [pair for pair, result in zip(made, results, strict=True) if result.passed]
    return len(made), [(problem.task_id, mutant) for problem, mutant in passed]


def _run_all(
    sandbox: Sandbox, programs: Sequence[Program], done: Callable[[], None], limits: Limits | None = None
) -> Iterable[Result]:
    def run(program: Program) -> Result:
        result = sandbox.run(program, limits)
        done()
        return result

    with ThreadPoolExecutor(sandbox.workers) as threads:
        return list(threads.map(run, programs))


_NEGATED = {"==": "!=", "!=": "==", "===": "!==", "!==": "===", "<": ">=", ">": "<=", "<=": ">", ">=": "<"}
_CHANGES: Sequence[tuple[str, Callable[[re.Match[str]], str]]] = (
    # from what changes an answer most surely to what a lenient test may miss
    (r"(?<=return )(true|false|True|False)\b", lambda m: _other_truth(m[0])),
    (r"(?<=\s)(===|!==|==|!=|<=|>=|<|>)(?=\s)", lambda m: _NEGATED[m[0]]),
    (r"(?<=\w)\s?(===|!==|==|!=)\s?(?=[\w'\"-])", lambda m: f" {_NEGATED[m[1]]} "),
    (r"(?<=[\w)\]]) ([+*]) (?=[\w(])", lambda m: " - "),
    (r"(?<=[\w)\]]) ([-%/]|//) (?=[\w(])", lambda m: " + "),
    (r"(?<=[\w)\]])([+*])(?=[\w(])", lambda m: "-"),
    (r"\b(true|false|True|False)\b", lambda m: _other_truth(m[0])),
    (r"(?<![\w.\"'])\d+(?![\w.\"'])", lambda m: str(int(m[0]) + 1)),
    (r"(?<=\.)(max|min|upper|lower|sum)(?=\()", lambda m: {"max": "min", "min": "max"}.get(m[0], "strip")),
    (r"\b(sorted|max|min)(?=\()", lambda m: {"sorted": "list", "max": "min", "min": "max"}[m[0]]),
)


_EMPTY = {
    "python": "    return None\n",
    "cpp": "    return {};\n",
    "javascript": "  return undefined\n",
    "rust": "    return Default::default();\n",
}
"""The first statement of a body that answers with nothing, where the language has a word for it."""


def mutants(problem: Problem) -> list[str]:
    """Bodies that should be wrong: one that answers with nothing, the reference with one change. Always the same."""
    made = [made for made in (_empty(problem), _changed(problem)) if made is not None]
    return [mutant for mutant in made if mutant != problem.solution]


def _empty(problem: Problem) -> str | None:
    if word := _EMPTY.get(problem.language):
        return word + problem.solution
    signature = problem.declaration.rstrip().splitlines()[-1]
    if problem.language == "go" and (match := re.search(r"\)\s*([^()]+?)\s*\{$", signature)):
        return f"    if true {{ return *new({match[1]}) }}\n{problem.solution}"
    if problem.language == "java" and (match := re.search(r"public\s+(?:static\s+)?(\S.*?)\s+\w+\(", signature)):
        nothing = {"boolean": "false", "char": "' '"}.get(match[1], "0" if match[1][0].islower() else "null")
        return f"        if (true) return {nothing};\n{problem.solution}"
    return None


def _changed(problem: Problem) -> str | None:
    for pattern, change in _CHANGES:
        places = [match for match in re.finditer(pattern, problem.solution) if not _in_text(problem.solution, match)]
        if places:
            match = random.Random(problem.task_id).choice(places)
            return problem.solution[: match.start()] + change(match) + problem.solution[match.end() :]
    return None


def _in_text(code: str, match: re.Match[str]) -> bool:
    """Whether a place is inside a string or a comment, or part of an include or a type."""
    line = code[code.rfind("\n", 0, match.start()) + 1 : match.start()]
    return line.count('"') % 2 == 1 or line.count("'") % 2 == 1 or "//" in line or "#" in line or line.endswith("<")


def _other_truth(word: str) -> str:
    return {"true": "false", "false": "true", "True": "False", "False": "True"}[word]
