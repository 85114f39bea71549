"""The language that solutions are written in: expressions, statements, functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from codegeex.exercises.expressions import (
    Bulk,
    Call,
    Collect,
    Expr,
    Extreme,
    Fold,
    Items,
    Keys,
    Lit,
    Name,
    Op,
    Operand,
    Range,
    Reversed,
    Sorted,
    lit,
    op,
)
from codegeex.exercises.types import Type

__all__ = [
    "Append", "Assign", "Augment", "Block", "Break", "Bulk", "Call", "Collect", "Comment", "Continue", "Expr",
    "Extreme", "Fold", "For", "Function", "Group", "If", "Increment", "Items", "Keys", "Let", "Lit", "Name", "Node",
    "Op", "Operand", "Pop", "Range", "Return", "Reversed", "SetItem", "Sorted", "Statement", "While", "Write",
    "children", "lit", "op", "walk",
]  # fmt: skip


class Statement:
    __slots__ = ()


Block = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Let(Statement):
    """Declares a variable."""

    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Assign(Statement):
    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Augment(Statement):
    """`name op= value`, op one of add, sub, mul, div."""

    op: str
    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class If(Statement):
    branches: tuple[tuple[Expr, Block], ...]
    otherwise: Block = ()


@dataclass(frozen=True, slots=True)
class While(Statement):
    condition: Expr
    body: Block


@dataclass(frozen=True, slots=True)
class For(Statement):
    """A loop over a list, a str, a `Range` or `Keys`; `index` counts from 0."""

    var: Name
    source: Expr
    body: Block
    index: Name | None = None


@dataclass(frozen=True, slots=True)
class Return(Statement):
    value: Expr


@dataclass(frozen=True, slots=True)
class Append(Statement):
    """To a list variable."""

    target: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Pop(Statement):
    """Takes the last element of a list variable away."""

    target: Name


@dataclass(frozen=True, slots=True)
class SetItem(Statement):
    """Of a list (at a place that exists), of a row of a list of lists, or of a map."""

    target: Expr
    index: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Increment(Statement):
    """Adds to a map's number, which is 0 where the key is new."""

    target: Name
    key: Expr
    amount: Expr


@dataclass(frozen=True, slots=True)
class Group(Statement):
    """Appends to a map's list, which is empty where the key is new."""

    target: Name
    key: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Write(Statement):
    """Appends a str or a char to a builder."""

    target: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Break(Statement):
    pass


@dataclass(frozen=True, slots=True)
class Continue(Statement):
    pass


@dataclass(frozen=True, slots=True)
class Comment(Statement):
    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function; names in snake_case, which emitters turn into their language's."""

    name: str
    params: tuple[Name, ...]
    result: Type
    body: Block


Node = Expr | Statement | Function


def children(node: Node) -> Iterator[Node]:
    """The nodes right below one."""

    def inside(value: object) -> Iterator[Node]:
        if isinstance(value, (Expr, Statement)):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                yield from inside(part)

    for one in fields(node):  # type: ignore[arg-type]
        yield from inside(getattr(node, one.name))


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, in order."""
    yield node
    for child in children(node):
        yield from walk(child)
