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
        language: that an answer is wanted in.
        params, result: types of the function that answers.
        cases: its arguments and what it has to return.
    """

    words: str
    language: str
    params: tuple[Type, ...]
    result: Type
    cases: tuple[Case, ...]


_TEXTS = ((("hello",), "olleh"), (("a b",), "b a"), (("",), ""))

INTENTS = (
    Intent("write a factorial function", "python", (INT,), INT, (((5,), 120), ((0,), 1), ((7,), 5040))),
    Intent("reverse a string", "go", (STR,), STR, _TEXTS),
    Intent("add up all the numbers in a list", "python", (INTS,), INT, ((([1, 2, 3],), 6), (([-4, 4],), 0))),
    Intent("find the smallest number in an array", "cpp", (INTS,), INT, ((([3, 1, 2],), 1), (([-5, 7],), -5))),
    Intent("count the words in a sentence", "python", (STR,), INT, ((("the quick fox",), 3), (("one",), 1))),
    Intent("check if a number is even", "javascript", (INT,), BOOL, (((4,), True), ((7,), False), ((0,), True))),
    Intent("convert celsius to fahrenheit", "python", (FLOAT,), FLOAT, (((0.0,), 32.0), ((100.0,), 212.0))),
    Intent("compute the average of a list of numbers", "java", (INTS,), FLOAT, ((([1, 2, 3, 4],), 2.5), (([7],), 7.0))),
    Intent("sort a list of numbers in descending order", "python", (INTS,), INTS, ((([3, 1, 2],), [3, 2, 1]),
            (([],), []))),
    Intent("remove duplicates from a list", "javascript", (INTS,), INTS, ((([1, 2, 1, 3, 2],), [1, 2, 3]),
            (([],), []))),
    Intent("sum of the digits of a number", "cpp", (INT,), INT, (((123,), 6), ((9,), 9), ((405,), 9))),
    Intent("keep only the even numbers in a list", "rust", (INTS,), INTS, ((([1, 2, 3, 4],), [2, 4]), (([5],), []))),
    Intent("capitalize the first letter of every word", "python", (STR,), STR,
            ((("hello big world",), "Hello Big World"),)),
    Intent("find the longest word in a sentence", "python", (STR,), STR, ((("the quick brownie",), "brownie"),
            (("a",), "a"))),
    Intent("check if two words are anagrams", "python", (STR, STR), BOOL, ((("listen", "silent"), True),
            (("ab", "ac"), False))),
    Intent("calculate the power of a number", "java", (INT, INT), INT, (((2, 10), 1024), ((5, 0), 1), ((3, 3), 27))),
    Intent("remove all spaces from a string", "javascript", (STR,), STR, ((("a b  c",), "abc"), (("",), ""))),
    Intent("return the squares of a list of numbers", "go", (INTS,), INTS, ((([1, 2, 3],), [1, 4, 9]),
            (([-4],), [16]))),
    Intent("find the larger of two numbers", "rust", (INT, INT), INT, (((3, 8), 8), ((9, -2), 9), ((5, 5), 5))),
    Intent("count how often a character occurs in a string", "python", (STR, STR), INT, ((("banana", "a"), 3),
            (("xyz", "q"), 0))),
)  # fmt: skip
