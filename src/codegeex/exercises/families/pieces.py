"""Parts that families compose: tests and changes of numbers, chars and words, with their wording; names; inputs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from codegeex.exercises.build import char, divides, length
from codegeex.exercises.ir import Expr, Name, op
from codegeex.exercises.types import CHAR, INTS, STR, Type, Value

Args = list[list[Value]]


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one thing.

    Attributes:
        phrase: with `{}` for the noun in the plural: "even {}", "{} above 5".
        word: for the name of a function.
        build: the test of an expression.
    """

    phrase: str
    word: str
    build: Callable[[Expr], Expr]

    def of(self, noun: str) -> str:
        return self.phrase.format(noun)


@dataclass(frozen=True, slots=True)
class Change:
    """A new value for one thing: `phrase` says what with `{}` for "each number" or "the even numbers"."""

    phrase: str
    word: str
    build: Callable[[Expr], Expr]


def number_test(rng: random.Random) -> Test:
    k, low = rng.randint(3, 9), rng.randint(-5, 20)
    high = low + rng.randint(3, 30)
    return rng.choice(
        (
            Test("even {}", "even", lambda x: divides(x, 2)),
            Test("odd {}", "odd", lambda x: ~divides(x, 2)),
            Test("positive {}", "positive", lambda x: x > 0),
            Test("negative {}", "negative", lambda x: x < 0),
            Test("{} that are not zero", "nonzero", lambda x: x.ne(0)),
            Test(f"{{}} divisible by {k}", f"divisible_by_{k}", lambda x: divides(x, k)),
            Test(f"{{}} not divisible by {k}", f"not_divisible_by_{k}", lambda x: ~divides(x, k)),
            Test(f"{{}} greater than {low}", f"greater_than_{low}" if low >= 0 else "large", lambda x: x > low),
            Test(f"{{}} less than {high}", f"less_than_{high}" if high >= 0 else "small", lambda x: x < high),
            Test(f"{{}} from {low} to {high}", "in_range", lambda x: (x >= low) & (x <= high)),
            Test(f"even {{}} greater than {low}", "large_even", lambda x: divides(x, 2) & (x > low)),
            Test(f"{{}} divisible by {k} or by {k + 2}", "divisible", lambda x: divides(x, k) | divides(x, k + 2)),
        )
    )


def number_change(rng: random.Random) -> Change:
    k, m = rng.randint(2, 9), rng.randint(1, 12)
    return rng.choice(
        (
            Change("the squares of {}", "squares", lambda x: x * x),
            Change("the doubles of {}", "doubles", lambda x: x * 2),
            Change(f"{{}} multiplied by {k}", f"times_{k}", lambda x: x * k),
            Change(f"{{}} increased by {m}", f"plus_{m}", lambda x: x + m),
            Change(f"{{}} decreased by {m}", f"minus_{m}", lambda x: x - m),
            Change("the absolute values of {}", "absolute", lambda x: op("abs", x)),
            Change("{} with their signs changed", "negated", lambda x: -x),
            Change(f"{{}} multiplied by {k} and increased by {m}", "scaled", lambda x: x * k + m),
            Change("the cubes of {}", "cubes", lambda x: x * x * x),
            Change(f"the distances between {m} and {{}}", "distances", lambda x: op("abs", x - m)),
        )
    )


def char_test(rng: random.Random) -> Test:
    letters = "".join(sorted(rng.sample("abcdefghijklmnopqrstuvwxyz", 3)))
    return rng.choice(
        (
            Test("{} that are digits", "digits", lambda c: op("is_digit", c)),
            Test("{} that are letters", "letters", lambda c: op("is_alpha", c)),
            Test("{} that are uppercase letters", "uppercase", lambda c: op("is_upper", c)),
            Test("{} that are lowercase letters", "lowercase", lambda c: op("is_lower", c)),
            Test("{} that are spaces", "spaces", lambda c: c.eq(" ")),
            Test("{} that are not spaces", "non_spaces", lambda c: c.ne(" ")),
            Test("{} that are vowels", "vowels", lambda c: op("char_in", "aeiouAEIOU", c)),
            Test(f"{{}} among '{letters}'", f"{letters}", lambda c: op("char_in", letters, c)),
            Test(f"{{}} that are lowercase letters before '{letters[1]}'", f"before_{letters[1]}",
                 lambda c: op("is_lower", c) & (c < char(letters[1]))),
            Test("{} that are letters or digits", "alphanumeric", lambda c: op("is_alpha", c) | op("is_digit", c)),
        )
    )  # fmt: skip


def word_test(rng: random.Random) -> Test:
    n, letter = rng.randint(2, 6), rng.choice("abcdefghklmnoprstw")
    return rng.choice(
        (
            Test(f"{{}} longer than {n} characters", f"longer_than_{n}", lambda w: length(w) > n),
            Test(f"{{}} of at most {n} characters", "short", lambda w: length(w) <= n),
            Test(f"{{}} of exactly {n} characters", f"of_length_{n}", lambda w: length(w).eq(n)),
            Test(f"{{}} that start with '{letter}'", f"starting_with_{letter}", lambda w: op("starts", w, letter)),
            Test(f"{{}} that end with '{letter}'", f"ending_with_{letter}", lambda w: op("ends", w, letter)),
            Test(f"{{}} that contain '{letter}'", f"containing_{letter}", lambda w: op("has", w, letter)),
            Test("{} of even length", "of_even_length", lambda w: divides(length(w), 2)),
            Test(f"{{}} that do not contain '{letter}'", f"without_{letter}", lambda w: ~op("has", w, letter)),
        )
    )


_NUMBERS = (
    ("numbers", "number"), ("values", "value"), ("nums", "num"), ("data", "item"), ("scores", "score"),
    ("prices", "price"), ("readings", "reading"), ("amounts", "amount"), ("samples", "sample"), ("points", "point"),
)  # fmt: skip
_WORDS = (
    ("words", "word"), ("names", "entry"), ("items", "item"), ("lines", "line"), ("tokens", "token"),
    ("labels", "label"), ("titles", "title"), ("cities", "city"),
)  # fmt: skip
_TEXTS = ("text", "message", "line", "sentence", "s", "phrase", "source")


def many(rng: random.Random, type_: Type) -> tuple[Name, Name]:
    """Names of a list and of an element: [INT] or [STR]."""
    plural, one = rng.choice(_NUMBERS if type_ == INTS else _WORDS)
    return Name(plural, type_), Name(one, type_.element)


def text_name(rng: random.Random) -> Name:
    return Name(rng.choice(_TEXTS), STR)


def letter_name(rng: random.Random) -> Name:
    return Name(rng.choice(("c", "ch", "letter", "symbol")), CHAR)


def ints(rng: random.Random, count: int, low: int = -20, high: int = 50) -> list[Any]:
    return [rng.randint(low, high) for _ in range(count)]


def int_lists(rng: random.Random, *, empty: bool = True, low: int = -20, high: int = 50, longest: int = 9) -> list[Any]:
    """Lists to test with: usual ones first, then edges."""
    made: list[Any] = [ints(rng, rng.randint(4, 6), low, high), ints(rng, rng.randint(3, 5), low, high)]
    made += [ints(rng, rng.randint(2, longest), low, high) for _ in range(3)]
    one = rng.randint(low, high)
    return [*made, [one], [one] * 3, *([[]] if empty else []), sorted(ints(rng, 5, low, high))]


def args(lists: Sequence[Value]) -> Args:
    """One argument each."""
    return [[one] for one in lists]


_VOCABULARY = (
    "apple", "river", "stone", "cloud", "maple", "tiger", "lemon", "ocean", "piano", "rocket", "silver", "window",
    "garden", "candle", "button", "level", "radar", "noon", "kite", "bridge", "forest", "ember", "violet", "pepper",
    "cotton", "saddle", "hammer", "anchor", "barrel", "copper", "dragon", "engine", "falcon", "guitar", "helmet",
    "island", "jacket", "kernel", "ladder", "magnet", "needle", "orange", "pocket", "rabbit", "summer", "tunnel",
    "valley", "walnut", "yellow", "zipper", "a", "an", "it", "of", "to", "we", "civic", "deed", "stats", "refer",
    "eye", "mom", "bee", "tree", "book", "moon",
)  # fmt: skip


def word(rng: random.Random) -> str:
    return rng.choice(_VOCABULARY)


def word_lists(rng: random.Random, *, empty: bool = True) -> list[Any]:
    made: list[Any] = [[word(rng) for _ in range(rng.randint(3, 6))] for _ in range(5)]
    again = word(rng)
    return [*made, [again, word(rng), again], [again], *([[]] if empty else [])]


def sentence(rng: random.Random, least: int = 2, most: int = 6) -> str:
    return " ".join(word(rng) for _ in range(rng.randint(least, most)))


def mixed_text(rng: random.Random) -> str:
    """Letters of both cases, digits, spaces and signs."""
    parts = [word(rng), word(rng).upper(), word(rng).capitalize(), str(rng.randint(0, 999)), rng.choice("!?.,-+")]
    rng.shuffle(parts)
    return rng.choice((" ", "", " ")).join(parts)


def text_inputs(rng: random.Random, *, empty: bool = True) -> list[Value]:
    made: list[Value] = [sentence(rng, 2, 3), mixed_text(rng), mixed_text(rng), sentence(rng), mixed_text(rng)]
    return [*made, word(rng), word(rng).upper(), "a", "1", *([""] if empty else [])]
