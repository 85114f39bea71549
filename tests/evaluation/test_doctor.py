"""References pass, mutants do not; the published problems where they are at hand."""

from __future__ import annotations

import random
from typing import get_args

import pytest

from codegeex.evaluation import humanevalx
from codegeex.evaluation.doctor import check_mutants, check_references, mutants
from codegeex.evaluation.repairs import Repairs
from codegeex.sandbox import Limits, RunnerName, Sandbox, toolchains


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(limits=Limits(seconds=2.0)) as sandbox:
        yield sandbox


def test_our_own_problems(data, sandbox):
    problems = humanevalx.load(data, "python")
    checkup = check_references(sandbox, problems, Repairs.of(True))
    assert checkup.to_dict() == {"passed": 2, "total": 2, "failed": [], "unexpected": []}
    assert check_mutants(sandbox, problems, Repairs.of(True)) == (4, [])
    assert "    return x - x\n" in mutants(problems[0])
    assert "    return x % 2 != 0\n" in mutants(problems[1])


@pytest.mark.parametrize("language", get_args(RunnerName))
def test_published_references_and_mutants(language, published, sandbox):
    """A part of them that changes nothing between runs; `codegeex eval doctor --mutants` runs all."""
    if why := toolchains.missing(language):
        pytest.skip(why)
    problems = humanevalx.load(published, language)
    assert len(problems) == humanevalx.PROBLEMS
    some = random.Random(language).sample([one for one in problems if one.task_id != "Go/95"], 24)
    checkup = check_references(sandbox, some, Repairs.of(True))
    assert checkup.unexpected == []
    number, survivors = check_mutants(sandbox, some, Repairs.of(True))
    assert number >= 40
    assert len(survivors) <= 2
