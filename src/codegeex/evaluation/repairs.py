"""Known faults of HumanEval-X, by name, and what mends them.

Published scores were made with these faults. Without repairs our numbers compare with them; with repairs they are
right. Every report says which it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codegeex.evaluation.humanevalx import Problem


@dataclass(frozen=True, slots=True)
class Repairs:
    """Which faults to mend.

    Attributes:
        data: tests that test nothing and imports that depend on what a completion says.
        honest: rules of the original's runner that fail correct programs (output in JavaScript, `go vet`) or pass wrong
            ones (Python values that are equal to everything).
    """

    data: bool
    honest: bool

    @classmethod
    def of(cls, on: bool) -> Repairs:
        return cls(on, on)


WRONG_REFERENCES = {
    "JavaScript/112": "the reference is wrong, its tests are right",
    "JavaScript/155": "the reference is wrong, its tests are right",
    "Go/95": "the reference depends on the order of a map, and fails about one time in four",
}
"""References that may fail; no answer is harmed by them."""

REPAIRED = {
    "CPP/23": "its tests reach the library's strlen: any body passed",
    "Rust/32": "its tests are commented out: any body passed",
    "Go/2": "its tests need an import that only some answers bring",
    "Go/4": "its tests need an import that only some answers bring",
    "Go/44": "an import that only some answers use",
    "Go/151": "its tests need an import that only some answers bring",
    "Go/162": "its tests' own import is an error where the answer does not use it",
}

_RUST_32 = """
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_poly() {
        for coefficients in [
            vec![1.0, 2.0], vec![-6.0, 11.0, -6.0, 1.0], vec![10.0, -3.0], vec![5.0, 3.0, 1.0, 1.0],
            vec![-2.0, 1.0, 4.0, 2.0], vec![3.0, -7.0, 2.0, 5.0], vec![-10.0, 9.0, -4.0, 1.0, 2.0, 1.0],
        ] {
            let solution = find_zero(&coefficients);
            let mut value = 0.0;
            for (power, coefficient) in coefficients.iter().enumerate() {
                value += coefficient * solution.powi(power as i32);
            }
            assert!(value.abs() < 1e-3);
        }
    }
}
"""

_GO_STANDARD = (
    "bufio", "bytes", "container/heap", "container/list", "crypto/md5", "crypto/sha256", "encoding/hex", "errors",
    "fmt", "io", "math", "math/big", "math/bits", "math/cmplx", "math/rand", "os", "reflect", "regexp", "sort",
    "strconv", "strings", "sync", "time", "unicode", "unicode/utf8",
)  # fmt: skip
"""Packages that answers use."""

_GO_WORDS = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|'(?:[^'\\\n]|\\.)*'", re.DOTALL)


def repaired_tests(problem: Problem) -> str:
    """The tests, mended where they tested nothing."""
    if problem.task_id == "CPP/23":
        # A text of the class the function takes, so that it is this function that is meant.
        return problem.tests.replace("int main", "#define strlen(text) strlen(string(text))\nint main", 1)
    if problem.task_id == "Rust/32":
        return _RUST_32
    return problem.tests


def repaired_go_source(problem: Problem, code: str) -> str:
    """The program ahead of the tests, which imports what it and they use, and nothing else."""
    body = f"{problem.prompt.replace(problem.imports, '', 1)}{code}\n"
    used = set(re.findall(r"(?<![\w.])(\w+)\.", _GO_WORDS.sub(" ", body + problem.tests)))
    wanted = [name for name in _GO_STANDARD if name.rpartition("/")[2] in used]
    block = "".join(f'    "{name}"\n' for name in ["testing", "github.com/stretchr/testify/assert", *wanted])
    return f"package main\n\nimport (\n{block})\n{body}"
