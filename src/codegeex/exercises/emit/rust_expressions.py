"""Rust: expressions, each borrowed or owned as its place wants it."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.emit import indices
from codegeex.exercises.emit.base import ADD, ATOM, CAST, COMPARE, MULTIPLY, POSTFIX, UNARY, Text, quoted
from codegeex.exercises.emit.braces import sorts_itself
from codegeex.exercises.emit.rust_forms import RustForms
from codegeex.exercises.ir import Bulk, Expr, Statement
from codegeex.exercises.types import FLOAT, STR


class RustExpressions(RustForms):
    """Expressions; statements are in `rust`."""

    binary = RustForms.binary | {
        "div": ("/", MULTIPLY),
        "tdiv": ("/", MULTIPLY),
        "tmod": ("%", MULTIPLY),
        "truediv": ("/", MULTIPLY),
    }
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "$0.abs()",
        "fdiv": "$0.div_euclid(@1)",
        "fmod": "$0.rem_euclid(@1)",
        "to_float": ("#0 as f64", CAST),
        "sqrt": "$0.sqrt()",
        "floor": ("$0.floor() as i32", CAST),
        "not": ("!$0", UNARY),
        "len": ("$0.len() as i32", CAST),
        "empty": "$0.is_empty()",
        "last": "$0[$0.len() - 1]",
        "last:str": "$0.chars().last().unwrap()",
        "char_in": "$0.contains(@1)",
        "words": "$0.split_whitespace().map(str::to_string).collect::<Vec<String>>()",
        "upper": "$0.to_uppercase()",
        "lower": "$0.to_lowercase()",
        "to_str": "$0.to_string()",
        "parse_int": "$0.parse::<i32>().unwrap()",
        "builder": "String::new()",
        "built": ("@0", ATOM),
        "is_digit": "$0.is_ascii_digit()",
        "is_alpha": "$0.is_ascii_alphabetic()",
        "is_upper": "$0.is_ascii_uppercase()",
        "is_lower": "$0.is_ascii_lowercase()",
        "char_upper": "$0.to_ascii_uppercase()",
        "char_lower": "$0.to_ascii_lowercase()",
        "ord": ("#0 as i32", CAST),
        "chr": ("#0 as u8 as char", CAST),
        "digit": ("$0.to_digit(10).unwrap() as i32", CAST),
    }

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

    def op_divides(self, expr: ir.Op) -> Text:
        return self._remainder(expr, "==")

    def op_not(self, expr: ir.Op) -> Text | None:
        inner = expr.args[0]
        return self._remainder(inner, "!=") if isinstance(inner, ir.Op) and inner.op == "divides" else None

    def _remainder(self, divides: ir.Op, sign: str) -> Text:
        """A test whether the second number divides the first."""
        sizes = [indices.text(self, arg, self._sizes(), compared=True) for arg in divides.args]
        if None not in sizes and " " not in f"{sizes[0]}{sizes[1]}":
            return f"{sizes[0]} % {sizes[1]} {sign} 0", COMPARE
        value, by = divides.args
        return f"{self.text(value, MULTIPLY)} % {self.text(by, POSTFIX)} {sign} 0", COMPARE

    def infix(self, expr: ir.Op) -> Text:
        first, second = expr.args
        sign = self.binary[expr.op][0]
        if expr.op in ("eq", "ne", "lt", "le", "gt", "ge"):
            both = [indices.text(self, arg, self._sizes(), compared=True) for arg in expr.args]
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

    def span(self, source: ir.Range, statement: ir.For | None) -> str:
        """The numbers of a loop; as places in lists where the loop uses them for nothing else."""
        sized = statement is not None and indices.only(statement, self._sizes())
        if statement is not None:
            self.forms[statement.var.name] = "usize" if sized else "copy"

        def number(expr: Expr) -> str:
            known = indices.text(self, expr, self._sizes(), saturating=True) if sized else None
            return known if known is not None else self.text(expr, ADD)

        if source.step < 0:
            match source.stop:
                case ir.Lit(int() as below):
                    stop = ir.lit(below + 1)
                case _:
                    stop = source.stop + 1
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
