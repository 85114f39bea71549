"""What a language cannot say in one expression, in several statements that every language has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from codegeex.errors import CodeGeeXError
from codegeex.exercises import ir
from codegeex.exercises.ir import Block, Bulk, Expr, Function, Name, Statement, op
from codegeex.exercises.types import BOOL, BUILDER, INT

_NAMES = {"sum": "total", "count": "count", "any": "found", "all": "valid", "min": "best", "max": "best"}


_N = TypeVar("_N", Expr, Statement)

_HELD = {
    "split": "parts", "words": "words", "upper": "uppercase", "lower": "lowercase", "join": "joined",
    "filled": "filled", "replace": "replaced", "repeat": "repeated", "contains": "found",
    "has_key": "known", "parse_int": "number", "get": "value",
}  # fmt: skip
"""Names of what is computed beforehand."""


def lowered(function: Function, says: Callable[[Bulk, Statement], bool], declares: Callable[[ir.Op], bool]) -> Function:
    """The same function, in terms that a language has.

    Args:
        function: any.
        says: whether the language can say this `Bulk` expression in this statement; it is replaced if not.
        declares: whether an operation can only be said where a variable is declared.
    """
    names = {node.name for node in ir.walk(function) if isinstance(node, Name)}
    return replace(function, body=_Lowering(says, declares, names, function.params).block(function.body))


class _Lowering:
    def __init__(
        self,
        says: Callable[[Bulk, Statement], bool],
        declares: Callable[[ir.Op], bool],
        names: set[str],
        params: Sequence[Name],
    ):
        self._params = params
        self._says, self._declares, self._names = says, declares, names

    def block(self, block: Block) -> Block:
        simple = (made for statement in block for made in self._statement(statement))
        return tuple(made for statement in simple for made in self._declaring(statement))

    def _declaring(self, statement: Statement) -> Sequence[Statement]:
        """The statement behind declarations of what it must not compute itself."""
        before: list[Statement] = []

        def held(part: Any, outermost: bool = False) -> Any:
            if isinstance(part, Expr):
                if isinstance(part, ir.Op) and part.op == "filled" and not part.args[0].type.scalar and outermost:
                    return part  # its rows must not be one and the same
                inside = {one.name: held(getattr(part, one.name)) for one in fields(part)}  # type: ignore[arg-type]
                part = replace(part, **inside)  # type: ignore[type-var]
                if not (isinstance(part, ir.Op) and self._declares(part)) or outermost:
                    return part
                name = Name(self._free(_HELD[part.op]), part.type)
                before.append(ir.Let(name, part))
                return name
            return tuple(held(one) for one in part) if isinstance(part, tuple) else part

        match statement:
            case ir.While(condition):
                self._refuse(condition)  # it is computed again and again
                return [statement]
            case ir.If(((ir.Op("has_key") | ir.Op("not", (ir.Op("has_key"),)), _), *_)):
                return [statement]  # a condition that every language can say
            case ir.If(((condition, body), *more), otherwise):
                for later, _ in more:
                    self._refuse(later)
                changed: Statement = ir.If(((held(condition), body), *more), otherwise)
            case ir.For(_, source):
                parts = isinstance(source, ir.Op) and source.op in ("split", "words")  # every language loops over them
                changed = replace(statement, source=held(source, outermost=parts))
            case ir.Let(name, value):
                changed = ir.Let(name, held(value, outermost=True))
            case _:
                names = [one.name for one in fields(statement)]  # type: ignore[arg-type]
                changed = replace(statement, **{name: held(getattr(statement, name)) for name in names})  # type: ignore[type-var]
        return [*before, changed]

    def _refuse(self, condition: Expr) -> None:
        for node in ir.walk(condition):
            if isinstance(node, ir.Op) and self._declares(node):
                raise CodeGeeXError(f"{node.op} must be declared before the condition; give it a name.")

    def _statement(self, statement: Statement) -> Sequence[Statement]:
        match statement:
            case ir.If(branches, otherwise):
                inside = tuple((condition, self.block(body)) for condition, body in branches)
                return [ir.If(inside, self.block(otherwise))]
            case ir.While(condition, body):
                return [ir.While(condition, self.block(body))]
            case ir.For(var, source, body, index):
                inner = ir.For(var, source, self.block(body), index)
                if isinstance(source, Bulk) and not self._says(source, inner):
                    held = Name(self._free("keys" if isinstance(source, ir.Keys) else "items"), source.type)
                    return [*self._statement(ir.Let(held, source)), ir.For(var, held, inner.body, index)]
                return [inner]
            case ir.Let(name, value) if isinstance(value, Bulk) and not self._says(value, statement):
                return self._deep(self._let(name, value))
            case ir.Assign(name, value) if isinstance(value, Bulk) and not self._says(value, statement):
                return self._deep(self._assign(name, value))
            case ir.Return(value) if isinstance(value, Bulk) and not self._says(value, statement):
                return self._deep(self._return(value))
        return [statement]

    def _deep(self, made: Sequence[Statement]) -> Sequence[Statement]:
        """The blocks of statements that were just made are looked into as well."""
        return [part for one in made for part in (self._statement(one) if isinstance(one, ir.For | ir.If) else [one])]

    def _let(self, name: Name, value: Bulk) -> Sequence[Statement]:
        match value:
            case ir.Collect(var, source, item, condition):
                step = _guarded(condition, ir.Append(name, item))
                return [ir.Let(name, ir.Items((), value.type)), ir.For(var, source, step)]
            case ir.Fold("sum", var, source, item, condition):
                zero = ir.Lit(0 if item.type == INT else 0.0, item.type)
                return [ir.Let(name, zero), ir.For(var, source, _guarded(condition, ir.Augment("add", name, item)))]
            case ir.Fold("count", var, source, _, condition):
                counted = ir.Augment("add", name, ir.lit(1))
                return [ir.Let(name, ir.lit(0)), ir.For(var, source, _guarded(condition, counted))]
            case ir.Fold("any" | "all" as kind, var, source, item, condition):
                ended = (ir.Assign(name, ir.lit(kind == "any")), ir.Break())
                test = item if kind == "any" else negated(item)
                if condition is not None:
                    test = condition & test
                return [ir.Let(name, ir.lit(kind == "all")), ir.For(var, source, (ir.If(((test, ended),)),))]
            case ir.Fold("min" | "max" as kind, var, source, item, _):
                first = substituted(item, var, op("index", source, 0))
                better = self._assign(name, ir.Extreme(kind, name, item, item.type))
                return [ir.Let(name, first), ir.For(var, source, tuple(better))]
            case ir.Reversed(source):
                place = Name(self._free("i"), INT)
                backwards = ir.Range(op("sub", op("len", source), 1), ir.lit(-1), -1)
                item = op("index", source, place)
                if value.type.name == "list":
                    return [ir.Let(name, ir.Items((), value.type)), ir.For(place, backwards, (ir.Append(name, item),))]
                held = Name(self._free("backwards"), BUILDER)
                writing = ir.For(place, backwards, (ir.Write(held, item),))
                return [ir.Let(held, op("builder")), writing, ir.Let(name, op("built", held))]
            case ir.Extreme(_, first, _):
                return [ir.Let(name, first), *self._assign(name, replace(value, first=name))]
        return [ir.Let(name, value)]  # sorting and keys: statements of the language itself

    def _assign(self, name: Name, value: Bulk) -> Sequence[Statement]:
        if isinstance(value, ir.Extreme) and name in (value.first, value.second):
            other = value.second if value.first == name else value.first
            test = op("lt" if value.kind == "min" else "gt", other, name)
            return [ir.If(((test, (ir.Assign(name, other),)),))]
        held = Name(self._free("updated"), value.type)
        return [*self._let(held, value), ir.Assign(name, held)]

    def _return(self, value: Bulk) -> Sequence[Statement]:
        match value:
            case ir.Sorted(ir.Name() as source) if source not in self._params:
                return [ir.Assign(source, value), ir.Return(source)]
            case ir.Fold("any" | "all" as kind, var, source, item, condition):
                test = item if kind == "any" else negated(item)
                if condition is not None:
                    test = condition & test
                early = ir.If(((test, (ir.Return(ir.lit(kind == "any")),)),))
                return [ir.For(var, source, (early,)), ir.Return(ir.lit(kind == "all"))]
            case ir.Extreme(kind, first, second):
                test = op("lt" if kind == "min" else "gt", first, second)
                return [ir.If(((test, (ir.Return(first),)),)), ir.Return(second)]
        held = Name(self._free(_NAMES[value.kind] if isinstance(value, ir.Fold) else "result"), value.type)
        return [*self._statement(ir.Let(held, value)), ir.Return(held)]

    def _free(self, wanted: str) -> str:
        """A name that nothing in the function has."""
        name, number = wanted, 2
        while name in self._names:
            name, number = f"{wanted}_{number}", number + 1
        self._names.add(name)
        return name


def _guarded(condition: Expr | None, statement: Statement) -> Block:
    return (statement,) if condition is None else (ir.If(((condition, (statement,)),)),)


_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}


def negated(test: Expr) -> Expr:
    """The opposite, without a `not` where a comparison has one."""
    match test:
        case ir.Op("not", (inner,)):
            return inner
        case ir.Op(name, args) if name in _OPPOSITE:
            return ir.Op(_OPPOSITE[name], args, BOOL)
        case ir.Lit(bool() as truth):
            return ir.lit(not truth)
    return ~test


def substituted(node: _N, var: Name, value: Expr) -> _N:
    """An expression or a statement with `value` wherever it says `var`."""

    def changed(part: Any) -> Any:
        if part == var:
            return value
        if isinstance(part, Expr | Statement):
            return replace(part, **{one.name: changed(getattr(part, one.name)) for one in fields(part)})  # type: ignore[type-var,arg-type]
        return tuple(changed(one) for one in part) if isinstance(part, tuple) else part

    return changed(node)  # type: ignore[no-any-return]
