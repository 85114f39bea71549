"""What C++, Java, JavaScript, Go and Rust share: blocks in braces, and statements that look alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from codegeex.exercises import ir
from codegeex.exercises.emit.base import POSTFIX, Emitter
from codegeex.exercises.ir import Block
from codegeex.exercises.lowering import substituted

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


class Braces(Emitter):
    """An emitter of a language with braces."""

    end: ClassVar[str] = ";"
    """What a statement ends with."""

    parentheses: ClassVar[bool] = True
    """Whether conditions stand in them."""

    loop_word: ClassVar[str] = "while"
    closing: ClassVar[str] = "}"
    """Of a function."""

    def end_function(self) -> None:
        self._line(self.closing)

    def documented(self, head: str, doc: Sequence[str]) -> str:
        before = self.indent * self.unit_indent
        return "\n".join([*(f"{before}{line}".rstrip() for line in doc), head])

    def docstring(self, lines: Sequence[str]) -> list[str]:
        return ["/**", *(f" * {line}".rstrip() for line in lines), " */"]

    def condition(self, text: str) -> str:
        return f"({text})" if self.parentheses else text

    def inside(self, heading: str, body: Block, *, close: bool = True) -> None:
        """A block with its heading; without the closing brace where another heading follows it."""
        self._line(f"{heading} {{" if heading else "{")
        self.depth += 1
        self.block(body)
        self.depth -= 1
        if close:
            self._line("}")

    def say(self, text: str) -> None:
        """A simple statement."""
        self._line(f"{text}{self.end}")

    def do_if(self, statement: ir.If) -> None:
        before = ""
        for number, (condition, body) in enumerate(statement.branches):
            word = "} else if" if number else "if"
            self.inside(f"{word} {self.condition(self.text(condition))}", body, close=False)
            before = "} else"
        if statement.otherwise:
            self.inside(before, statement.otherwise, close=False)
        self._line("}")

    def do_while(self, statement: ir.While) -> None:
        self.inside(f"{self.loop_word} {self.condition(self.text(statement.condition))}", statement.body)

    def do_assign(self, statement: ir.Assign) -> None:
        if isinstance(statement.value, ir.Sorted) and sorts_itself(statement.value, statement):
            self.sort(statement.name, statement.value)
            return
        self.say(f"{self.name(statement.name.name)} = {self.text(statement.value)}")

    def do_augment(self, statement: ir.Augment) -> None:
        name = self.name(statement.name.name)
        if statement.value == ir.lit(1) and statement.op in ("add", "sub"):
            self.say(self.step(name, SIGNS[statement.op]))
            return
        self.say(f"{name} {SIGNS[statement.op]}= {self.text(statement.value)}")

    def step(self, name: str, sign: str) -> str:
        """One more or one less."""
        return f"{name}{sign}{sign}"

    def do_return(self, statement: ir.Return) -> None:
        self.say(f"return {self.text(statement.value)}")

    def do_setitem(self, statement: ir.SetItem) -> None:
        self.say(f"{self.text(statement.target, POSTFIX)}[{self.text(statement.index)}] = {self.text(statement.value)}")

    def do_break(self, statement: ir.Break) -> None:
        self.say("break")

    def do_continue(self, statement: ir.Continue) -> None:
        self.say("continue")

    def do_let(self, statement: ir.Let) -> None:
        value = statement.value
        if isinstance(value, ir.Op) and self.declares(value):
            getattr(self, f"let_{value.op}")(statement.name, *value.args)
        elif isinstance(value, ir.Sorted):
            self.let_sorted(statement.name, value)
        else:
            self.declare(statement.name, value)

    @abstractmethod
    def declare(self, name: ir.Name, value: ir.Expr) -> None:
        """The declaration of a variable with a value that the language can say."""

    @abstractmethod
    def let_sorted(self, name: ir.Name, value: ir.Sorted) -> None:
        """The declaration of a sorted copy."""

    @abstractmethod
    def sort(self, name: ir.Name, value: ir.Sorted) -> None:
        """Put a variable in order."""

    def sides(self, value: ir.Sorted, first: str = "a", second: str = "b") -> list[tuple[ir.Expr, ir.Expr, bool]]:
        """Every key of two elements, and whether it descends."""
        element = value.var.type
        return [
            (
                substituted(key, value.var, ir.Name(first, element)),
                substituted(key, value.var, ir.Name(second, element)),
                down,
            )
            for key, down in value.keys
        ]

    def counted(self, var: str, loop: ir.Range, declare: str) -> str:
        """The heading of a loop over numbers, as C has it."""
        start, stop, step = self.text(loop.start), loop.stop, loop.step
        if step > 0:
            last = stop.args[0] if isinstance(stop, ir.Op) and stop.op == "add" and stop.args[1] == ir.lit(1) else None
            test = f"{var} <= {self.text(last, 5)}" if last is not None else f"{var} < {self.text(stop, 5)}"
        elif stop == ir.lit(-1):
            test = f"{var} >= 0"
        else:
            test = f"{var} > {self.text(stop, 5)}"
        change = {1: f"{var}++", -1: f"{var}--"}.get(step, f"{var} {'+' if step > 0 else '-'}= {abs(step)}")
        return f"{declare} = {start}; {test}; {change}"


def sorts_itself(bulk: ir.Bulk, statement: ir.Statement) -> bool:
    """Whether a statement puts a variable in order, rather than a copy."""
    return isinstance(statement, ir.Assign) and isinstance(bulk, ir.Sorted) and bulk.source == statement.name
