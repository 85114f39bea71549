"""Python: comprehensions, f-strings, built-in functions."""

from __future__ import annotations

from collections.abc import Sequence

from codegeex.exercises import ir
from codegeex.exercises.emit.base import (
    ADD,
    AND,
    ATOM,
    COMPARE,
    MULTIPLY,
    NOT,
    OR,
    POSTFIX,
    Emitter,
    Text,
    quoted,
    uses,
)
from codegeex.exercises.ir import Bulk, Expr, Function, Statement
from codegeex.exercises.types import Type, Value

_TYPES = {"int": "int", "float": "float", "bool": "bool", "char": "str", "str": "str"}
_AUGMENTED = {"add": "+=", "sub": "-=", "mul": "*=", "div": "//="}


class Python(Emitter):
    keywords = frozenset({
        "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
        "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass",
        "raise", "return", "try", "while", "with", "yield", "all", "any", "chr", "dict", "int", "len", "list", "map",
        "math", "max", "min", "next", "ord", "range", "reversed", "set", "sorted", "str", "sum",
    })  # fmt: skip
    binary = Emitter.binary | {
        "and": ("and", AND),
        "or": ("or", OR),
        "div": ("//", MULTIPLY),
        "fdiv": ("//", MULTIPLY),
        "fmod": ("%", MULTIPLY),
        "truediv": ("/", MULTIPLY),
    }
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "abs(@0)",
        "tdiv": "int(&0 / $1)",
        "tmod": "int(math.fmod(@0, @1))",
        "to_float": "float(@0)",
        "sqrt": "math.sqrt(@0)",
        "floor": "math.floor(@0)",
        "divides": ("&0 % $1 == 0", COMPARE),
        "not": ("not #0", NOT),
        "len": "len(@0)",
        "empty": ("not $0", NOT),
        "index": "$0[@1]",
        "last": "$0[-1]",
        "slice": "$0[@1:@2]",
        "from": "$0[@1:]",
        "contains": ("$1 in $0", COMPARE),
        "has": ("$1 in $0", COMPARE),
        "char_in": ("$1 in $0", COMPARE),
        "copy": "list(@0)",
        "filled": ("[@0] * $1", MULTIPLY),
        "join": "$1.join(@0)",
        "split": "$0.split(@1)",
        "words": "$0.split()",
        "upper": "$0.upper()",
        "lower": "$0.lower()",
        "repeat": ("$0 * $1", MULTIPLY),
        "replace": "$0.replace(@1, @2)",
        "to_str": "str(@0)",
        "to_str:char": ("@0", ATOM),
        "parse_int": "int(@0)",
        "starts": "$0.startswith(@1)",
        "ends": "$0.endswith(@1)",
        "builder": '""',
        "built": ("@0", ATOM),
        "is_digit": "$0.isdigit()",
        "is_alpha": "$0.isalpha()",
        "is_upper": "$0.isupper()",
        "is_lower": "$0.islower()",
        "char_upper": "$0.upper()",
        "char_lower": "$0.lower()",
        "ord": "ord(@0)",
        "chr": "chr(@0)",
        "digit": "int(@0)",
        "get": "$0.get(@1, @2)",
        "has_key": ("$1 in $0", COMPARE),
        "at": "$0[@1]",
        "some": ("@0", ATOM),
    }
    imports = ((r"\bmath\.", "import math"),)
    between = ("", "")

    def head(self, function: Function) -> str:
        params = ", ".join(f"{self.name(param.name)}: {self.type(param.type)}" for param in function.params)
        return f"def {self.public(function.name)}({params}) -> {self.type(function.result)}:"

    def end_function(self) -> None:
        pass  # the indentation ends it

    def import_block(self, code: str) -> str:
        block = super().import_block(code)
        return f"{block}\n" if block else ""  # two empty lines before a function

    def docstring(self, lines: Sequence[str]) -> list[str]:
        described = next((place for place, line in enumerate(lines) if line.startswith(">>>")), len(lines))
        gap = [""] if described < len(lines) else []
        first, *rest = [*lines[:described], *gap, *lines[described:]]
        return [f'"""{first}', *rest, '"""']

    def documented(self, head: str, doc: Sequence[str]) -> str:
        return "\n".join([head, *(f"{self.indent}{line}" if line else "" for line in doc)])

    def type(self, type_: Type) -> str:
        match type_.name:
            case "list":
                return f"list[{self.type(type_.element)}]"
            case "map":
                return f"dict[{self.type(type_.arguments[0])}, {self.type(type_.value)}]"
            case "optional":
                return f"{self.type(type_.element)} | None"
        return _TYPES[type_.name]

    def value(self, value: Value, type_: Type) -> str:
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, list):
            return f"[{', '.join(self.value(item, type_.element) for item in value)}]"
        if isinstance(value, dict):
            pairs = (f"{self.value(k, type_.arguments[0])}: {self.value(v, type_.value)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        return repr(value)

    def answer(self, value: Value, type_: Type) -> str:
        return repr(value)

    def items(self, items: ir.Items) -> Text:
        if items.type.name == "map":
            return "{}", ATOM
        return f"[{', '.join(self.text(item) for item in items.items)}]", ATOM

    # Expressions

    def op_not(self, expr: ir.Op) -> Text | None:
        match expr.args[0]:
            case ir.Op("contains" | "has" | "char_in" | "has_key", (place, item)):
                return f"{self.text(item, POSTFIX)} not in {self.text(place, POSTFIX)}", COMPARE
            case ir.Op("divides", (value, by)):
                return f"{self.text(value, MULTIPLY)} % {self.text(by, POSTFIX)} != 0", COMPARE
            case ir.Op("empty", (value,)):
                return self.expr(value) if isinstance(value, ir.Name) else None
        return None

    def op_and(self, expr: ir.Op) -> Text | None:
        """`a <= x and x <= b` is `a <= x <= b`."""
        match expr.args:
            case (ir.Op("ge" | "gt" as low, (first, bottom)), ir.Op("le" | "lt" as high, (second, top))) if (
                first == second
            ):
                signs = {"ge": "<=", "gt": "<", "le": "<=", "lt": "<"}
                parts = (self.text(part, COMPARE + 1) for part in (bottom, first, top))
                low_text, middle, high_text = parts
                return f"{low_text} {signs[low]} {middle} {signs[high]} {high_text}", COMPARE
        return None

    def op_slice(self, expr: ir.Op) -> Text | None:
        match expr.args:
            case (place, ir.Lit(0), stop):
                return f"{self.text(place, POSTFIX)}[:{self.text(stop)}]", POSTFIX
        return None

    def op_index(self, expr: ir.Op) -> Text | None:
        match expr.args:
            case (place, ir.Op("sub", (ir.Op("len", (other,)), ir.Lit(int() as back)))) if place == other:
                return f"{self.text(place, POSTFIX)}[-{back}]", POSTFIX
        return None

    def op_filled(self, expr: ir.Op) -> Text | None:
        zero, count = expr.args
        if zero.type.scalar:
            return None
        return f"[{self.text(zero)} for _ in range({self.text(count)})]", ATOM

    def op_format(self, expr: ir.Op) -> Text:
        inside = ""
        for part in expr.args:
            if isinstance(part, ir.Lit) and isinstance(part.literal, str):
                inside += quoted(part.literal)[1:-1].replace("{", "{{").replace("}", "}}")
            else:
                inside += f"{{{self.text(part)}}}"
        return (f"f'{inside}'" if '"' in inside else f'f"{inside}"'), ATOM

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        return True

    def bulk(self, expr: Expr) -> Text:
        match expr:
            case ir.Collect(var, source, value, condition):
                if value == var and condition is None:
                    return f"list({self.source(source)})", POSTFIX
                return f"[{self._each(var, source, value, condition)}]", ATOM
            case ir.Fold("count", var, source, _, condition):
                return f"sum({self._each(var, source, ir.lit(1), condition)})", POSTFIX
            case ir.Fold(kind, var, source, value, condition):
                if value == var and condition is None:
                    return f"{kind}({self.source(source)})", POSTFIX
                return f"{kind}({self._each(var, source, value, condition)})", POSTFIX
            case ir.Sorted():
                return f"sorted({self.source(expr.source)}{self._order(expr)})", POSTFIX
            case ir.Reversed(source):
                return f"{self.text(source, POSTFIX)}[::-1]", POSTFIX
            case ir.Keys(source):
                return f"sorted({self.text(source)})", POSTFIX
            case ir.Extreme(kind, first, second):
                return f"{kind}({self.text(first)}, {self.text(second)})", POSTFIX
        return super().bulk(expr)

    def source(self, source: Expr) -> str:
        """What a loop goes through."""
        if not isinstance(source, ir.Range):
            return self.text(source)
        start, stop = self.text(source.start), self.text(source.stop)
        if source.step != 1:
            return f"range({start}, {stop}, {source.step})"
        return f"range({stop})" if start == "0" else f"range({start}, {stop})"

    def _each(self, var: ir.Name, source: Expr, value: Expr, condition: Expr | None) -> str:
        test = f" if {self.text(condition)}" if condition is not None else ""
        return f"{self.text(value)} for {self.name(var.name)} in {self.source(source)}{test}"

    def _order(self, expr: ir.Sorted) -> str:
        """The arguments of `sorted` behind the list."""
        same = len({descends for _, descends in expr.keys}) == 1
        down = expr.keys[0][1] if same else False
        parts = []
        for key, descends in expr.keys:
            # numbers turn round by their sign; families give texts one direction
            parts.append(self.text(-key if descends != down else key))
        made = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        key_text = "" if parts == [self.name(expr.var.name)] else f", key=lambda {self.name(expr.var.name)}: {made}"
        if key_text == f", key=lambda {self.name(expr.var.name)}: len({self.name(expr.var.name)})":
            key_text = ", key=len"
        return key_text + (", reverse=True" if down else "")

    # Statements

    def comment(self, text: str) -> str:
        return f"# {text}"

    def whole(self, value: Expr) -> str:
        """A value that is more than a condition, in which a list may stand for its not being empty."""
        return f"bool({self.text(value)})" if _is_list(value) else self.text(value)

    def do_let(self, statement: ir.Let) -> None:
        self._line(f"{self.name(statement.name.name)} = {self.whole(statement.value)}")

    def do_assign(self, statement: ir.Assign) -> None:
        if isinstance(statement.value, ir.Sorted) and statement.value.source == statement.name:
            self._line(f"{self.name(statement.name.name)}.sort({self._order(statement.value).removeprefix(', ')})")
            return
        self._line(f"{self.name(statement.name.name)} = {self.whole(statement.value)}")

    def do_augment(self, statement: ir.Augment) -> None:
        self._line(f"{self.name(statement.name.name)} {_AUGMENTED[statement.op]} {self.text(statement.value)}")

    def do_if(self, statement: ir.If) -> None:
        for number, (condition, body) in enumerate(statement.branches):
            self._inside(f"{'elif' if number else 'if'} {self.text(condition)}:", body)
        if statement.otherwise:
            self._inside("else:", statement.otherwise)

    def do_while(self, statement: ir.While) -> None:
        self._inside(f"while {self.text(statement.condition)}:", statement.body)

    def do_for(self, statement: ir.For) -> None:
        var = self.name(statement.var.name) if uses(statement.body, statement.var) else "_"
        if statement.index:
            heading = f"for {self.name(statement.index.name)}, {var} in enumerate({self.source(statement.source)}):"
        else:
            heading = f"for {var} in {self.source(statement.source)}:"
        self._inside(heading, statement.body)

    def do_return(self, statement: ir.Return) -> None:
        self._line(f"return {self.whole(statement.value)}")

    def do_append(self, statement: ir.Append) -> None:
        self._line(f"{self.name(statement.target.name)}.append({self.text(statement.value)})")

    def do_pop(self, statement: ir.Pop) -> None:
        self._line(f"{self.name(statement.target.name)}.pop()")

    def do_setitem(self, statement: ir.SetItem) -> None:
        place = f"{self.text(statement.target, POSTFIX)}[{self.text(statement.index)}]"
        self._line(f"{place} = {self.text(statement.value)}")

    def do_increment(self, statement: ir.Increment) -> None:
        table, key = self.name(statement.target.name), self.text(statement.key)
        self._line(f"{table}[{key}] = {table}.get({key}, 0) + {self.text(statement.amount, ADD + 1)}")

    def do_group(self, statement: ir.Group) -> None:
        table, key = self.name(statement.target.name), self.text(statement.key)
        self._line(f"{table}.setdefault({key}, []).append({self.text(statement.value)})")

    def do_write(self, statement: ir.Write) -> None:
        self._line(f"{self.name(statement.target.name)} += {self.text(statement.value)}")

    def do_break(self, statement: ir.Break) -> None:
        self._line("break")

    def do_continue(self, statement: ir.Continue) -> None:
        self._line("continue")

    def _inside(self, heading: str, body: ir.Block) -> None:
        self._line(heading)
        self.depth += 1
        self.block(body)
        if not any(not isinstance(one, ir.Comment) for one in body):
            self._line("pass")
        self.depth -= 1


def _is_list(test: Expr) -> bool:
    """Whether Python's value of a test may be a list."""
    match test:
        case ir.Op("not", (ir.Op("empty", (ir.Name(),)),)):
            return True
        case ir.Op("and" | "or", args):
            return any(map(_is_list, args))
    return False
