"""Short words for writing solutions, so that a family reads like a program."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.ir import Block, Expr, Name, Operand, Statement, lit, op
from codegeex.exercises.types import BOOL, BUILDER, CHAR, FLOAT, INT, Type, list_of, map_of, optional

Body = list[Statement]


def var(name: str, type_: Type = INT) -> Name:
    return Name(name, type_)


def char(value: str) -> Expr:
    return ir.Lit(value, CHAR)


def nothing(element: Type) -> Expr:
    """The empty optional."""
    return ir.Lit(None, optional(element))


def some(value: Operand) -> Expr:
    return op("some", value)


def empty_list(element: Type) -> Expr:
    return ir.Items((), list_of(element))


def items(*values: Operand) -> Expr:
    made = tuple(lit(value) for value in values)
    return ir.Items(made, list_of(made[0].type))


def empty_map(key: Type, value: Type) -> Expr:
    return ir.Items((), map_of(key, value))


def builder() -> Expr:
    return op("builder")


def length(value: Expr) -> Expr:
    return op("len", value)


def empty(value: Expr) -> Expr:
    return op("empty", value)


def text(*parts: Operand) -> Expr:
    """The parts written one after the other."""
    return op("format", *parts)


def divides(value: Expr, by: Operand) -> Expr:
    """Whether `by` divides `value`, of any sign."""
    return op("divides", value, by)


def call(function: str, result: Type, *args: Operand) -> Expr:
    return ir.Call(function, tuple(lit(one) for one in args), result)


def span(start: Operand, stop: Operand, step: int = 1) -> ir.Range:
    return ir.Range(lit(start), lit(stop), step)


def collect(variable: Name, source: Expr, value: Expr, condition: Expr | None = None) -> Expr:
    return ir.Collect(variable, source, value, condition, list_of(value.type))


def fold(kind: str, variable: Name, source: Expr, value: Expr | None = None, condition: Expr | None = None) -> Expr:
    """See `ir.Fold`; the value is the variable itself where there is none."""
    value = variable if value is None else value
    types = {"count": INT, "any": BOOL, "all": BOOL}
    return ir.Fold(kind, variable, source, value, condition, types.get(kind, value.type))


def ordered(source: Expr, variable: Name | None = None, *keys: tuple[Expr, bool]) -> Expr:
    """A sorted copy; ascending by the elements themselves where no keys are given."""
    variable = variable or Name("item", source.type.element)
    return ir.Sorted(source, variable, keys or ((variable, False),), source.type)


def backwards(source: Expr) -> Expr:
    return ir.Reversed(source, source.type)


def keys(source: Expr) -> Expr:
    return ir.Keys(source, list_of(source.type.arguments[0]))


def larger(first: Expr, second: Operand) -> Expr:
    return ir.Extreme("max", first, lit(second), first.type)


def smaller(first: Expr, second: Operand) -> Expr:
    return ir.Extreme("min", first, lit(second), first.type)


def let(name: Name, value: Operand) -> Statement:
    return ir.Let(name, lit(value, CHAR if name.type == CHAR else FLOAT if name.type == FLOAT else None))


def assign(name: Name, value: Operand) -> Statement:
    return ir.Assign(name, lit(value, CHAR if name.type == CHAR else None))


def add(name: Name, value: Operand) -> Statement:
    """Adds to a number, or writes to a builder."""
    if name.type == BUILDER:
        return ir.Write(name, lit(value))
    return ir.Augment("add", name, lit(value))


def change(name: Name, how: str, value: Operand) -> Statement:
    """`name how= value`; how is add, sub, mul or div."""
    return ir.Augment(how, name, lit(value))


def when(condition: Expr, then: Body, otherwise: Body | None = None) -> Statement:
    return ir.If(((condition, tuple(then)),), tuple(otherwise or ()))


def cases(*branches: tuple[Expr, Body], otherwise: Body | None = None) -> Statement:
    return ir.If(tuple((condition, tuple(body)) for condition, body in branches), tuple(otherwise or ()))


def loop(variable: Name, source: Expr, body: Body, index: Name | None = None) -> Statement:
    return ir.For(variable, source, tuple(body), index)


def during(condition: Expr, body: Body) -> Statement:
    return ir.While(condition, tuple(body))


def ret(value: Operand) -> Statement:
    return ir.Return(lit(value))


def push(target: Name, value: Operand) -> Statement:
    return ir.Append(target, lit(value))


def put(target: Expr, index: Operand, value: Operand) -> Statement:
    return ir.SetItem(target, lit(index), lit(value))


def count_up(target: Name, key: Expr, amount: Operand = 1) -> Statement:
    return ir.Increment(target, key, lit(amount))


def note(words: str) -> Statement:
    return ir.Comment(words)


def block(*statements: Statement) -> Block:
    return tuple(statements)
