"""Rust: types and literals, and which values are borrowed and which are owned."""

from __future__ import annotations

from collections.abc import Sequence

from codegeex.exercises import ir
from codegeex.exercises.emit.base import POSTFIX, UNARY, quoted
from codegeex.exercises.emit.braces import Braces
from codegeex.exercises.ir import Block, Expr, Function
from codegeex.exercises.types import CHAR, STR, Type, Value

_TYPES = {"int": "i32", "float": "f64", "bool": "bool", "char": "char", "str": "String", "builder": "String"}
_METHODS = ("abs", "fdiv", "fmod", "sqrt", "floor")
"""Operations that are methods, which a number without a type yet does not have."""


class RustForms(Braces):
    """Types, literals, and what is borrowed or owned."""

    parentheses = False
    keywords = frozenset({
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
        "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while", "abstract", "become",
        "box", "do", "final", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield",
    })  # fmt: skip
    imports = (
        (r"\bBTreeMap\b", "use std::collections::BTreeMap;"),
        (r"\bHashMap\b", "use std::collections::HashMap;"),
    )

    def begin(self) -> None:
        self.forms: dict[str, str] = {}
        self._tail: set[int] = set()
        nodes = list(ir.walk(self.function))
        self._untyped = not any(
            isinstance(node, ir.Extreme) or (isinstance(node, ir.Op) and node.op in _METHODS) for node in nodes
        )
        for param in self.function.params:
            self.forms[param.name] = "copy" if param.type.scalar else "str" if param.type == STR else "ref"
        self._mark(self.function.body)

    def _mark(self, block: Block) -> None:
        """Returns at the end of the function are written as values."""
        last = block[-1] if block else None
        if isinstance(last, ir.Return):
            self._tail.add(id(last))
        elif isinstance(last, ir.If) and last.otherwise:
            for body in (*(body for _, body in last.branches), last.otherwise):
                self._mark(body)

    def docstring(self, lines: Sequence[str]) -> list[str]:
        return [f"/// {line}".rstrip() for line in lines]

    def head(self, function: Function) -> str:
        params = ", ".join(f"{self.name(param.name)}: {self.borrowed(param.type)}" for param in function.params)
        return f"fn {self.public(function.name)}({params}) -> {self.type(function.result)} {{"

    def type(self, type_: Type) -> str:
        match type_.name:
            case "list":
                return f"Vec<{self.type(type_.element)}>"
            case "map":
                kind = "BTreeMap" if self.ordered else "HashMap"
                return f"{kind}<{self.type(type_.arguments[0])}, {self.type(type_.value)}>"
            case "optional":
                return f"Option<{self.type(type_.element)}>"
        return _TYPES[type_.name]

    def borrowed(self, type_: Type) -> str:
        """The type of a parameter."""
        if type_.scalar:
            return self.type(type_)
        return (
            f"&[{self.type(type_.element)}]"
            if type_.name == "list"
            else "&str"
            if type_ == STR
            else f"&{self.type(type_)}"
        )

    def value(self, value: Value, type_: Type) -> str:
        """As an argument: borrowed on the outside."""
        if value is None:
            return "None"
        if type_.name == "optional":
            return f"Some({self.owned_value(value, type_.element)})"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quoted(value, "'") if type_ == CHAR else quoted(value)
        if isinstance(value, list):
            return f"&[{', '.join(self.owned_value(item, type_.element) for item in value)}]"
        if isinstance(value, dict):
            return f"&{self.owned_value(value, type_)}"
        return repr(value)

    def answer(self, value: Value, type_: Type) -> str:
        return self.value(value, type_) if type_ == STR else self.owned_value(value, type_)

    def owned_value(self, value: Value, type_: Type) -> str:
        if isinstance(value, str) and type_ != CHAR and type_.name != "optional":
            return f"{quoted(value)}.to_string()"
        if isinstance(value, list):
            return f"vec![{', '.join(self.owned_value(item, type_.element) for item in value)}]"
        if isinstance(value, dict):
            pairs = (
                f"({self.owned_value(k, type_.arguments[0])}, {self.owned_value(v, type_.value)})"
                for k, v in value.items()
            )
            return f"{'BTreeMap' if self.ordered else 'HashMap'}::from([{', '.join(pairs)}])"
        return self.value(value, type_)

    # Forms: copy, owned (String, Vec), place (an element that is one), str (&str), string (&String), ref (&Vec, &[T])

    def form(self, expr: Expr) -> str:
        """What kind of Rust value an expression is."""
        if expr.type.scalar:
            return "copy"
        match expr:
            case ir.Lit():
                return "str" if expr.type == STR else "owned"
            case ir.Name(name):
                return self.forms[name]
            case ir.Op("built", (inner,)):
                return self.form(inner)
            case ir.Op("index" | "last" | "at"):
                return "place"
            case ir.Op("slice" | "from"):
                return "str" if expr.type == STR else "ref"
        return "owned"

    def own(self, expr: Expr, *, move: bool = False) -> str:
        """An expression as a value that belongs to whoever takes it."""
        form = self.form(expr)
        if form == "copy":
            return self.text(expr)
        if isinstance(expr, ir.Op) and expr.op in ("slice", "from"):
            return f"{self.text(expr)[1:]}{'.to_string()' if expr.type == STR else '.to_vec()'}"
        if form in ("str", "string"):
            return f"{self.text(expr, POSTFIX)}.to_string()"
        if form == "ref":
            return f"{self.text(expr, POSTFIX)}.{'to_vec' if expr.type.name == 'list' else 'clone'}()"
        is_name = isinstance(expr, ir.Name) or (isinstance(expr, ir.Op) and expr.op == "built")
        if form == "place" or (is_name and not move):
            return f"{self.text(expr, POSTFIX)}.clone()"
        return self.text(expr)

    def borrow(self, expr: Expr) -> str:
        """An expression that somebody only looks at."""
        return f"&{self.text(expr, UNARY)}" if self.form(expr) in ("owned", "place") else self.text(expr)

    def key(self, expr: Expr) -> str:
        """A key to look up."""
        return f"&{self.text(expr, UNARY)}" if self.form(expr) in ("owned", "place", "copy") else self.text(expr)

    def argument(self, expr: Expr) -> str:
        return self.text(expr) if expr.type.scalar else self.borrow(expr)
