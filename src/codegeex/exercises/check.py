"""Compiles and runs every solution on its tests: nothing is an exercise before the sandbox has said so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from codegeex.exercises.programs import program
from codegeex.sandbox import Result, Sandbox


@dataclass(slots=True)
class Checked:
    """What became of the solutions.

    Attributes:
        languages: for each language, solutions that passed and solutions that ran.
        failures: rows that failed, each with how.
    """

    languages: dict[str, list[int]] = field(default_factory=dict)
    failures: list[tuple[Mapping[str, Any], Result]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The figures, for people and JSON."""
        return {
            "languages": {name: {"passed": passed, "total": total} for name, (passed, total) in self.languages.items()},
            "failures": [
                {name: row[name] for name in ("id", "family", "language", "name")}
                | {"verdict": result.verdict, "detail": result.detail[:500]}
                for row, result in self.failures
            ],
        }


def check(
    rows: Sequence[Mapping[str, Any]], sandbox: Sandbox, tell: Callable[[int, int], None] = lambda done, total: None
) -> Checked:
    """Run the solutions of rows, `sandbox.workers` at a time.

    Args:
        rows: of `codegeex.exercises.make.rows`.
        sandbox: with all their languages.
        tell: hears how many are done.

    Raises:
        CodeGeeXError: the tools of a language are not installed.
    """
    checked = Checked()

    def run(row: Mapping[str, Any]) -> Result:
        return sandbox.run(program(row["language"], row["prompt"], row["solution"], row["tests"]))

    with ThreadPoolExecutor(sandbox.workers) as threads:
        for number, (row, result) in enumerate(zip(rows, threads.map(run, rows), strict=True), 1):
            tally = checked.languages.setdefault(row["language"], [0, 0])
            tally[0] += result.passed
            tally[1] += 1
            if not result.passed:
                checked.failures.append((row, result))
            tell(number, len(rows))
    return checked
