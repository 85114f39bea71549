"""What goes into the sandbox and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from codegeex.errors import CodeGeeXError

RunnerName = Literal["python", "cpp", "java", "javascript", "go", "rust"]
"""Languages whose programs the sandbox runs."""

Verdict = Literal["passed", "wrong", "compile_error", "runtime_error", "timeout", "memory", "sandbox_error"]
"""How a program ended.

- passed: the tests ran to their end, and none failed.
- wrong: a test failed.
- compile_error: no program came of the text, or it meddles with names that its tests rely on.
- runtime_error: it crashed, ended before its tests did, or wrote too much.
- timeout, memory: it went over a limit.
- sandbox_error: the sandbox failed, not the program; says nothing about it.
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A text that nobody trusts, and the tests that somebody wrote for it.

    Attributes:
        language: one of `RunnerName`.
        source: everything before the tests, imports included. Python: module text. C++: includes and functions. Java:
            imports and classes. JavaScript: script text. Go: a file of package main. Rust: items.
        tests: trusted. Python: statements that raise. C++: `int main` with asserts. Java: `public class Main`.
            JavaScript: statements that call `console.assert`. Go: `TestX` functions. Rust: a test module.
        silent: whether any output fails the program, as the original's runner has it for JavaScript.
        vet: Go: whether what `go test` vets is part of the verdict, as it is of the original's.
        modern: C++: whether the program is C++17, and not the C++11 of the original's runner.
    """

    language: RunnerName
    source: str
    tests: str
    silent: bool = False
    vet: bool = False
    modern: bool = False

    def __post_init__(self) -> None:
        if self.language not in get_args(RunnerName):
            raise CodeGeeXError(f"no runner for {self.language!r}; there are {', '.join(get_args(RunnerName))}.")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Attributes:
        seconds: processor time of the run. What sleeps or waits is ended after `patience` times as long.
        compile_seconds: the same for each step of the compilation.
        memory_mb: private memory of the run, MiB, on top of what its language's runtime takes for itself.
        processes: threads of the run; the compilers may have as many processes.
        output_bytes: of standard output and error together.
        disk_mb: size of the folder it works in, MiB.
    """

    seconds: float = 5.0
    compile_seconds: float = 30.0
    memory_mb: int = 1024
    processes: int = 128
    output_bytes: int = 1 << 20
    disk_mb: int = 64

    patience: float = 4.0
    """A busy machine gives a program little of its time, which must not decide about it; one that only waits is not
    worth waiting for much longer."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended.

    Attributes:
        verdict: see `Verdict`.
        stage: what it ended in.
        seconds: processor time of the run (of the compilation, where it got no further).
        memory_mb: most memory that its process held, MiB.
        detail: what a person wants to know: the message of the error, at most a few lines. Empty for a pass.
        compile_seconds: processor time of the compilation.
    """

    verdict: Verdict
    stage: Literal["compile", "run"]
    seconds: float
    memory_mb: float
    detail: str = ""
    compile_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"
