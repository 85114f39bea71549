"""Rust: slices and &str as parameters, iterators, as little `mut` and as few copies as a walk over the tree can see."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.emit import indices
from codegeex.exercises.emit.base import POSTFIX, UNARY, quoted, uses
from codegeex.exercises.emit.rust_expressions import RustExpressions
from codegeex.exercises.ir import Expr
from codegeex.exercises.types import CHAR, FLOAT, INT, STR


class Rust(RustExpressions):
    """Statements; expressions are in `rust_expressions`."""

    def step(self, name: str, sign: str) -> str:
        return f"{name} {sign}= 1"

    def declare(self, name: ir.Name, value: Expr) -> None:
        changes = name.name in self.changed
        word = f"let {'mut ' if changes else ''}{self.name(name.name)}"
        self.forms[name.name] = "copy" if name.type.scalar else "owned"
        annotated = isinstance(value, ir.Collect | ir.Fold | ir.Reversed | ir.Keys) and name.type != STR
        annotated = annotated or (isinstance(value, ir.Items) and not value.items)
        annotated = annotated or (isinstance(value, ir.Lit) and value.type in (INT, FLOAT) and not self._untyped)
        if isinstance(value, ir.Fold) and value.kind in ("count", "any", "all"):
            annotated = False
        if annotated:
            word += f": {self.type(name.type)}"
        if self.form(value) in ("place", "str") and not changes and not isinstance(value, ir.Name):
            text = self.text(value)
            if self.form(value) == "place":
                text = f"&{text}"
            self.forms[name.name] = "string" if self.form(value) == "place" and value.type == STR else (
                "str" if value.type == STR else "ref"
            )  # fmt: skip
            self.say(f"{word} = {text}")
            return
        self.say(f"{word} = {self.own(value)}")

    def let_sorted(self, name: ir.Name, value: ir.Sorted) -> None:
        self.say(f"let mut {self.name(name.name)} = {self.own(value.source)}")
        self.forms[name.name] = "owned"
        self.sort(name, value)

    def sort(self, name: ir.Name, value: ir.Sorted) -> None:
        made, element = self.name(name.name), value.var.type
        if value.keys == ((value.var, False),) and element != FLOAT:
            self.say(f"{made}.sort()")
            return
        for side in ("a", "b"):
            self.forms[side] = "copy" if element.scalar else "string" if element == STR else "ref"
        mark = "&" if element.scalar else ""
        orders = []
        for a, b, down in self.sides(value):
            first, second = (b, a) if down else (a, b)
            sizes = [indices.text(self, key, frozenset()) for key in (first, second)]
            if isinstance(first, ir.Op) and None not in sizes:
                orders.append(f"{sizes[0]}.cmp(&{sizes[1]})")
            elif first.type == FLOAT:
                orders.append(f"{self.text(first, POSTFIX)}.partial_cmp(&{self.text(second, UNARY)}).unwrap()")
            else:
                orders.append(f"{self.text(first, POSTFIX)}.cmp({self.key(second)})")
        head, *more = orders
        self.say(f"{made}.sort_by(|{mark}a, {mark}b| {head}{''.join(f'.then_with(|| {one})' for one in more)})")

    def do_assign(self, statement: ir.Assign) -> None:
        if isinstance(statement.value, ir.Sorted):
            self.sort(statement.name, statement.value)
            return
        self.say(f"{self.name(statement.name.name)} = {self.own(statement.value)}")

    def do_return(self, statement: ir.Return) -> None:
        value = self.own(statement.value, move=True)
        if id(statement) in self._tail:
            self._line(value)
        else:
            self.say(f"return {value}")

    def do_for(self, statement: ir.For) -> None:
        source, element = statement.source, statement.var.type
        used = uses(statement.body, statement.var)
        var = self.name(statement.var.name) if used else "_"
        if isinstance(source, ir.Range):
            self.inside(f"for {var} in {self.span(source, statement)}", statement.body)
            return
        self.forms[statement.var.name] = "copy" if element.scalar else "string" if element == STR else "ref"
        by_value = f"&{var}" if element.scalar and used else var
        counted = statement.index is not None and uses(statement.body, statement.index)
        if isinstance(source, ir.Keys):
            text = f"{self.text(source.source, POSTFIX)}.keys()"
        elif source.type == STR:
            by_value, text = var, f"{self.text(source, POSTFIX)}.chars()"
        elif isinstance(source, ir.Op) and source.op in ("words", "split"):
            self.forms[statement.var.name] = "str"
            text = self.text(source).removesuffix(".map(str::to_string).collect::<Vec<String>>()")
        elif counted:
            text = f"{self.text(source, POSTFIX)}.iter()"
        else:
            text = self.borrow(source)
        if counted and statement.index:
            self.forms[statement.index.name] = "usize"
            self.inside(f"for ({self.name(statement.index.name)}, {by_value}) in {text}.enumerate()", statement.body)
        else:
            self.inside(f"for {by_value} in {text}", statement.body)

    def do_append(self, statement: ir.Append) -> None:
        self.say(f"{self.name(statement.target.name)}.push({self.own(statement.value)})")

    def do_pop(self, statement: ir.Pop) -> None:
        self.say(f"{self.name(statement.target.name)}.pop()")

    def do_setitem(self, statement: ir.SetItem) -> None:
        target = self.text(statement.target, POSTFIX)
        if statement.target.type.name == "map":
            self.say(f"{target}.insert({self.own(statement.index)}, {self.own(statement.value)})")
        else:
            self.say(f"{target}[{self.place(statement.index)}] = {self.own(statement.value)}")

    def do_increment(self, statement: ir.Increment) -> None:
        zero = "0.0" if statement.amount.type == FLOAT else "0"
        entry = f"{self.name(statement.target.name)}.entry({self.own(statement.key)})"
        self.say(f"*{entry}.or_insert({zero}) += {self.text(statement.amount)}")

    def do_group(self, statement: ir.Group) -> None:
        entry = f"{self.name(statement.target.name)}.entry({self.own(statement.key)})"
        self.say(f"{entry}.or_default().push({self.own(statement.value)})")

    def do_write(self, statement: ir.Write) -> None:
        target, value = self.name(statement.target.name), statement.value
        if value.type == CHAR:
            self.say(f"{target}.push({self.text(value)})")
        elif isinstance(value, ir.Lit) and len(str(value.literal)) == 1:
            self.say(f"{target}.push({quoted(str(value.literal), chr(39))})")
        else:
            self.say(f"{target}.push_str({self.borrow(value)})")
