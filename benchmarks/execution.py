"""Programs a second in the sandbox, beside the way of the original's runner: the plain tools, a folder a program.

Both sides run the same reference solutions of HumanEval-X, two at a time, in turns of a few problems, so that both meet
the same noise. The sandbox isolates; the original does not. Needs the published files: --data FOLDER.

    python benchmarks/execution.py --data FOLDER [--problems 24] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codegeex import languages
from codegeex.evaluation import humanevalx
from codegeex.evaluation.programs import assemble
from codegeex.evaluation.repairs import Repairs
from codegeex.sandbox import Program, Sandbox
from codegeex.sandbox.toolchains.base import GUEST
from codegeex.sandbox.toolchains.rust import _CONFIGURATION, _MANIFEST

TURN = 8
"""Problems a side runs before it is the other's turn."""


class Plain:
    """The original's commands (its execution module), one folder a program; Rust in a folder that all share."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._number = 0
        self._cargo = folder / "cargo"
        shutil.copytree(GUEST / "rust/rand", self._cargo / "rand")
        (self._cargo / "src/bin").mkdir(parents=True)
        (self._cargo / ".cargo").mkdir()
        (self._cargo / ".cargo/config.toml").write_text(_CONFIGURATION)
        (self._cargo / "Cargo.toml").write_text(_MANIFEST.format(rand="rand"))

    def run(self, program: Program) -> bool:
        if program.language == "rust":
            return self._rust(program)
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            return bool(getattr(self, f"_{program.language}")(program, folder))

    @staticmethod
    def _call(command: Sequence[str], folder: Path, quiet: bool = False) -> bool:
        ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=60)
        return ended.returncode == 0 and not (quiet and (ended.stdout or ended.stderr))

    def _python(self, program: Program, folder: Path) -> bool:
        # As the original: a manager and a forked process for every program. One at a time: forked out of several
        # threads, a program in some dozens fails that passes alone.
        forks = multiprocessing.get_context("fork")
        with forks.Manager() as manager, tempfile.TemporaryDirectory() as place:
            outcome = manager.list()

            def work() -> None:
                os.chdir(place)
                exec(f"{program.source}\n{program.tests}", {})
                outcome.append("passed")

            process = forks.Process(target=work)
            process.start()
            process.join(60)
            return bool(outcome)

    def _cpp(self, program: Program, folder: Path) -> bool:
        (folder / "test.cpp").write_text(f"{program.source}\n{program.tests}")
        libraries = ["-lcrypto", "-lssl"] if "openssl" in program.source else []
        return self._call(["g++", "-std=c++11", "test.cpp", *libraries], folder) and self._call(["./a.out"], folder)

    def _java(self, program: Program, folder: Path) -> bool:
        (folder / "Main.java").write_text(f"{program.source}\n{program.tests}")
        return self._call(["javac", "Main.java"], folder) and self._call(["java", "-cp", ".", "Main"], folder)

    def _javascript(self, program: Program, folder: Path) -> bool:
        (folder / "test.js").write_text(f"{program.source}\n{program.tests}")
        module = folder / "node_modules/js-md5"
        module.mkdir(parents=True)
        (module / "index.js").write_text(
            "module.exports = (t) => require('crypto').createHash('md5').update(t).digest('hex')\n"
        )
        return self._call(["node", "test.js"], folder, quiet=True)

    def _go(self, program: Program, folder: Path) -> bool:
        (folder / "main_test.go").write_text(f"{program.source}\n{program.tests}")
        package = folder / "testify/assert"
        package.mkdir(parents=True)
        shutil.copy(GUEST / "go/assert/assert.go", package)
        (folder / "testify/go.mod").write_text("module github.com/stretchr/testify\ngo 1.18\n")
        needs = "require github.com/stretchr/testify v1.8.0\nreplace github.com/stretchr/testify => ./testify\n"
        (folder / "go.mod").write_text(f"module main\ngo 1.18\n{needs}")
        return self._call(["go", "test", "-timeout=60s", "main_test.go"], folder)

    def _rust(self, program: Program) -> bool:
        self._number += 1
        name = f"test_{self._number}"
        path = self._cargo / f"src/bin/{name}.rs"
        path.write_text(f"{program.source}\n{program.tests}")
        try:
            return self._call(["cargo", "check", "--offline", "--bin", name], self._cargo) and self._call(
                ["cargo", "test", "--offline", "--bin", name], self._cargo
            )
        finally:
            path.unlink()


def timed(run: Callable[[Program], bool], programs: Sequence[Program], workers: int) -> tuple[float, list[bool]]:
    begun = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        passed = list(threads.map(run, programs))
    return (time.perf_counter() - begun) / len(programs) * 1e3, passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    report: dict[str, object] = {}
    with Sandbox(workers=arguments.workers) as sandbox, tempfile.TemporaryDirectory() as folder:
        print(f"isolation: {sandbox.problem or 'bubblewrap, seccomp'}")
        plain = Plain(Path(folder))
        for language in languages.EXECUTABLE:
            problems = humanevalx.load(arguments.data, language.key)
            every = [assemble(problem, problem.solution, Repairs.of(False)) for problem in problems]
            some = every[: arguments.problems]
            for program in some[:2]:
                sandbox.run(program), plain.run(program)  # whatever starts slowly has started
            ours, theirs, agree = [], [], True
            for start in range(0, len(some), TURN):
                turn = some[start : start + TURN]
                milliseconds, passed = timed(lambda program: sandbox.run(program).passed, turn, arguments.workers)
                # Rust's shared folder holds one build at a time: the original's programs would wait for each other.
                workers = 1 if language.key in ("python", "rust") else arguments.workers
                other, plainly = timed(plain.run, turn, workers)
                ours.append(milliseconds)
                theirs.append(other)
                agree = agree and passed == plainly
            whole, verdicts = timed(lambda program: sandbox.run(program).passed, every, arguments.workers)
            row = {
                "sandbox_ms": statistics.median(ours),
                "plain_ms": statistics.median(theirs),
                "same_verdicts": agree,
                "all_references_seconds": whole * len(every) / 1e3,
                "references_passed": sum(verdicts),
            }
            report[language.key] = row
            print(
                f"{language.name:<11} {row['sandbox_ms']:7.1f} ms a program, plain tools {row['plain_ms']:7.1f} ms "
                f"({row['plain_ms'] / row['sandbox_ms']:.1f}x); same verdicts: {agree}; "
                f"{sum(verdicts)} of {len(every)} references in {row['all_references_seconds']:.1f} s"
            )
    print(json.dumps(report))


if __name__ == "__main__":
    sys.exit(main())
