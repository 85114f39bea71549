"""What each operation computes, in Python, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from codegeex.errors import CodeGeeXError

LIMIT = 2**31
"""Integers are below it, and not below its negative."""


class Refused(CodeGeeXError):
    """The program does what languages do not agree about, or does not end."""


def copied(value: Any) -> Any:
    return (
        [copied(item) for item in value]
        if isinstance(value, list)
        else dict(value)
        if isinstance(value, dict)
        else value
    )


def _natural(name: str, compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def checked(first: int, second: int) -> int:
        if first < 0 or second <= 0:
            raise Refused(f"{name} of {first} and {second}.")
        return compute(first, second)

    return checked


def _positive(name: str, compute: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def checked(first: int, second: int) -> int:
        if second <= 0:
            raise Refused(f"{name} by {second}.")
        return compute(first, second)

    return checked


def _truncated(first: int, second: int) -> int:
    if second == 0:
        raise Refused("division by zero.")
    quotient = abs(first) // abs(second)
    return quotient if (first < 0) == (second < 0) else -quotient


def _divided(first: float, second: float) -> float:
    if second == 0:
        raise Refused("division by zero.")
    return first / second


def inside(place: Any, index: int) -> None:
    if not 0 <= index < len(place):
        raise Refused(f"place {index} of {len(place)}.")


def _index(place: Any, index: int) -> Any:
    inside(place, index)
    return place[index]


def _last(place: Any) -> Any:
    return _index(place, len(place) - 1)


def _slice(place: Any, start: int, stop: int | None = None) -> Any:
    stop = len(place) if stop is None else stop
    if not 0 <= start <= stop <= len(place):
        raise Refused(f"the slice from {start} to {stop} of {len(place)}.")
    return place[start:stop]


def _at(table: Mapping[Any, Any], key: Any) -> Any:
    if key not in table:
        raise Refused(f"no key {key!r}.")
    return table[key]


def _root(value: float) -> float:
    if value < 0:
        raise Refused("the root of a negative number.")
    return math.sqrt(value)


def _number(text: str) -> int:
    if not text.removeprefix("-").isdigit() or not text.isascii():
        raise Refused(f"{text!r} is no number.")
    return int(text)


def _separated(text: str, separator: str) -> list[str]:
    # languages do not agree about empty parts, C++ not about one at the end, and it splits at one char
    if not text or len(separator) != 1 or text.endswith(separator):
        raise Refused(f"splitting {text!r} at {separator!r}.")
    return text.split(separator)


def _words(text: str) -> list[str]:
    if not text.strip():
        raise Refused("the words of nothing.")  # one empty word in Java
    return text.split()


def _replaced(text: str, old: str, new: str) -> str:
    if not old:
        raise Refused("replacing nothing.")
    return text.replace(old, new)


def _repeated(value: Any, count: int) -> Any:
    if count < 0:
        raise Refused("a negative number of times.")
    return value * count


def _digit(char: str) -> int:
    if not "0" <= char <= "9":
        raise Refused(f"{char!r} is no digit.")
    return ord(char) - ord("0")


def _char(code: int) -> str:
    if not 32 <= code < 127:
        raise Refused(f"{code} is no printable char.")
    return chr(code)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "abs": abs,
    "div": _natural("div", lambda a, b: a // b),
    "mod": _natural("mod", lambda a, b: a % b),
    "fdiv": _positive("fdiv", lambda a, b: a // b),
    "fmod": _positive("fmod", lambda a, b: a % b),
    "tdiv": _truncated,
    "tmod": lambda a, b: a - b * _truncated(a, b),
    "truediv": _divided,
    "to_float": float,
    "sqrt": _root,
    "floor": math.floor,
    "divides": lambda a, b: a % b == 0,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "not": lambda a: not a,
    "len": len,
    "empty": lambda a: len(a) == 0,
    "index": _index,
    "last": _last,
    "slice": _slice,
    "from": _slice,
    "contains": lambda a, b: b in a,
    "copy": copied,
    "filled": lambda a, n: [copied(a) for _ in range(_repeated(1, n))],
    "format": lambda *parts: "".join(str(part) for part in parts),
    "join": lambda parts, separator: separator.join(parts),
    "split": _separated,
    "words": _words,
    "upper": lambda a: a.upper(),
    "lower": lambda a: a.lower(),
    "repeat": _repeated,
    "replace": _replaced,
    "to_str": str,
    "parse_int": _number,
    "has": lambda a, b: b in a,
    "char_in": lambda a, b: b in a,
    "starts": lambda a, b: a.startswith(b),
    "ends": lambda a, b: a.endswith(b),
    "builder": lambda: "",
    "built": lambda a: a,
    "is_digit": lambda c: c.isdigit(),
    "is_alpha": lambda c: c.isalpha(),
    "is_upper": lambda c: c.isupper(),
    "is_lower": lambda c: c.islower(),
    "char_upper": lambda c: c.upper(),
    "char_lower": lambda c: c.lower(),
    "ord": ord,
    "chr": _char,
    "digit": _digit,
    "get": lambda table, key, default: table.get(key, default),
    "has_key": lambda table, key: key in table,
    "at": _at,
    "some": lambda a: a,
}
