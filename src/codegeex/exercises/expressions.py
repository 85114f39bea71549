"""The expressions of the exercises' language, and the operations that they are made of.

Expressions have no effects. What some language can only say in several statements (a filtered list, a sum, sorting) is
a `Bulk` expression, which stands alone: as the value of a `Let`, an `Assign` or a `Return`, or as a loop's source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codegeex.errors import CodeGeeXError
from codegeex.exercises.types import BOOL, BUILDER, CHAR, FLOAT, INT, INTS, STR, STRS, Type, Value, list_of, optional


class Expr:
    """An expression; operators make larger ones of it, numbers and texts stand for literals."""

    __slots__ = ()
    type: Type

    def __add__(self, other: Operand) -> Expr:
        return op("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return op("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return op("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return op("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return op("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return op("mul", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        """Of numbers that are not negative, so that all languages agree."""
        return op("div", self, other)

    def __mod__(self, other: Operand) -> Expr:
        """Of numbers that are not negative, so that all languages agree."""
        return op("mod", self, other)

    def __truediv__(self, other: Operand) -> Expr:
        return op("truediv", self, other)

    def __neg__(self) -> Expr:
        return op("neg", self)

    def __lt__(self, other: Operand) -> Expr:
        return op("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return op("le", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return op("gt", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return op("ge", self, other)

    def eq(self, other: Operand) -> Expr:
        return op("eq", self, other)

    def ne(self, other: Operand) -> Expr:
        return op("ne", self, other)

    def __and__(self, other: Expr) -> Expr:
        return op("and", self, other)

    def __or__(self, other: Expr) -> Expr:
        return op("or", self, other)

    def __invert__(self) -> Expr:
        return op("not", self)

    def __getitem__(self, index: Operand) -> Expr:
        return op("index", self, index)


Operand = Expr | int | float | str | bool


@dataclass(frozen=True, slots=True)
class Lit(Expr):
    """A literal; None is the empty optional."""

    literal: Value
    type: Type


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A variable or a parameter; the name in snake_case."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Op(Expr):
    """One of `RESULTS` with its operands."""

    op: str
    args: tuple[Expr, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Items(Expr):
    """A list of these items; a map is only ever written empty."""

    items: tuple[Expr, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A call of a helper, or of the function itself."""

    function: str
    args: tuple[Expr, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Range(Expr):
    """The numbers from `start` to `stop`, which is left out; only a source of loops. `step` may be negative."""

    start: Expr
    stop: Expr
    step: int = 1
    type: Type = INTS


class Bulk(Expr):
    """See the module's head."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Collect(Bulk):
    """The list of `value` for every `var` of `source` (a list, a str or a `Range`) that meets `condition`."""

    var: Name
    source: Expr
    value: Expr
    condition: Expr | None
    type: Type


@dataclass(frozen=True, slots=True)
class Fold(Bulk):
    """One value of many: kind is sum, count, any, all, min or max.

    min and max take no condition and want at least one element; count wants a condition; any and all test `value`.
    """

    kind: str
    var: Name
    source: Expr
    value: Expr
    condition: Expr | None
    type: Type


@dataclass(frozen=True, slots=True)
class Sorted(Bulk):
    """A sorted copy, stable: by each key in turn, (expression of `var`, whether it descends)."""

    source: Expr
    var: Name
    keys: tuple[tuple[Expr, bool], ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Reversed(Bulk):
    """A list or a str from its end to its beginning."""

    source: Expr
    type: Type


@dataclass(frozen=True, slots=True)
class Keys(Bulk):
    """The keys of a map in ascending order."""

    source: Expr
    type: Type


@dataclass(frozen=True, slots=True)
class Extreme(Bulk):
    """The smaller (min) or the larger (max) of two numbers."""

    kind: str
    first: Expr
    second: Expr
    type: Type


def lit(value: Operand, type_: Type | None = None) -> Expr:
    """A literal of a Python value, or the expression itself. Texts are of type str unless `type_` says char."""
    if isinstance(value, Expr):
        return value
    kinds: dict[type, Type] = {bool: BOOL, int: INT, float: FLOAT, str: STR}
    return Lit(value, type_ or kinds[type(value)])


def _same(types: Sequence[Type]) -> Type:
    return types[0]


RESULTS: dict[str, Type | Callable[[Sequence[Type]], Type]] = {
    # Numbers. div and mod refuse negative operands; fdiv and fmod floor, by a positive one; tdiv and tmod truncate.
    "add": _same, "sub": _same, "mul": _same, "neg": _same, "abs": _same,
    "div": INT, "mod": INT, "fdiv": INT, "fmod": INT, "tdiv": INT, "tmod": INT,
    "truediv": FLOAT, "to_float": FLOAT, "sqrt": FLOAT, "floor": INT, "divides": BOOL,
    # Truth. Equality is of numbers, truths, chars and strs.
    "eq": BOOL, "ne": BOOL, "lt": BOOL, "le": BOOL, "gt": BOOL, "ge": BOOL, "and": BOOL, "or": BOOL, "not": BOOL,
    # Lists and strs
    "len": INT, "empty": BOOL, "index": lambda types: types[0].element, "last": lambda types: types[0].element,
    "slice": _same, "from": _same, "contains": BOOL, "copy": _same, "filled": lambda types: list_of(types[0]),
    # Strs
    "format": STR, "join": STR, "split": STRS, "words": STRS, "upper": STR, "lower": STR, "repeat": STR, "replace": STR,
    "to_str": STR, "parse_int": INT, "has": BOOL, "starts": BOOL, "ends": BOOL, "char_in": BOOL,
    "builder": BUILDER, "built": STR,
    # Chars
    "is_digit": BOOL, "is_alpha": BOOL, "is_upper": BOOL, "is_lower": BOOL, "char_upper": CHAR,
    "char_lower": CHAR, "ord": INT, "chr": CHAR, "digit": INT,
    # Maps
    "get": lambda types: types[0].value, "has_key": BOOL, "at": lambda types: types[0].value,
    "some": lambda types: optional(types[0]),
}  # fmt: skip
"""The type of what each operation gives.

slice(x, from, to), from(x, start); contains(list, item); filled(zero, count); format(parts of str, int and char);
has, starts, ends(str, str); char_in(str, char); digit(char) is its number; get(map, key, default); at(map, key that
is there).
"""

_ALIKE = (
    "add",
    "sub",
    "mul",
    "truediv",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "div",
    "mod",
    "fdiv",
    "fmod",
    "tdiv",
    "tmod",
)


def op(name: str, *operands: Operand) -> Expr:
    """An operation.

    Raises:
        CodeGeeXError: no such operation, operands of two types where one is wanted, or a `Bulk` operand.
    """
    if name not in RESULTS:
        raise CodeGeeXError(f"no operation {name!r} in the exercises' language.")
    typed = next((one.type for one in operands if isinstance(one, Expr)), None)
    as_char = name in _ALIKE and typed == CHAR
    args = tuple(lit(one, CHAR if as_char and isinstance(one, str) else None) for one in operands)
    types = [arg.type for arg in args]
    if name in _ALIKE and types[0] != types[1]:
        raise CodeGeeXError(f"{name} of {types[0]} and {types[1]}: the operands must be of one type.")
    if any(isinstance(arg, (Bulk, Range)) for arg in args):
        raise CodeGeeXError(f"{name} has an operand that must stand alone; give it a name first.")
    result = RESULTS[name]
    return Op(name, args, result if isinstance(result, Type) else result(types))
