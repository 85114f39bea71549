"""What a function answers: the reference that all six languages must agree with.

It refuses what languages disagree about (a number beyond 32 bits, a negative operand where signs differ, an index out
of range), so that a family that draws such an input is found out here and not in one of the compilers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from codegeex.errors import CodeGeeXError
from codegeex.exercises import ir
from codegeex.exercises.ir import Block, Expr, Function, Statement

STEPS = 200_000
"""Statements and expressions that one call may take: far more than a test needs, and a second at most."""

DEPTH = 100
"""Nested calls: no language's stack is near its end."""

LIMIT = 2**31


class Refused(CodeGeeXError):
    """The program does what languages do not agree about, or does not end."""


class _Leave(Exception):
    """Unwinds to the loop or the call that a statement leaves."""


class _Break(_Leave):
    pass


class _Continue(_Leave):
    pass


class _Return(_Leave):
    def __init__(self, value: Any):
        self.value = value


def evaluate(function: Function, arguments: Sequence[Any], helpers: Sequence[Function] = ()) -> Any:
    """What the function answers; the arguments stay as they are.

    Raises:
        Refused: see the class.
    """
    return _Run((function, *helpers)).call(function.name, [_copied(argument) for argument in arguments])


def _copied(value: Any) -> Any:
    return (
        [_copied(item) for item in value]
        if isinstance(value, list)
        else dict(value)
        if isinstance(value, dict)
        else value
    )


class _Run:
    """One evaluation, with its budget."""

    def __init__(self, functions: Sequence[Function]):
        self._functions = {function.name: function for function in functions}
        self._left, self._depth = STEPS, 0

    def call(self, name: str, arguments: Sequence[Any]) -> Any:
        function = self._functions[name]
        self._depth += 1
        if self._depth > DEPTH:
            raise Refused(f"{name} calls itself too deeply.")
        scope = {param.name: value for param, value in zip(function.params, arguments, strict=True)}
        try:
            self._block(function.body, scope)
        except _Return as answer:
            return answer.value
        finally:
            self._depth -= 1
        raise Refused(f"{name} ends without an answer.")

    def _block(self, block: Block, scope: dict[str, Any]) -> None:
        for statement in block:
            self._step()
            self._statement(statement, scope)

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Refused("it takes too many steps.")

    def _statement(self, statement: Statement, scope: dict[str, Any]) -> None:
        match statement:
            case ir.Let(name, value) | ir.Assign(name, value):
                made = self._value(value, scope)
                scope[name.name] = _copied(made)
            case ir.Augment(how, name, value):
                scope[name.name] = self._operate(how, [scope[name.name], self._value(value, scope)])
            case ir.If(branches, otherwise):
                for condition, block in branches:
                    if self._value(condition, scope):
                        self._block(block, scope)
                        return
                self._block(otherwise, scope)
            case ir.While(condition, body):
                while self._value(condition, scope):
                    if not self._turn(body, scope):
                        break
            case ir.For(var, source, body, index):
                for number, item in enumerate(self._items(source, scope)):
                    scope[var.name] = item
                    if index:
                        scope[index.name] = number
                    if not self._turn(body, scope):
                        break
            case ir.Return(value):
                raise _Return(self._value(value, scope))
            case ir.Append(target, value):
                scope[target.name].append(_copied(self._value(value, scope)))
            case ir.Pop(target):
                if not scope[target.name]:
                    raise Refused("it takes an element from an empty list.")
                scope[target.name].pop()
            case ir.SetItem(target, index_, value):
                place, key = self._value(target, scope), self._value(index_, scope)
                if isinstance(place, list):
                    _inside(place, key)
                place[key] = _copied(self._value(value, scope))
            case ir.Increment(target, key, amount):
                number, table = self._value(key, scope), scope[target.name]
                table[number] = self._operate("add", [table.get(number, 0), self._value(amount, scope)])
            case ir.Group(target, key, value):
                scope[target.name].setdefault(self._value(key, scope), []).append(_copied(self._value(value, scope)))
            case ir.Write(target, value):
                scope[target.name] += self._value(value, scope)
            case ir.Break():
                raise _Break
            case ir.Continue():
                raise _Continue
            case ir.Comment():
                pass
            case _:
                raise CodeGeeXError(f"the interpreter knows no statement {type(statement).__name__}.")

    def _turn(self, body: Block, scope: dict[str, Any]) -> bool:
        """Run a loop's body once; whether the loop goes on."""
        self._step()
        try:
            self._block(body, scope)
        except _Continue:
            pass
        except _Break:
            return False
        return True

    def _value(self, expr: Expr, scope: dict[str, Any]) -> Any:
        match expr:
            case ir.Lit(literal):
                return literal
            case ir.Name(name):
                return scope[name]
            case ir.Op("and", (first, second)):
                return self._value(first, scope) and self._value(second, scope)
            case ir.Op("or", (first, second)):
                return self._value(first, scope) or self._value(second, scope)
            case ir.Op(name, args):
                self._step()
                return self._operate(name, [self._value(arg, scope) for arg in args])
            case ir.Items(items, type_):
                return {} if type_.name == "map" else [_copied(self._value(item, scope)) for item in items]
            case ir.Call(function, args):
                self._step()
                return self.call(function, [self._value(arg, scope) for arg in args])
        return self._bulk(expr, scope)

    def _bulk(self, expr: Expr, scope: dict[str, Any]) -> Any:
        match expr:
            case ir.Collect(var, source, value, condition):
                return [_copied(item) for item in self._values(var, source, value, condition, scope)]
            case ir.Fold(kind, var, source, value, condition):
                values = list(self._values(var, source, value, condition, scope))
                if kind in ("min", "max") and not values:
                    raise Refused(f"the {kind} of nothing.")
                if kind == "sum":
                    total = 0.0 if value.type.name == "float" else 0
                    for one in values:
                        total = self._operate("add", [total, one])
                    return total
                folds: dict[str, Callable[[list[Any]], Any]] = {
                    "count": len,
                    "any": any,
                    "all": all,
                    "min": min,
                    "max": max,
                }
                return folds[kind](values)
            case ir.Sorted(source, var, keys):
                result = list(self._items(source, scope))
                for key, descends in reversed(keys):  # stable, so that the last sorting is the first key
                    result.sort(key=lambda item: self._value(key, {**scope, var.name: item}), reverse=descends)
                return result
            case ir.Reversed(source):
                return self._value(source, scope)[::-1]
            case ir.Keys(source):
                return sorted(self._value(source, scope))
            case ir.Extreme(kind, first, second):
                both = self._value(first, scope), self._value(second, scope)
                return min(both) if kind == "min" else max(both)
        raise CodeGeeXError(f"the interpreter knows no expression {type(expr).__name__}.")

    def _values(
        self, var: ir.Name, source: Expr, value: Expr, condition: Expr | None, scope: Mapping[str, Any]
    ) -> Iterator[Any]:
        inner = dict(scope)
        for item in self._items(source, dict(scope)):
            self._step()
            inner[var.name] = item
            if condition is None or self._value(condition, inner):
                yield self._value(value, inner)

    def _items(self, source: Expr, scope: dict[str, Any]) -> Sequence[Any]:
        if isinstance(source, ir.Range):
            return range(self._value(source.start, scope), self._value(source.stop, scope), source.step)
        made = self._value(source, scope)
        return made if isinstance(made, str) else list(made)

    def _operate(self, name: str, args: list[Any]) -> Any:
        result = _OPERATIONS[name](*args)
        if type(result) is int and not -LIMIT <= result < LIMIT:
            raise Refused(f"{name} goes beyond 32 bits.")
        if type(result) is float and not math.isfinite(result):
            raise Refused(f"{name} is not finite.")
        return result


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


def _inside(place: Any, index: int) -> None:
    if not 0 <= index < len(place):
        raise Refused(f"place {index} of {len(place)}.")


def _index(place: Any, index: int) -> Any:
    _inside(place, index)
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
    if not text or not separator:
        raise Refused("splitting nothing, or at nothing.")  # one empty part in some languages, none in others
    return text.split(separator)


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


_OPERATIONS: dict[str, Callable[..., Any]] = {
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
    "copy": _copied,
    "filled": lambda a, n: [_copied(a) for _ in range(_repeated(1, n))],
    "format": lambda *parts: "".join(str(part) for part in parts),
    "join": lambda parts, separator: separator.join(parts),
    "split": _separated,
    "words": lambda a: a.split(),
    "upper": lambda a: a.upper(),
    "lower": lambda a: a.lower(),
    "repeat": _repeated,
    "replace": _replaced,
    "trim": lambda a: a.strip(" "),
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
    "is_space": lambda c: c.isspace(),
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
