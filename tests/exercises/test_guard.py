"""What keeps a benchmark out: names, ten words, whole solutions; and how near the rest comes."""

from __future__ import annotations

import random

import pytest

from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.families import exercise
from codegeex.exercises.guard import Guard, canonical

LENGTH = "def strlen(string: str) -> int:\n    '''Return length of given string\n    >>> strlen('')\n    0\n    '''\n"


class Ten:
    """A benchmark of one phrase."""

    def __init__(self, phrase: str = "\0"):
        self.phrase = phrase

    def overlap(self, text: str) -> str | None:
        return "99" if self.phrase in text else None


def python_of(one):
    unit = EMITTERS["python"](one.function, one.helpers).unit(one.doc, one.examples)
    return unit.declaration, unit.body


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(a):\n    return a + 1", "def g(b: int) -> int:\n    'Adds one.'\n    return b + 1", True),
        ("def f(a):\n    return a + 1", "def f(a):\n    return a + 2", False),
        ("def f(a, b):\n    return a - b", "def f(x, y):\n    return y - x", False),
        ("def f(a):\n    n: int = 0\n    return n", "def f(b):\n    k = 0\n    return k", True),
        ("def f(a):\n    return [x for x in a if x]", "def f(v):\n    return [e for e in v if e]", True),
        ("def f(a):\n    return f(a - 1)", "def g(a):\n    return g(a - 1)", True),
        ("def f(a):\n    return len(a)", "def f(a):\n    return sum(a)", False),
        ("import math\ndef h(x):\n    return x\n\ndef f(a):\n    return a", "def f(b):\n    return b", True),
    ],
)
def test_canonical(one, other, same):
    assert (canonical(one) == canonical(other)) is same


@pytest.mark.parametrize("text", ["", "x = 1", "func f(x int) int {", "def f(x):\n    'Only words.'", "def f(", "\0"])
def test_what_is_no_solution(text):
    assert canonical(text) == ""


@pytest.mark.parametrize("family", ["filter_numbers", "everyday_texts", "unseen_words", "decision"])
def test_a_solution_of_the_benchmark_is_refused_under_any_names(family):
    one = exercise(family, 7)
    declaration, body = python_of(one)
    code = canonical(declaration + body)  # has neither names nor annotations: as far from the exercise as can be
    assert one.function.name not in code
    heading, solution = code.split("\n", 1)
    guard = Guard(Ten(), [("12", [heading + "\n", solution])])
    assert guard.judge(one).reason == "solution of problem 12"
    unlike = guard.judge(exercise("leap_days", 3))
    assert (unlike.reason, unlike.share < 0.5) == ("", True)


def test_names_and_words_are_refused_too():
    one = exercise("filter_numbers", random.Random(4).getrandbits(48))
    name = one.function.name
    assert Guard(Ten(), [("3", [f"def {name.replace('_', '')}(x):\n"])]).judge(one).reason == "name of problem 3"
    assert Guard(Ten(one.intents[2]), []).judge(one).reason == "ten words of problem 99"
    _, body = python_of(one)
    assert Guard(Ten(body.strip()), []).judge(one).reason == "ten words of problem 99"


def test_the_nearest_is_named_by_what_is_alike():
    one = exercise("filter_numbers", 5)
    wording = Guard(Ten(), [("1", [LENGTH, "    return len(string)\n"]), ("2", [" ".join(one.doc)])]).judge(one)
    assert (wording.problem, wording.of, wording.share) == ("2", "wording", 1.0)
    declaration, body = python_of(one)
    declaration = declaration.replace(one.function.name, "other")
    longer = body.replace("return", "return sum(x for x in range(9)) and")
    solution = Guard(Ten(), [("1", [LENGTH, "    return len(string)\n"]), ("2", [declaration, longer])]).judge(one)
    assert (solution.problem, solution.of, solution.reason) == ("2", "solution", "")
    assert 0 < solution.share < 1
    assert Guard(Ten(), []).judge(one).share == 0
