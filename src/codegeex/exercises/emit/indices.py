"""Which numbers of a Rust program can be `usize`: loop variables that are used as places in lists and nothing else."""

from __future__ import annotations

from typing import Protocol

from codegeex.exercises import ir
from codegeex.exercises.emit.base import POSTFIX
from codegeex.exercises.ir import Expr, Node


class Writer(Protocol):
    """What writes the parts of an index."""

    def text(self, expr: Expr, place: int = 0) -> str: ...

    def name(self, name: str) -> str: ...


def text(
    writer: Writer, expr: Expr, sizes: frozenset[str], *, saturating: bool = False, compared: bool = False
) -> str | None:
    """The expression as a `usize`, or None where it is none.

    Args:
        sizes: names of variables that are `usize`.
        saturating: whether a subtraction may be from less than it takes.
        compared: whether no subtraction will do.
    """
    match expr:
        case ir.Lit(int() as number) if number >= 0:
            return str(number)
        case ir.Name(name) if name in sizes:
            return writer.name(name)
        case ir.Op("len", (place,)) if place.type.name in ("list", "str"):
            return f"{writer.text(place, POSTFIX)}.len()"
        case ir.Op("add", (first, second)):
            parts = [text(writer, part, sizes, compared=True) for part in (first, second)]
            return f"{parts[0]} + {parts[1]}" if None not in parts else None
        case ir.Op("sub", (first, second)) if not compared:
            left, right = text(writer, first, sizes, compared=True), text(writer, second, sizes, compared=True)
            if left is None or right is None:
                return None
            if saturating:
                return f"{left}.saturating_sub({right})" if " " not in left else None
            return f"{left} - {right}" if " " not in right else None
    return None


class _Plain:
    """Writes nothing of use: what matters is whether an index can be written."""

    def text(self, expr: Expr, place: int = 0) -> str:
        return "x"

    def name(self, name: str) -> str:
        return name


def only(loop: ir.For, sizes: frozenset[str]) -> bool:
    """Whether a loop over numbers can count in `usize`."""
    source = loop.source
    if not isinstance(source, ir.Range):
        return False
    known = sizes | {loop.var.name}
    ends = [source.start, source.stop]
    if source.step < 0:
        ends = [source.start] if source.stop == ir.lit(-1) else ends
        match source.start:
            case ir.Op("sub", (_, ir.Lit(1))):
                pass
            case _:
                return False  # an inclusive range from nothing would not be empty
    if any(text(_Plain(), end, sizes, saturating=True) is None for end in ends):
        return False
    if not any(isinstance(node, ir.Op) and node.op == "index" for one in loop.body for node in ir.walk(one)):
        return False

    def fine(node: Node) -> bool:
        """Whether the variable occurs in it only where a `usize` can stand."""

        def sized(expr: Expr, compared: bool = False) -> bool:
            return text(_Plain(), expr, known, compared=compared) is not None or fine(expr)

        match node:
            case ir.Name(name):
                return name != loop.var.name
            case ir.Op("index", (place, index)):
                return fine(place) and sized(index)
            case ir.Op("eq" | "ne" | "lt" | "le" | "gt" | "ge", (first, second)):
                both = text(_Plain(), first, known, compared=True), text(_Plain(), second, known, compared=True)
                return None not in both or (fine(first) and fine(second))
            case ir.SetItem(target, index, value) if target.type.name == "list":
                return fine(target) and sized(index) and fine(value)
            case ir.For(_, ir.Range(), body) if only(node, known):
                return all(fine(statement) for statement in body)
        return all(fine(child) for child in ir.children(node))

    return all(fine(statement) for statement in loop.body)
