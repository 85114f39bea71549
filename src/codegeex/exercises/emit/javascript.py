"""JavaScript: const and let, arrow functions, template strings, array methods, Map."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.emit.base import (
    ADD,
    ATOM,
    COMPARE,
    MULTIPLY,
    POSTFIX,
    UNARY,
    Text,
    quoted,
    reassigned_names,
    uses,
)
from codegeex.exercises.emit.braces import Braces
from codegeex.exercises.ir import Bulk, Expr, Function, Statement
from codegeex.exercises.types import CHAR, INT, STR, Type, Value


class JavaScript(Braces):
    case = "camel"
    indent = "  "
    closing = "};"
    keywords = frozenset({
        "arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete",
        "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "if", "import",
        "in", "instanceof", "let", "new", "null", "return", "static", "super", "switch", "this", "throw", "true",
        "try", "typeof", "var", "void", "while", "with", "yield",
    })  # fmt: skip
    binary = Braces.binary | {"eq": ("===", COMPARE), "ne": ("!==", COMPARE), "truediv": ("/", MULTIPLY)} | {
        "tmod": ("%", MULTIPLY)
    }  # fmt: skip
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "Math.abs(@0)",
        "fmod": ("((&0 % $1) + $1) % $1", MULTIPLY),
        "to_float": ("@0", ATOM),
        "sqrt": "Math.sqrt(@0)",
        "floor": "Math.floor(@0)",
        "divides": ("&0 % $1 === 0", COMPARE),
        "not": ("!$0", UNARY),
        "len": "$0.length",
        "len:map": "$0.size",
        "empty": ("$0.length === 0", COMPARE),
        "empty:map": ("$0.size === 0", COMPARE),
        "index": "$0[@1]",
        "last": "$0[$0.length - 1]",
        "slice": "$0.slice(@1, @2)",
        "from": "$0.slice(@1)",
        "contains": "$0.includes(@1)",
        "has": "$0.includes(@1)",
        "char_in": "$0.includes(@1)",
        "copy": "[...@0]",
        "filled": "new Array(@1).fill(@0)",
        "join": "$0.join(@1)",
        "split": "$0.split(@1)",
        "words": "$0.split(/\\s+/).filter(Boolean)",
        "upper": "$0.toUpperCase()",
        "lower": "$0.toLowerCase()",
        "repeat": "$0.repeat(@1)",
        "replace": "$0.replaceAll(@1, @2)",
        "to_str": "String(@0)",
        "to_str:char": ("@0", ATOM),
        "parse_int": "parseInt(@0, 10)",
        "starts": "$0.startsWith(@1)",
        "ends": "$0.endsWith(@1)",
        "builder": ("''", ATOM),
        "built": ("@0", ATOM),
        "is_digit": "/[0-9]/.test(@0)",
        "is_alpha": "/[a-zA-Z]/.test(@0)",
        "is_upper": "/[A-Z]/.test(@0)",
        "is_lower": "/[a-z]/.test(@0)",
        "char_upper": "$0.toUpperCase()",
        "char_lower": "$0.toLowerCase()",
        "ord": "$0.charCodeAt(0)",
        "chr": "String.fromCharCode(@0)",
        "digit": "Number(@0)",
        "get": ("$0.get(@1) ?? @2", 0),
        "has_key": "$0.has(@1)",
        "at": "$0.get(@1)",
        "some": ("@0", ATOM),
    }

    def head(self, function: Function) -> str:
        self._assigned = reassigned_names(self.function.body)
        self._assigned |= {
            node.target.name for node in ir.walk(self.function) if isinstance(node, ir.Write)
        }  # strings are values
        params = ", ".join(self.name(param.name) for param in function.params)
        return f"const {self.public(function.name)} = ({params}) => {{"

    def type(self, type_: Type) -> str:
        return ""

    def value(self, value: Value, type_: Type) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quoted(value, "'")
        if isinstance(value, list):
            return f"[{', '.join(self.value(item, type_.element) for item in value)}]"
        if isinstance(value, dict):
            pairs = (f"[{self.value(k, type_.arguments[0])}, {self.value(v, type_.value)}]" for k, v in value.items())
            return f"new Map([{', '.join(pairs)}])"
        return repr(value)

    # Expressions

    def items(self, items: ir.Items) -> Text:
        if items.type.name == "map":
            return "new Map()", POSTFIX
        return f"[{', '.join(self.text(item) for item in items.items)}]", ATOM

    def op_div(self, expr: ir.Op) -> Text:
        return self._quotient("floor", expr)

    def op_fdiv(self, expr: ir.Op) -> Text:
        return self._quotient("floor", expr)

    def op_tdiv(self, expr: ir.Op) -> Text:
        return self._quotient("trunc", expr)

    def _quotient(self, how: str, expr: ir.Op) -> Text:
        first, second = expr.args
        return f"Math.{how}({self.text(first, MULTIPLY)} / {self.text(second, POSTFIX)})", POSTFIX

    def op_not(self, expr: ir.Op) -> Text | None:
        match expr.args[0]:
            case ir.Op("divides", (value, by)):
                return f"{self.text(value, MULTIPLY)} % {self.text(by, POSTFIX)} !== 0", COMPARE
            case ir.Op("empty", (value,)):
                return f"{self.text(ir.op('len', value))} > 0", COMPARE
        return None

    def op_format(self, expr: ir.Op) -> Text:
        if all(part.type in (STR, CHAR) for part in expr.args) and len(expr.args) == 2:
            return " + ".join(self.text(part, ADD + 1) for part in expr.args), ADD
        inside = ""
        for part in expr.args:
            if isinstance(part, ir.Lit) and isinstance(part.literal, str):
                inside += quoted(part.literal, "`")[1:-1].replace("${", "\\${")
            else:
                inside += f"${{{self.text(part)}}}"
        return f"`{inside}`", ATOM

    def op_filled(self, expr: ir.Op) -> Text | None:
        zero, count = expr.args
        if zero.type.scalar or zero.type == STR:
            return None
        return f"Array.from({{ length: {self.text(count)} }}, () => {self.text(zero)})", POSTFIX

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        source = getattr(bulk, "source", None)
        return not isinstance(source, ir.Range)

    def bulk(self, expr: Expr) -> Text:
        match expr:
            case ir.Collect(var, source, value, condition):
                chosen = self._chosen(var, source, condition)
                if value == var:
                    return (chosen if condition is not None else f"[...{self.text(source)}]"), POSTFIX
                return f"{chosen}.map(({self.name(var.name)}) => {self.text(value)})", POSTFIX
            case ir.Fold("count", var, source, _, condition):
                return f"{self._chosen(var, source, condition)}.length", POSTFIX
            case ir.Fold("sum", var, source, value, condition):
                total = self.fresh("sum")
                step = f"({total}, {self.name(var.name)}) => {total} + {self.text(value, ADD + 1)}"
                return f"{self._chosen(var, source, condition)}.reduce({step}, 0)", POSTFIX
            case ir.Fold("any" | "all" as kind, var, source, value, condition):
                method = "some" if kind == "any" else "every"
                test = f"({self.name(var.name)}) => {self.text(value)}"
                return f"{self._chosen(var, source, condition)}.{method}({test})", POSTFIX
            case ir.Fold(kind, var, source, value, _):
                chosen = self.text(source) if value == var else self._chosen(var, source, None)
                if value != var:
                    chosen += f".map(({self.name(var.name)}) => {self.text(value)})"
                return f"Math.{kind}(...{chosen})", POSTFIX
            case ir.Sorted():
                return f"[...{self.text(expr.source)}].sort({self._order(expr)})", POSTFIX
            case ir.Reversed(source):
                end = ".join('')" if source.type == STR else ""
                return f"[...{self.text(source)}].reverse(){end}", POSTFIX
            case ir.Keys(source):
                order = "(a, b) => a - b" if expr.type.element == INT else ""
                return f"[...{self.text(source, POSTFIX)}.keys()].sort({order})", POSTFIX
            case ir.Extreme(kind, first, second):
                return f"Math.{kind}({self.text(first)}, {self.text(second)})", POSTFIX
        return super().bulk(expr)

    def _chosen(self, var: ir.Name, source: Expr, condition: Expr | None) -> str:
        """The source, filtered."""
        text = f"[...{self.text(source)}]" if source.type == STR else self.text(source, POSTFIX)
        return text if condition is None else f"{text}.filter(({self.name(var.name)}) => {self.text(condition)})"

    def _order(self, expr: ir.Sorted) -> str:
        """A comparison; nothing where texts are in their own order."""
        if expr.keys == ((expr.var, False),) and expr.var.type in (STR, CHAR):
            return ""
        parts = []
        for a, b, down in self.sides(expr):
            first, second = (
                (self.text(b, ADD + 1), self.text(a, ADD + 1))
                if down
                else (self.text(a, ADD + 1), self.text(b, ADD + 1))
            )
            if a.type in (STR, CHAR):
                parts.append(f"({first} < {second} ? -1 : {first} > {second} ? 1 : 0)")
            else:
                parts.append(f"{first} - {second}")
        return f"(a, b) => {' || '.join(parts)}"

    # Statements

    def declare(self, name: ir.Name, value: Expr) -> None:
        word = "let" if name.name in self._assigned else "const"
        self.say(f"{word} {self.name(name.name)} = {self.text(value)}")

    def let_sorted(self, name: ir.Name, value: ir.Sorted) -> None:
        self.declare(name, value)

    def sort(self, name: ir.Name, value: ir.Sorted) -> None:
        self.say(f"{self.name(name.name)}.sort({self._order(value)})")

    def do_augment(self, statement: ir.Augment) -> None:
        if statement.op == "div":
            value = ir.op("div", statement.name, statement.value)
            self.say(f"{self.name(statement.name.name)} = {self.text(value)}")
            return
        super().do_augment(statement)

    def do_for(self, statement: ir.For) -> None:
        var, source = self.name(statement.var.name), statement.source
        if isinstance(source, ir.Range):
            self.inside(f"for ({self.counted(var, source, f'let {var}')})", statement.body)
        elif statement.index and uses(statement.body, statement.index):
            index = self.name(statement.index.name)
            self._line(f"for (let {index} = 0; {index} < {self.text(source, POSTFIX)}.length; {index}++) {{")
            self.depth += 1
            self.say(f"const {var} = {self.text(source, POSTFIX)}[{index}]")
            self.block(statement.body)
            self.depth -= 1
            self._line("}")
        else:
            self.inside(f"for (const {var} of {self.text(source)})", statement.body)

    def do_append(self, statement: ir.Append) -> None:
        self.say(f"{self.name(statement.target.name)}.push({self.text(statement.value)})")

    def do_pop(self, statement: ir.Pop) -> None:
        self.say(f"{self.name(statement.target.name)}.pop()")

    def do_setitem(self, statement: ir.SetItem) -> None:
        if statement.target.type.name == "map":
            place = self.text(statement.target, POSTFIX)
            self.say(f"{place}.set({self.text(statement.index)}, {self.text(statement.value)})")
            return
        super().do_setitem(statement)

    def do_increment(self, statement: ir.Increment) -> None:
        table, key = self.name(statement.target.name), self.text(statement.key)
        self.say(f"{table}.set({key}, ({table}.get({key}) ?? 0) + {self.text(statement.amount, ADD + 1)})")

    def do_group(self, statement: ir.Group) -> None:
        table, key = self.name(statement.target.name), self.text(self.held(statement.key, "key"))
        self._line(f"if (!{table}.has({key})) {{")
        self.depth += 1
        self.say(f"{table}.set({key}, [])")
        self.depth -= 1
        self._line("}")
        self.say(f"{table}.get({key}).push({self.text(statement.value)})")

    def do_write(self, statement: ir.Write) -> None:
        self.say(f"{self.name(statement.target.name)} += {self.text(statement.value)}")
