"""Rust: slices and &str as parameters, iterators, as little `mut` and as few copies as a walk over the tree can see."""

from __future__ import annotations

from collections.abc import Sequence

from codegeex.exercises import ir
from codegeex.exercises.emit import indices
from codegeex.exercises.emit.base import ADD, ATOM, CAST, COMPARE, MULTIPLY, POSTFIX, UNARY, Text, quoted, uses
from codegeex.exercises.emit.braces import Braces, sorts_itself
from codegeex.exercises.ir import Block, Bulk, Expr, Function, Statement
from codegeex.exercises.types import CHAR, FLOAT, INT, STR, Type, Value

_TYPES = {"int": "i32", "float": "f64", "bool": "bool", "char": "char", "str": "String", "builder": "String"}
_METHODS = ("abs", "fdiv", "fmod", "sqrt", "floor")
"""Operations that are methods, which a number without a type yet does not have."""


class Rust(Braces):
    parentheses = False
    keywords = frozenset(
        "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut "
        "pub ref return self static struct super trait true type unsafe use where while abstract become box do final macro "
        "override priv try typeof unsized virtual yield".split()
    )
    binary = Braces.binary | {
        "div": ("/", MULTIPLY),
        "tdiv": ("/", MULTIPLY),
        "tmod": ("%", MULTIPLY),
        "truediv": ("/", MULTIPLY),
    }
    imports = (
        (r"\bBTreeMap\b", "use std::collections::BTreeMap;"),
        (r"\bHashMap\b", "use std::collections::HashMap;"),
    )
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "$0.abs()",
        "fdiv": "$0.div_euclid(@1)",
        "fmod": "$0.rem_euclid(@1)",
        "to_float": ("#0 as f64", CAST),
        "sqrt": "$0.sqrt()",
        "floor": ("$0.floor() as i32", CAST),
        "divides": ("#0 % $1 == 0", COMPARE),
        "not": ("!$0", UNARY),
        "len": ("$0.len() as i32", CAST),
        "empty": "$0.is_empty()",
        "last": "$0[$0.len() - 1]",
        "last:str": "$0.chars().last().unwrap()",
        "char_in": "$0.contains(@1)",
        "words": "$0.split_whitespace().map(str::to_string).collect::<Vec<String>>()",
        "upper": "$0.to_uppercase()",
        "lower": "$0.to_lowercase()",
        "trim": "$0.trim()",
        "to_str": "$0.to_string()",
        "parse_int": "$0.parse::<i32>().unwrap()",
        "builder": "String::new()",
        "built": ("@0", ATOM),
        "is_digit": "$0.is_ascii_digit()",
        "is_alpha": "$0.is_ascii_alphabetic()",
        "is_upper": "$0.is_ascii_uppercase()",
        "is_lower": "$0.is_ascii_lowercase()",
        "is_space": "$0.is_ascii_whitespace()",
        "char_upper": "$0.to_ascii_uppercase()",
        "char_lower": "$0.to_ascii_lowercase()",
        "ord": ("#0 as i32", CAST),
        "chr": ("#0 as u8 as char", CAST),
        "digit": ("$0.to_digit(10).unwrap() as i32", CAST),
    }

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
            case ir.Op("trim"):
                return "str"
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

    # Expressions

    def expr(self, expr: Expr) -> Text:
        if isinstance(expr, ir.Name) and self.forms.get(expr.name) == "usize":
            return f"{self.name(expr.name)} as i32", CAST
        return super().expr(expr)

    def items(self, items: ir.Items) -> Text:
        if items.type.name == "map":
            return f"{'BTreeMap' if self.ordered else 'HashMap'}::new()", POSTFIX
        if not items.items:
            return "Vec::new()", POSTFIX
        return f"vec![{', '.join(self.own(item) for item in items.items)}]", POSTFIX

    def place(self, expr: Expr, tightness: int = 0) -> str:
        """A number as a place in a list."""
        known = indices.text(self, expr, self._sizes())
        if known is not None:
            return f"({known})" if tightness > ADD and " " in known else known
        return f"{self.text(expr, CAST)} as usize"

    def _sizes(self) -> frozenset[str]:
        return frozenset(name for name, form in self.forms.items() if form == "usize")

    def op_index(self, expr: ir.Op) -> Text:
        place, index = expr.args
        if place.type == STR:
            return f"{self.text(place, POSTFIX)}.as_bytes()[{self.place(index)}] as char", CAST
        return f"{self.text(place, POSTFIX)}[{self.place(index)}]", POSTFIX

    def op_slice(self, expr: ir.Op) -> Text:
        place, start, stop = expr.args
        first = "" if start == ir.lit(0) else self.place(start)
        return f"&{self.text(place, POSTFIX)}[{first}..{self.place(stop)}]", UNARY

    def op_from(self, expr: ir.Op) -> Text:
        place, start = expr.args
        return f"&{self.text(place, POSTFIX)}[{self.place(start)}..]", UNARY

    def op_filled(self, expr: ir.Op) -> Text:
        zero, count = expr.args
        return f"vec![{self.own(zero)}; {self.place(count)}]", POSTFIX

    def op_repeat(self, expr: ir.Op) -> Text:
        text, count = expr.args
        return f"{self.text(text, POSTFIX)}.repeat({self.place(count)})", POSTFIX

    def op_copy(self, expr: ir.Op) -> Text:
        return self.own(expr.args[0]), POSTFIX

    def op_contains(self, expr: ir.Op) -> Text:
        place, item = expr.args
        if self.form(item) == "str":
            name = self.fresh("item")
            return f"{self.text(place, POSTFIX)}.iter().any(|{name}| {name} == {self.text(item)})", POSTFIX
        return f"{self.text(place, POSTFIX)}.contains({self.key(item)})", POSTFIX

    def _method(self, expr: ir.Op, method: str) -> Text:
        first, *rest = expr.args
        return f"{self.text(first, POSTFIX)}.{method}({', '.join(self.borrow(arg) for arg in rest)})", POSTFIX

    def op_has(self, expr: ir.Op) -> Text:
        return self._method(expr, "contains")

    def op_starts(self, expr: ir.Op) -> Text:
        return self._method(expr, "starts_with")

    def op_ends(self, expr: ir.Op) -> Text:
        return self._method(expr, "ends_with")

    def op_replace(self, expr: ir.Op) -> Text:
        return self._method(expr, "replace")

    def op_join(self, expr: ir.Op) -> Text:
        return self._method(expr, "join")

    def op_split(self, expr: ir.Op) -> Text:
        text, separator = expr.args
        parts = f"{self.text(text, POSTFIX)}.split({self.borrow(separator)})"
        return f"{parts}.map(str::to_string).collect::<Vec<String>>()", POSTFIX

    def op_format(self, expr: ir.Op) -> Text:
        pattern, values = "", []
        for part in expr.args:
            if isinstance(part, ir.Lit) and isinstance(part.literal, str):
                pattern += quoted(part.literal)[1:-1].replace("{", "{{").replace("}", "}}")
            else:
                pattern += "{}"
                values.append(self.text(part))
        return f'format!("{pattern}", {", ".join(values)})', POSTFIX

    def op_get(self, expr: ir.Op) -> Text:
        table, key, default = expr.args
        found = f"{self.text(table, POSTFIX)}.get({self.key(key)})"
        if default.type.scalar:
            return f"*{found}.unwrap_or(&{self.text(default, UNARY)})", UNARY
        return f"{found}.cloned().unwrap_or({self.own(default)})", POSTFIX

    def op_has_key(self, expr: ir.Op) -> Text:
        table, key = expr.args
        return f"{self.text(table, POSTFIX)}.contains_key({self.key(key)})", POSTFIX

    def op_at(self, expr: ir.Op) -> Text:
        table, key = expr.args
        return f"{self.text(table, POSTFIX)}[{self.key(key)}]", POSTFIX

    def op_some(self, expr: ir.Op) -> Text:
        return f"Some({self.own(expr.args[0], move=True)})", POSTFIX

    def op_not(self, expr: ir.Op) -> Text | None:
        match expr.args[0]:
            case ir.Op("divides", (value, by)):
                return f"{self.text(value, MULTIPLY)} % {self.text(by, POSTFIX)} != 0", COMPARE
        return None

    def infix(self, expr: ir.Op) -> Text:
        first, second = expr.args
        sign = self.binary[expr.op][0]
        if expr.op in ("eq", "ne", "lt", "le", "gt", "ge"):
            sizes = self._sizes()
            if any(indices.mentions(arg, sizes) for arg in expr.args):
                both = [indices.text(self, arg, sizes, compared=True) for arg in expr.args]
                if None not in both:
                    return f"{both[0]} {sign} {both[1]}", COMPARE
            if first.type == STR:
                return self._strings(first, second, sign), COMPARE
            left = self.text(first, COMPARE + 1)
            if sign == "<" and self.expr(first)[1] == CAST:
                left = f"({left})"  # a < behind a type would open its arguments
            return f"{left} {sign} {self.text(second, COMPARE + 1)}", COMPARE
        return super().infix(expr)

    def _strings(self, first: Expr, second: Expr, sign: str) -> str:
        left, right = self.form(first), self.form(second)
        texts = [self.text(first, POSTFIX), self.text(second, POSTFIX)]
        if sign not in ("==", "!="):
            texts = [
                text if form == "str" else f"{text}.as_str()" for text, form in zip(texts, (left, right), strict=True)
            ]
        elif left == "string" and right in ("owned", "place"):
            texts[0] = f"*{texts[0]}"
        elif right == "string" and left in ("owned", "place"):
            texts[1] = f"*{texts[1]}"
        return f"{texts[0]} {sign} {texts[1]}"

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        match bulk:
            case ir.Collect(_, source, value, _):
                return (
                    self._simple(source)
                    and not isinstance(statement, ir.For)
                    and (value.type.scalar or value.type == STR)
                )
            case ir.Fold("min" | "max", _, source, value, _):
                return self._simple(source) and value.type != FLOAT
            case ir.Fold(_, _, source):
                return self._simple(source)
            case ir.Sorted():
                return isinstance(statement, ir.Let) or sorts_itself(bulk, statement)
        return True

    @staticmethod
    def _simple(source: Expr) -> bool:
        return isinstance(source, ir.Range) or source.type.element.scalar

    def bulk(self, expr: Expr) -> Text:
        match expr:
            case ir.Collect(var, source, value, condition):
                if (
                    value == var
                    and condition is None
                    and source.type.name == "list"
                    and not isinstance(source, ir.Range)
                ):
                    return self.own(source), POSTFIX
                chain = self._chain(var, source, condition)
                if value != var:
                    chain += f".map(|{self.name(var.name)}| {self.own(value)})"
                return f"{chain}.collect()", POSTFIX
            case ir.Fold("count", var, source, _, condition):
                return f"{self._chain(var, source, condition)}.count() as i32", CAST
            case ir.Fold("any" | "all" as kind, var, source, value, condition):
                chain = self._chain(var, source, condition)
                return f"{chain}.{kind}(|{self.name(var.name)}| {self.text(value)})", POSTFIX
            case ir.Fold(kind, var, source, value, condition):
                if value == var and condition is None and not isinstance(source, ir.Range) and source.type != STR:
                    chain = f"{self.text(source, POSTFIX)}.iter()"
                    return (f"{chain}.sum()", POSTFIX) if kind == "sum" else (f"*{chain}.{kind}().unwrap()", UNARY)
                chain = self._chain(var, source, condition)
                if value != var:
                    chain += f".map(|{self.name(var.name)}| {self.text(value)})"
                return f"{chain}.{kind}(){'' if kind == 'sum' else '.unwrap()'}", POSTFIX
            case ir.Reversed(source):
                name = self.text(source, POSTFIX)
                if source.type == STR:
                    return f"{name}.chars().rev().collect::<String>()", POSTFIX
                return f"{name}.iter().rev().cloned().collect()", POSTFIX
            case ir.Keys(source):
                return f"{self.text(source, POSTFIX)}.keys().cloned().collect()", POSTFIX
            case ir.Extreme(kind, first, second):
                return f"{self.text(first, POSTFIX)}.{kind}({self.text(second)})", POSTFIX
        return super().bulk(expr)

    def _chain(self, var: ir.Name, source: Expr, condition: Expr | None) -> str:
        """An iterator over the elements that are wanted."""
        self.forms[var.name] = "copy"
        if isinstance(source, ir.Range):
            text = self.span(source, None)
            text = text if text.startswith("(") and text.endswith(")") else f"({text})"
        elif source.type == STR:
            text = f"{self.text(source, POSTFIX)}.chars()"
        else:
            text = f"{self.text(source, POSTFIX)}.iter().copied()"
        return text if condition is None else f"{text}.filter(|&{self.name(var.name)}| {self.text(condition)})"

    # Statements

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

    def span(self, source: ir.Range, statement: ir.For | None) -> str:
        """The numbers of a loop; as places in lists where the loop uses them for nothing else."""
        sized = statement is not None and indices.only(statement, self._sizes())
        if statement is not None:
            self.forms[statement.var.name] = "usize" if sized else "copy"

        def number(expr: Expr) -> str:
            known = indices.text(self, expr, self._sizes(), saturating=True) if sized else None
            return known if known is not None else self.text(expr, ADD)

        if source.step < 0:
            stop = source.stop + 1 if source.stop != ir.lit(-1) else ir.lit(0)
            match source.start:
                case ir.Op("sub", (top, ir.Lit(1))):
                    text = f"({number(stop)}..{number(top)}).rev()"
                case _:
                    text = f"({number(stop)}..={number(source.start)}).rev()"
            return text if source.step == -1 else f"{text}.step_by({-source.step})"
        match source.stop:
            case ir.Op("add", (top, ir.Lit(1))):
                text = f"{number(source.start)}..={number(top)}"
            case _:
                text = f"{number(source.start)}..{number(source.stop)}"
        return text if source.step == 1 else f"({text}).step_by({source.step})"

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
