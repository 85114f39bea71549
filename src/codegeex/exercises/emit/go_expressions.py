"""Go: names, types and expressions; the standard library of Go 1.18."""

from __future__ import annotations

from collections.abc import Sequence

from codegeex.exercises import ir
from codegeex.exercises.emit.base import ADD, CAST, COMPARE, MULTIPLY, POSTFIX, UNARY, Text, quoted
from codegeex.exercises.emit.braces import Braces, sorts_itself
from codegeex.exercises.ir import Bulk, Expr, Function, Statement
from codegeex.exercises.types import BOOL, CHAR, FLOAT, INT, STR, Type, Value

_TYPES = {"int": "int", "float": "float64", "bool": "bool", "char": "rune", "str": "string"}
_ZEROS = {"int": "0", "float": "0", "bool": "false", "char": "0", "str": '""'}
_PACKAGES = ("fmt", "math", "sort", "strconv", "strings", "unicode")


class GoExpressions(Braces):
    """Expressions; statements are in `go`."""

    case = "camel"
    end = ""
    indent = "\t"
    parentheses = False
    loop_word = "for"
    keywords = frozenset({
        "break", "case", "chan", "const", "continue", "default", "defer", "else", "fallthrough", "for", "func", "go",
        "goto", "if", "import", "interface", "map", "package", "range", "return", "select", "struct", "switch",
        "type", "var", "append", "cap", "copy", "len", "make", "new", "string", "int", "bool", "rune", "assert",
        "fmt", "math", "sort", "strconv", "strings", "testing", "unicode",
    })  # fmt: skip
    declared = frozenset({"contains", "has_key", "parse_int"})
    binary = Braces.binary | {
        "div": ("/", MULTIPLY),
        "tdiv": ("/", MULTIPLY),
        "tmod": ("%", MULTIPLY),
        "truediv": ("/", MULTIPLY),
    }
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "int(math.Abs(float64(@0)))",
        "abs:float": "math.Abs(@0)",
        "to_float": "float64(@0)",
        "sqrt": "math.Sqrt(@0)",
        "floor": "int(math.Floor(@0))",
        "not": ("!$0", UNARY),
        "len": "len(@0)",
        "empty": ("len(@0) == 0", COMPARE),
        "index": "$0[@1]",
        "index:str": "rune($0[@1])",
        "last": "$0[len($0)-1]",
        "last:str": "rune($0[len($0)-1])",
        "from": "$0[@1:]",
        "has": "strings.Contains(@0, @1)",
        "char_in": "strings.ContainsRune(@0, @1)",
        "join": "strings.Join(@0, @1)",
        "split": "strings.Split(@0, @1)",
        "words": "strings.Fields(@0)",
        "upper": "strings.ToUpper(@0)",
        "lower": "strings.ToLower(@0)",
        "repeat": "strings.Repeat(@0, @1)",
        "replace": "strings.ReplaceAll(@0, @1, @2)",
        "to_str": "strconv.Itoa(@0)",
        "to_str:char": "string(@0)",
        "starts": "strings.HasPrefix(@0, @1)",
        "ends": "strings.HasSuffix(@0, @1)",
        "built": "$0.String()",
        "is_digit": "unicode.IsDigit(@0)",
        "is_alpha": "unicode.IsLetter(@0)",
        "is_upper": "unicode.IsUpper(@0)",
        "is_lower": "unicode.IsLower(@0)",
        "char_upper": "unicode.ToUpper(@0)",
        "char_lower": "unicode.ToLower(@0)",
        "ord": "int(@0)",
        "chr": "rune(@0)",
        "get": "$0[@1]",
        "at": "$0[@1]",
    }

    def public(self, name: str) -> str:
        """Only the function that is asked for is exported."""
        camel = self.name(name)
        return camel[0].upper() + camel[1:] if name == self._whole[0].name else camel

    def import_block(self, code: str) -> str:
        used = [f'\t"{name}"\n' for name in _PACKAGES if f"{name}." in code]
        return f"import (\n{''.join(used)})\n\n" if used else ""

    def docstring(self, lines: Sequence[str]) -> list[str]:
        return [f"// {line}".rstrip() for line in lines]

    def head(self, function: Function) -> str:
        params = ", ".join(f"{self.name(param.name)} {self.type(param.type)}" for param in function.params)
        return f"func {self.public(function.name)}({params}) {self.type(function.result)} {{"

    def type(self, type_: Type) -> str:
        match type_.name:
            case "list":
                return f"[]{self.type(type_.element)}"
            case "map":
                return f"map[{self.type(type_.arguments[0])}]{self.type(type_.value)}"
            case "optional":
                return f"({self.type(type_.element)}, bool)"
        return _TYPES[type_.name]

    def value(self, value: Value, type_: Type) -> str:
        if type_.name == "optional":
            zero = _ZEROS.get(type_.element.name, "nil")
            return f"{zero}, false" if value is None else f"{self.value(value, type_.element)}, true"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quoted(value, "'") if type_ == CHAR else quoted(value)
        if isinstance(value, list):
            return f"{self.type(type_)}{{{', '.join(self.value(item, type_.element) for item in value)}}}"
        if isinstance(value, dict):
            pairs = (f"{self.value(k, type_.arguments[0])}: {self.value(v, type_.value)}" for k, v in value.items())
            return f"{self.type(type_)}{{{', '.join(pairs)}}}"
        return repr(value)

    # Expressions

    def items(self, items: ir.Items) -> Text:
        return f"{self.type(items.type)}{{{', '.join(self.text(item) for item in items.items)}}}", POSTFIX

    # gofmt closes up what holds tighter (go/printer, nodes.go): spaces depend on how deep an expression stands.

    _depth = 1

    def _at(self, depth: int, expr: Expr, place: int = 0) -> str:
        """The expression as it is written at a depth."""
        before, self._depth = self._depth, depth
        try:
            return self.text(expr, place)
        finally:
            self._depth = before

    def text(self, expr: Expr, place: int = 0) -> str:
        text, tightness = self.expr(expr)
        if tightness >= place:
            return text
        return f"({self._at(max(1, self._depth - 1), expr)})"

    def infix(self, expr: ir.Op) -> Text:
        first, second = expr.args
        if expr.op == "add" and isinstance(second, ir.Lit) and isinstance(second.literal, int) and second.literal < 0:
            return self.infix(ir.Op("sub", (first, ir.lit(-second.literal)), expr.type))
        sign, tightness = self.binary[expr.op]
        inner = self.expr(first)[1] if isinstance(first, ir.Op) and first.op in self.binary else None
        left = self._at(self._depth + (inner != tightness), first, tightness + (tightness == COMPARE))
        right = self._at(self._depth + 1, second, tightness + (expr.op not in ("and", "or", "add")))
        levels = self._levels(expr)
        limit = MULTIPLY if self._depth == 1 and levels == {ADD, MULTIPLY} else CAST if self._depth == 1 else ADD
        space = " " if tightness < limit else ""
        return f"{left}{space}{sign}{space}{right}", tightness

    def _levels(self, expr: Expr) -> set[int]:
        """Which of sums and products an expression has outside of parentheses."""
        if not isinstance(expr, ir.Op) or expr.op not in self.binary:
            return set()
        tightness = self.binary[expr.op][1]
        inside = [arg for arg in expr.args if self.expr(arg)[1] >= tightness]
        return set().union(*map(self._levels, inside)) | ({tightness} & {ADD, MULTIPLY})

    def filled(self, name: str, args: Sequence[Expr]) -> Text:
        template = self.templates[name]
        deeper = "[@" in str(template) or ", @" in str(template)
        before, self._depth = self._depth, self._depth + deeper
        try:
            return super().filled(name, args)
        finally:
            self._depth = before

    def expr(self, expr: Expr) -> Text:
        if isinstance(expr, ir.Call) and len(expr.args) > 1:
            arguments = ", ".join(self._at(self._depth + 1, arg) for arg in expr.args)
            return f"{self.public(expr.function)}({arguments})", POSTFIX
        return super().expr(expr)

    def op_fdiv(self, expr: ir.Op) -> Text:
        first, second = (
            ir.Lit(float(arg.literal), FLOAT) if isinstance(arg, ir.Lit) else ir.Op("to_float", (arg,), FLOAT)  # type: ignore[arg-type]
            for arg in expr.args
        )
        return self.expr(ir.op("floor", first / second))

    def op_fmod(self, expr: ir.Op) -> Text:
        first, second = expr.args
        return self.expr(ir.op("tmod", ir.op("tmod", first, second) + second, second))

    def op_divides(self, expr: ir.Op) -> Text:
        return self.expr(ir.op("tmod", *expr.args).eq(0))

    def op_digit(self, expr: ir.Op) -> Text:
        space = " " if self._depth == 1 else ""
        return f"int({self.text(expr.args[0], ADD)}{space}-{space}'0')", POSTFIX

    def op_slice(self, expr: ir.Op) -> Text | None:
        place, start, stop = expr.args
        first = "" if start == ir.lit(0) else self._at(self._depth + 1, start)
        last = self._at(self._depth + 1, stop)
        binary = any(isinstance(one, ir.Op) and one.op in self.binary for one in (start, stop))
        colon = " : " if first and binary and self._depth <= 1 else ":"
        return f"{self.text(place, POSTFIX)}[{first}{colon}{last}]", POSTFIX

    def op_eq(self, expr: ir.Op) -> Text | None:
        return self._bytes(expr)

    def op_ne(self, expr: ir.Op) -> Text | None:
        return self._bytes(expr)

    def _bytes(self, expr: ir.Op) -> Text | None:
        """Places of strings are compared as the bytes that they are."""

        def byte(part: Expr) -> str | None:
            match part:
                case ir.Op("index", (place, index)) if place.type == STR:
                    return f"{self.text(place, POSTFIX)}[{self._at(self._depth + 1, index)}]"
                case ir.Lit(_, type_) if type_ == CHAR:
                    return self.text(part)
            return None

        first, second = (byte(arg) for arg in expr.args)
        if first is None or second is None:
            return None
        return f"{first} {self.binary[expr.op][0]} {second}", COMPARE

    def op_not(self, expr: ir.Op) -> Text | None:
        match expr.args[0]:
            case ir.Op("divides", args):
                return self.expr(ir.op("tmod", *args).ne(0))
            case ir.Op("empty", (value,)):
                return f"len({self.text(value)}) > 0", COMPARE
        return None

    def op_format(self, expr: ir.Op) -> Text:
        if all(part.type == STR for part in expr.args):
            space = " " if self._depth == 1 else ""
            return f"{space}+{space}".join(self._at(self._depth + 1, part, ADD + 1) for part in expr.args), ADD
        if len(expr.args) == 1:
            return self.expr(ir.op("to_str", expr.args[0]))
        pattern, values = "", []
        for part in expr.args:
            if isinstance(part, ir.Lit) and isinstance(part.literal, str):
                pattern += quoted(part.literal)[1:-1].replace("%", "%%")
            else:
                pattern += {"int": "%d", "char": "%c"}.get(part.type.name, "%s")
                values.append(self._at(self._depth + 1, part))
        return f'fmt.Sprintf("{pattern}", {", ".join(values)})', POSTFIX

    def op_copy(self, expr: ir.Op) -> Text:
        return f"append({self.type(expr.type)}{{}}, {self.text(expr.args[0])}...)", POSTFIX

    def declares(self, operation: ir.Op) -> bool:
        if operation.op == "get":  # a missing key gives the zero of its type
            return not is_zero(operation.args[2])
        return operation.op in self.declared or operation.op == "filled"

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        return isinstance(bulk, ir.Sorted | ir.Keys) and (
            isinstance(statement, ir.Let) or sorts_itself(bulk, statement)
        )


def is_zero(value: Expr) -> bool:
    return isinstance(value, ir.Lit) and value.literal in (0, 0.0, False, "") and value.type in (INT, FLOAT, STR, BOOL)
