"""Expressions in words: somebody who reads them the usual way computes the same."""

from __future__ import annotations

import re
from itertools import product

import pytest

from codegeex.exercises import ir
from codegeex.exercises.build import empty_list, empty_map, fold, ordered
from codegeex.exercises.families import exercise
from codegeex.exercises.interpreter import evaluate
from codegeex.exercises.ir import Name, op
from codegeex.exercises.narration import words
from codegeex.exercises.types import INT, STR, STRS

_READ = (
    (r"the absolute value of (\w+)", r"abs(\1)"), (r"the absolute value of \(", "abs("), ("plus", "+"), ("minus", "-"),
    ("times", "*"),
    (r"(\w+) is not divisible by (\w+)", r"\1 % \2 != 0"), (r"(\w+) is divisible by (\w+)", r"\1 % \2 == 0"),
    ("is greater than", ">"), ("is less than", "<"), ("is at least", ">="), ("is at most", "<="), ("equals", "=="),
    (r"\btrue\b", "True"), (r"\bfalse\b", "False"),
)  # fmt: skip
"""How the words are read, with the precedence that school and Python share."""


def read(said: str) -> str:
    """What is said, as Python."""
    found = re.fullmatch(r"the (larger|smaller) of (.*) and (.*)", said)
    if found:
        name = {"larger": "max", "smaller": "min"}[found[1]]
        return f"{name}({read(found[2])}, {read(found[3])})"
    for pattern, python in _READ:
        said = re.sub(pattern, python, said)
    return said


@pytest.mark.parametrize("family", ["formula", "check"])
def test_words_say_what_the_expression_computes(family):
    grouped = 0
    for seed in range(300):
        function = exercise(family, seed).function
        (statement,) = function.body
        said = words(statement.value)
        grouped += "(" in said
        for values in product((-3, 0, 2, 7), repeat=len(function.params)):
            scope = dict(zip((param.name for param in function.params), values, strict=True))
            assert eval(read(said), {}, scope) == evaluate(function, values), said
    assert grouped > 20


A, B, C = (Name(name, INT) for name in "abc")
CITY, CITIES = Name("city", STR), Name("cities", STRS)


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ((A + B) * C, "(a plus b) times c"),
        (A + B * C, "a plus b times c"),
        (A - (B - C), "a minus (b minus c)"),
        (A - B - C, "a minus b minus c"),
        (op("abs", A - B), "the absolute value of (a minus b)"),
        (op("abs", A) - B, "(the absolute value of a) minus b"),
        (A - op("abs", B), "a minus the absolute value of b"),
        ((A > 1) & ((B > 1) | (C > 1)), "a is greater than 1 and (b is greater than 1 or c is greater than 1)"),
        ((A > 1) & (B > 1) & (C > 1), "a is greater than 1 and b is greater than 1 and c is greater than 1"),
        (~((A > 1) & (B > 1)), "it is not true that (a is greater than 1 and b is greater than 1)"),
        (op("to_float", A) / op("to_float", B), "a divided by b"),
        (ordered(CITIES), "cities sorted"),
        (ordered(CITIES, CITY, (CITY, True)), "cities sorted, largest first"),
        (
            ordered(CITIES, CITY, (op("len", CITY), True), (CITY, False)),
            "cities sorted by the length of city, largest first, and then by city",
        ),
        (
            ordered(CITIES, CITY, (op("len", CITY), False), (CITY, True)),
            "cities sorted by the length of city, and then by city, largest first",
        ),
        (op("filled", op("filled", 0, A), B), "a list of b copies of a list of a copies of 0"),
        (empty_list(INT), "an empty list"),
        (empty_map(STR, INT), "an empty map"),
        (fold("any", CITY, CITIES, op("empty", CITY)), "whether city is empty for some city of cities"),
        (
            fold("all", CITY, CITIES, op("has", CITY, "a"), op("len", CITY) > A),
            'whether city contains "a" for every city of cities where the length of city is greater than a',
        ),
    ],
)
def test_parts_that_belong_together(expr: ir.Expr, said: str):
    assert words(expr) == said
