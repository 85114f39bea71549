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
from codegeex.exercises.operations import LIMIT, OPERATIONS, Refused, copied, inside

STEPS = 200_000
"""Statements and expressions that one call may take: far more than a test needs, and a second at most."""

DEPTH = 100
"""Nested calls: no language's stack is near its end."""


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
    return _Run((function, *helpers)).call(function.name, [copied(argument) for argument in arguments])


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
                scope[name.name] = copied(made)
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
                scope[target.name].append(copied(self._value(value, scope)))
            case ir.Pop(target):
                if not scope[target.name]:
                    raise Refused("it takes an element from an empty list.")
                scope[target.name].pop()
            case ir.SetItem(target, index_, value):
                place, key = self._value(target, scope), self._value(index_, scope)
                if isinstance(place, list):
                    inside(place, key)
                place[key] = copied(self._value(value, scope))
            case ir.Increment(target, key, amount):
                number, table = self._value(key, scope), scope[target.name]
                table[number] = self._operate("add", [table.get(number, 0), self._value(amount, scope)])
            case ir.Group(target, key, value):
                scope[target.name].setdefault(self._value(key, scope), []).append(copied(self._value(value, scope)))
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
                return {} if type_.name == "map" else [copied(self._value(item, scope)) for item in items]
            case ir.Call(function, args):
                self._step()
                return self.call(function, [self._value(arg, scope) for arg in args])
        return self._bulk(expr, scope)

    def _bulk(self, expr: Expr, scope: dict[str, Any]) -> Any:
        match expr:
            case ir.Collect(var, source, value, condition):
                return [copied(item) for item in self._values(var, source, value, condition, scope)]
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
        result = OPERATIONS[name](*args)
        if type(result) is int and not -LIMIT <= result < LIMIT:
            raise Refused(f"{name} goes beyond 32 bits.")
        if type(result) is float and not math.isfinite(result):
            raise Refused(f"{name} is not finite.")
        return result
