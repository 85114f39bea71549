"""Random expressions: what the interpreter answers is what six real toolchains answer."""

from __future__ import annotations

import random

import pytest

from codegeex.exercises.build import block, divides, ret, var, when
from codegeex.exercises.check import check
from codegeex.exercises.exercise import Draft, finished
from codegeex.exercises.interpreter import evaluate
from codegeex.exercises.ir import Expr, Function, op
from codegeex.exercises.make import rows
from codegeex.exercises.operations import Refused
from codegeex.exercises.types import BOOL, INT

WHICH, X, Y = var("which"), var("a"), var("b")
INPUTS = [(7, 3), (-7, 3), (3, -8), (0, 5), (12, 0), (-1, -1), (40, 9)]
EXPRESSIONS = 60
"""In one program: compiling takes longer than they do."""


def number(rng: random.Random, depth: int) -> Expr:
    if depth == 0 or rng.random() < 0.15:
        return rng.choice((X, Y, op("add", X, rng.randint(-9, 9)), op("sub", Y, rng.randint(1, 9))))
    name = rng.choice(("add", "sub", "mul", "tdiv", "tmod", "fdiv", "fmod", "div", "mod", "neg", "abs"))
    first = number(rng, depth - 1)
    if name in ("neg", "abs"):
        return op(name, first)
    if name in ("fdiv", "fmod"):
        return op(name, first, rng.randint(1, 9))
    return op(name, first, number(rng, depth - 1))


def truth(rng: random.Random, depth: int) -> Expr:
    if depth == 0:
        if rng.random() < 0.3:
            return divides(number(rng, 1), rng.randint(2, 5))
        return op(rng.choice(("eq", "ne", "lt", "le", "gt", "ge")), number(rng, 1), number(rng, 1))
    kind = rng.choice(("and", "or", "not"))
    first = truth(rng, depth - 1)
    return ~first if kind == "not" else op(kind, first, truth(rng, depth - 1))


def answered(value: Expr, x: int, y: int) -> object:
    try:
        return evaluate(Function("f", (X, Y), value.type, block(ret(value))), [x, y])
    except Refused:
        return None


@pytest.mark.parametrize(("kind", "make"), [(INT, number), (BOOL, truth)])
@pytest.mark.timeout(240)
def test_random_expressions(sandbox, kind, make):
    rng = random.Random(8)
    chosen: list[Expr] = []
    inputs = []
    while len(chosen) < EXPRESSIONS:
        value = make(rng, 3)
        fitting = [(x, y) for x, y in INPUTS if answered(value, x, y) is not None]
        if len(fitting) < 3:
            continue
        inputs += [[len(chosen), x, y] for x, y in fitting]
        chosen.append(value)
    branches = [when(WHICH.eq(place), [ret(value)]) for place, value in enumerate(chosen[:-1])]
    function = Function("choose", (WHICH, X, Y), kind, block(*branches, ret(chosen[-1])))
    one = finished(Draft(function, "compute what is asked for", inputs), "random", 1, False, rng)
    checked = check(list(rows(one)), sandbox)
    assert len(checked.languages) == 6
    assert not checked.failures, checked.report()["failures"]
