"""The built-in benchmark: problems that come with the package, half of kinds that no exercises train on.

It needs no download and no data of others, and it says two things apart: how well a model does on kinds of problems
that the exercises of its training have (`seen_pass@1`), and on kinds that they have not (`unseen_pass@1`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codegeex import languages
from codegeex.errors import CodeGeeXError
from codegeex.evaluation.humanevalx import Problem, translation_frame
from codegeex.evaluation.passk import interval, mean_pass_at_k
from codegeex.evaluation.programs import checked_values, clean, first_block
from codegeex.evaluation.samples import PREFIXES
from codegeex.exercises import builtin
from codegeex.exercises.programs import program
from codegeex.sandbox.program import Program, RunnerName

NAME = f"builtin-{builtin.VERSION}"
"""What settings call it."""


@dataclass(frozen=True, slots=True)
class BuiltinProblem(Problem):
    """A problem of the built-in benchmark; unlike those of HumanEval-X, prompt and declaration are whole everywhere.

    Attributes:
        family: of the exercise.
        held_out: whether training data has nothing of its family.
    """

    family: str = ""
    held_out: bool = False


def load(language: str) -> list[BuiltinProblem]:
    """The problems of a language, in their order.

    Raises:
        CodeGeeXError: there are none.
    """
    known = languages.get(language)
    if not known.runner:
        raise CodeGeeXError(f"the built-in benchmark has no problems in {known.name}.")
    return [
        BuiltinProblem(
            task_id=f"{PREFIXES[known.key]}/{row['number']}",
            language=known.key,
            prompt=row["prompt"],
            declaration=row["declaration"],
            solution=row["solution"],
            tests=row["tests"],
            family=row["family"],
            held_out=row["held_out"],
        )
        for row in builtin.problems()
        if row["language"] == known.key
    ]


class Builtin:
    """The built-in benchmark as a `codegeex.evaluation.run.Benchmark`."""

    def prompt(self, problem: Problem, source: Problem | None) -> str:
        if source:
            return translation_frame(source.language, f"{source.declaration}{source.solution.rstrip()}", problem)
        return f"{languages.get(problem.language).tag}\n{problem.prompt}"

    def program(self, problem: Problem, completion: str) -> Program:
        code = clean(completion, problem.language)
        return self._program(problem, first_block(code) if problem.language == "python" else code)

    def reference(self, problem: Problem) -> Program:
        return self._program(problem, problem.solution)

    @staticmethod
    def _program(problem: Problem, code: str) -> Program:
        language: RunnerName = problem.language  # type: ignore[assignment]
        tests = checked_values(problem.tests) if language == "python" else problem.tests
        return program(language, problem.prompt, code, tests)


def split_scores(report: Mapping[str, Any], problems: Mapping[str, Sequence[BuiltinProblem]]) -> dict[str, Any]:
    """pass@1 over the problems of families that training data may have, and over those of the others.

    Args:
        report: of a run at one temperature.
        problems: of each language.

    Returns:
        seen_pass@1 and unseen_pass@1, the means over all languages, and "seen_pass@1 interval" and so on, where 95 % of
        the scores lie that other families would have given; what has no judged problem is left out.
    """
    known = {problem.task_id: problem for some in problems.values() for problem in some}
    # A problem is one, in however many languages: they stand or fall together, as those of a family do.
    tallies: dict[bool, dict[tuple[str, str], tuple[int, int]]] = {False: {}, True: {}}
    for task, tally in report["problems"].items():
        half, one = tallies[known[task].held_out], (known[task].family, task.rpartition("/")[2])
        samples, passed = half.get(one, (0, 0))
        half[one] = samples + tally["samples"], passed + tally["passed"]
    scores: dict[str, Any] = {}
    for held, name in ((False, "seen_pass@1"), (True, "unseen_pass@1")):
        if counts := list(tallies[held].values()):
            scores[name] = mean_pass_at_k(counts, 1)
            scores[f"{name} interval"] = interval(counts, 1, kinds=[family for family, _ in tallies[held]])
    return scores
