"""Twenty things that people ask a code assistant for, with calls that tell a right answer from others."""

from __future__ import annotations

from dataclasses import dataclass

from codegeex.exercises.emit.base import Case
from codegeex.exercises.types import BOOL, FLOAT, INT, INTS, STR, Type


@dataclass(frozen=True)
class Intent:
    """One request.

    Attributes:
        words: what is asked.
        params, result: types of the function that answers.
        cases: its arguments and what it has to return.
        language: that an answer is wanted in.
    """

    words: str
    params: tuple[Type, ...]
    result: Type
    cases: tuple[Case, ...]
    language: str = ""


_TEXTS = ((("hello",), "olleh"), (("a b",), "b a"), (("",), ""))

INTENTS = (
    Intent("write a factorial function", (INT,), INT, (((5,), 120), ((0,), 1), ((1,), 1), ((7,), 5040), ((8,), 40320))),
    Intent("reverse a string", (STR,), STR, _TEXTS),
    Intent("add up all the numbers in a list", (INTS,), INT, ((([1, 2, 3],), 6), (([-4, 4],), 0))),
    Intent("find the smallest number in an array", (INTS,), INT, ((([3, 1, 2],), 1), (([-5, 7],), -5))),
    Intent("count the words in a sentence", (STR,), INT, ((("the quick fox",), 3), (("one",), 1))),
    Intent("check if a number is even", (INT,), BOOL, (((4,), True), ((7,), False), ((0,), True))),
    Intent("convert celsius to fahrenheit", (FLOAT,), FLOAT, (((0.0,), 32.0), ((100.0,), 212.0))),
    Intent("compute the average of a list of numbers", (INTS,), FLOAT, ((([1, 2, 3, 4],), 2.5), (([7],), 7.0))),
    Intent("sort a list of numbers in descending order", (INTS,), INTS, ((([3, 1, 2],), [3, 2, 1]),
            (([],), []))),
    Intent("remove duplicates from a list", (INTS,), INTS, ((([1, 2, 1, 3, 2],), [1, 2, 3]),
            (([],), []))),
    Intent("sum of the digits of a number", (INT,), INT, (((123,), 6), ((9,), 9), ((405,), 9))),
    Intent("keep only the even numbers in a list", (INTS,), INTS, ((([1, 2, 3, 4],), [2, 4]), (([5],), []))),
    Intent("capitalize the first letter of every word", (STR,), STR,
            ((("hello big world",), "Hello Big World"),)),
    Intent("find the longest word in a sentence", (STR,), STR, ((("the quick brownie",), "brownie"),
            (("a",), "a"))),
    Intent("check if two words are anagrams", (STR, STR), BOOL, ((("listen", "silent"), True),
            (("ab", "ac"), False))),
    Intent("calculate the power of a number", (INT, INT), INT, (((2, 10), 1024), ((5, 0), 1), ((3, 3), 27))),
    Intent("remove all spaces from a string", (STR,), STR, ((("a b  c",), "abc"), (("",), ""))),
    Intent("return the squares of a list of numbers", (INTS,), INTS, ((([1, 2, 3],), [1, 4, 9]),
            (([-4],), [16]))),
    Intent("find the larger of two numbers", (INT, INT), INT, (((3, 8), 8), ((9, -2), 9), ((5, 5), 5))),
    Intent("count how often a character occurs in a string", (STR, STR), INT, ((("banana", "a"), 3),
            (("xyz", "q"), 0))),
)  # fmt: skip
