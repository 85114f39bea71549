"""Every fast path gives the verdict of the plain tools: on references, on mutants, on programs that break."""

from __future__ import annotations

import importlib.util
import random
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from codegeex.evaluation import humanevalx
from codegeex.evaluation.doctor import mutants
from codegeex.evaluation.programs import assemble
from codegeex.evaluation.repairs import Repairs
from codegeex.sandbox import Limits, RunnerName, Sandbox, toolchains

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The original's commands, as the benchmark has them."""
    spec = importlib.util.spec_from_file_location("execution", ROOT / "benchmarks/execution.py")
    execution = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(execution)
    return execution.Plain(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("language", [name for name in get_args(RunnerName) if name != "python"])
def test_the_same_verdicts(language, plain, published):
    """Python is left out: the plain way forks this very process, whose threads it does not bear."""
    if why := toolchains.missing(language):
        pytest.skip(why)
    problems = [one for one in humanevalx.load(published, language) if one.task_id not in ("Go/95", "Rust/32")]
    off = Repairs.of(False)
    codes = []
    for problem in random.Random(language + "plain").sample(problems, 2):
        codes += [(problem, problem.solution), *((problem, mutant) for mutant in mutants(problem))]
        codes += [(problem, problem.solution[:-4]), (problem, "}\n"), (problem, "")]
    with Sandbox(limits=Limits(seconds=3.0)) as sandbox:
        for problem, code in codes:
            program = assemble(problem, code, off)
            ours = sandbox.run(program)
            if ours.verdict == "timeout":
                continue  # the plain tools would wait for ever
            try:
                theirs = plain.run(program)
            except subprocess.TimeoutExpired:
                theirs = False
            assert ours.passed == theirs, (problem.task_id, code, ours)
