"""Java 17: interfaces for lists and maps, StringBuilder, loops rather than streams."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.emit.base import ADD, COMPARE, MULTIPLY, POSTFIX, UNARY, Text, quoted
from codegeex.exercises.emit.braces import Braces, sorts_itself
from codegeex.exercises.ir import Bulk, Expr, Function, Statement
from codegeex.exercises.types import BUILDER, CHAR, FLOAT, INT, STR, Type, Value

_TYPES = {
    "int": "int", "float": "double", "bool": "boolean", "char": "char", "str": "String", "builder": "StringBuilder",
}  # fmt: skip
_BOXES = {"int": "Integer", "float": "Double", "bool": "Boolean", "char": "Character"}


_SPECIAL = frozenset(".|*+?^$()[]{}\\")
"""What a regular expression reads as something else."""


class Java(Braces):
    case = "camel"
    keywords = frozenset({
        "abstract", "assert", "boolean", "break", "byte", "case", "catch", "char", "class", "const", "continue",
        "default", "do", "double", "else", "enum", "extends", "final", "finally", "float", "for", "goto", "if",
        "implements", "import", "instanceof", "int", "interface", "long", "native", "new", "package", "private",
        "protected", "public", "return", "short", "static", "super", "switch", "this", "throw", "throws", "try",
        "void", "volatile", "while", "true", "false", "null",
    })  # fmt: skip
    unit_indent = 1
    frame = ("class Solution {\n", "\n}")
    imports = (
        (r"\b(List|ArrayList|Arrays|Map|HashMap|TreeMap|Collections|Comparator|Optional)\b", "import java.util.*;"),
    )
    binary = Braces.binary | {
        "div": ("/", MULTIPLY),
        "tdiv": ("/", MULTIPLY),
        "tmod": ("%", MULTIPLY),
        "truediv": ("/", MULTIPLY),
    }
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "Math.abs(@0)",
        "fdiv": "Math.floorDiv(@0, @1)",
        "fmod": "Math.floorMod(@0, @1)",
        "to_float": ("(double) $0", UNARY),
        "sqrt": "Math.sqrt(@0)",
        "floor": ("(int) Math.floor(@0)", UNARY),
        "divides": ("&0 % $1 == 0", COMPARE),
        "not": ("!$0", UNARY),
        "len": "$0.size()",
        "len:str": "$0.length()",
        "empty": "$0.isEmpty()",
        "index": "$0.get(@1)",
        "index:str": "$0.charAt(@1)",
        "last": "$0.get($0.size() - 1)",
        "last:str": "$0.charAt($0.length() - 1)",
        "slice": "new ArrayList<>($0.subList(@1, @2))",
        "slice:str": "$0.substring(@1, @2)",
        "from": "new ArrayList<>($0.subList(@1, $0.size()))",
        "from:str": "$0.substring(@1)",
        "contains": "$0.contains(@1)",
        "has": "$0.contains(@1)",
        "char_in": ("$0.indexOf(@1) >= 0", COMPARE),
        "copy": "new ArrayList<>(@0)",
        "filled": "new ArrayList<>(Collections.nCopies(@1, @0))",
        "join": "String.join(@1, @0)",
        "words": 'Arrays.asList($0.trim().split("\\\\s+"))',
        "upper": "$0.toUpperCase()",
        "lower": "$0.toLowerCase()",
        "repeat": "$0.repeat(@1)",
        "replace": "$0.replace(@1, @2)",
        "to_str": "String.valueOf(@0)",
        "parse_int": "Integer.parseInt(@0)",
        "starts": "$0.startsWith(@1)",
        "ends": "$0.endsWith(@1)",
        "builder": "new StringBuilder()",
        "built": "$0.toString()",
        "is_digit": "Character.isDigit(@0)",
        "is_alpha": "Character.isLetter(@0)",
        "is_upper": "Character.isUpperCase(@0)",
        "is_lower": "Character.isLowerCase(@0)",
        "char_upper": "Character.toUpperCase(@0)",
        "char_lower": "Character.toLowerCase(@0)",
        "ord": ("(int) $0", UNARY),
        "chr": ("(char) $0", UNARY),
        "digit": ("#0 - '0'", ADD),
        "get": "$0.getOrDefault(@1, @2)",
        "has_key": "$0.containsKey(@1)",
        "at": "$0.get(@1)",
        "some": "Optional.of(@0)",
    }

    def head(self, function: Function) -> str:
        access = "public" if function is self._whole[0] else "private"
        params = ", ".join(f"{self.type(param.type)} {self.name(param.name)}" for param in function.params)
        return f"{access} {self.type(function.result)} {self.public(function.name)}({params}) {{"

    def box(self, type_: Type) -> str:
        return _BOXES.get(type_.name) or self.type(type_)

    def type(self, type_: Type) -> str:
        match type_.name:
            case "list":
                return f"List<{self.box(type_.element)}>"
            case "map":
                return f"Map<{self.box(type_.arguments[0])}, {self.box(type_.value)}>"
            case "optional":
                return f"Optional<{self.box(type_.element)}>"
        return _TYPES[type_.name]

    def value(self, value: Value, type_: Type) -> str:
        if type_.name == "optional":
            return "Optional.empty()" if value is None else f"Optional.of({self.value(value, type_.element)})"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quoted(value, "'") if type_ == CHAR else quoted(value)
        if isinstance(value, list):
            return f"Arrays.asList({', '.join(self.value(item, type_.element) for item in value)})"
        if isinstance(value, dict):
            pairs = (f"{self.value(k, type_.arguments[0])}, {self.value(v, type_.value)}" for k, v in value.items())
            return f"Map.of({', '.join(pairs)})"
        return repr(value)

    # Expressions

    def items(self, items: ir.Items) -> Text:
        if items.type.name == "map":
            return f"new {'TreeMap' if self.ordered else 'HashMap'}<>()", POSTFIX
        if not items.items:
            return "new ArrayList<>()", POSTFIX
        return f"new ArrayList<>(Arrays.asList({', '.join(self.text(item) for item in items.items)}))", POSTFIX

    def op_not(self, expr: ir.Op) -> Text | None:
        match expr.args[0]:
            case ir.Op("divides", (value, by)):
                return f"{self.text(value, MULTIPLY)} % {self.text(by, POSTFIX)} != 0", COMPARE
            case ir.Op("char_in", (place, item)):
                return f"{self.text(place, POSTFIX)}.indexOf({self.text(item)}) < 0", COMPARE
        return None

    def op_eq(self, expr: ir.Op) -> Text | None:
        return self._equal(expr, "")

    def op_ne(self, expr: ir.Op) -> Text | None:
        return self._equal(expr, "!")

    def _equal(self, expr: ir.Op, sign: str) -> Text | None:
        """Strings and boxed numbers are compared by `equals`."""
        first, second = expr.args
        if first.type == STR or (_boxed(first) and _boxed(second)):
            return f"{sign}{self.text(first, POSTFIX)}.equals({self.text(second)})", UNARY if sign else POSTFIX
        return None

    def infix(self, expr: ir.Op) -> Text:
        first, second = expr.args
        if expr.op in ("lt", "le", "gt", "ge") and first.type == STR:
            sign = self.binary[expr.op][0]
            return f"{self.text(first, POSTFIX)}.compareTo({self.text(second)}) {sign} 0", COMPARE
        return super().infix(expr)

    def op_filled(self, expr: ir.Op) -> Text | None:
        zero, count = expr.args
        if zero.type.scalar or zero.type == STR:
            return None
        return f"new ArrayList<>({self.text(count)})", POSTFIX

    def op_split(self, expr: ir.Op) -> Text:
        text, separator = expr.args
        mark = str(separator.literal) if isinstance(separator, ir.Lit) else ""
        pattern = quoted(f"\\{mark}" if mark in _SPECIAL else mark)
        if not isinstance(separator, ir.Lit):
            pattern = self.text(separator)
        # -1 keeps empty parts at the end, which Java alone would drop
        return f"Arrays.asList({self.text(text, POSTFIX)}.split({pattern}, -1))", POSTFIX

    def op_format(self, expr: ir.Op) -> Text:
        parts = [self.text(part, ADD + 1) for part in expr.args]
        if STR not in (part.type for part in expr.args[:2]):
            parts.insert(0, '""')
        return " + ".join(parts), ADD

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        match bulk:
            case ir.Fold("min" | "max", var, source, value, None):
                return value == var and not isinstance(source, ir.Range) and source.type.name == "list"
            case ir.Reversed(source):
                return source.type == STR or isinstance(statement, ir.Let)
            case ir.Sorted():
                return isinstance(statement, ir.Let) or sorts_itself(bulk, statement)
            case ir.Extreme() | ir.Keys():
                return True
        return False

    def bulk(self, expr: Expr) -> Text:
        match expr:
            case ir.Fold(kind, _, source, _, _):
                return f"Collections.{kind}({self.text(source)})", POSTFIX
            case ir.Reversed(source):
                return f"new StringBuilder({self.text(source)}).reverse().toString()", POSTFIX
            case ir.Extreme(kind, first, second):
                return f"Math.{kind}({self.text(first)}, {self.text(second)})", POSTFIX
            case ir.Keys(source):
                return f"new ArrayList<>({self.text(source, POSTFIX)}.keySet())", POSTFIX
        return super().bulk(expr)

    # Statements

    def declare(self, name: ir.Name, value: Expr) -> None:
        made, kind = self.name(name.name), self.type(name.type)
        match value:
            case ir.Reversed(source) if source.type != STR:
                self.say(f"{kind} {made} = new ArrayList<>({self.text(source)})")
                self.say(f"Collections.reverse({made})")
            case ir.Op("filled", (zero, count)) if not zero.type.scalar and zero.type != STR:
                index = self.fresh("i")
                self.say(f"{kind} {made} = new ArrayList<>()")
                self._line(f"for (int {index} = 0; {index} < {self.text(count, ADD)}; {index}++) {{")
                self._line(f"{self.indent}{made}.add({self.text(zero)});")
                self._line("}")
            case _:
                self.say(f"{kind} {made} = {self.text(value)}")

    def let_sorted(self, name: ir.Name, value: ir.Sorted) -> None:
        self.say(f"{self.type(name.type)} {self.name(name.name)} = new ArrayList<>({self.text(value.source)})")
        self.sort(name, value)

    def sort(self, name: ir.Name, value: ir.Sorted) -> None:
        made = self.name(name.name)
        if value.keys == ((value.var, False),):
            self.say(f"Collections.sort({made})")
        elif value.keys == ((value.var, True),):
            self.say(f"{made}.sort(Collections.reverseOrder())")
        elif len(value.keys) == 1:
            self.say(f"{made}.sort((a, b) -> {self._compared(*self.sides(value)[0])})")
        else:
            self._line(f"{made}.sort((a, b) -> {{")
            for number, (a, b, down) in enumerate(self.sides(value), 1):
                if number == len(value.keys):
                    self._line(f"{self.indent}return {self._compared(a, b, down)};")
                else:
                    objects = f"!{self.text(a)}.equals({self.text(b)})"  # `!=` would ask whether they are the same
                    test = objects if isinstance(a, ir.Name) else self.operation(ir.Op("ne", (a, b), a.type))[0]
                    self._line(f"{self.indent}if ({test}) return {self._compared(a, b, down)};")
            self._line("});")

    def _compared(self, a: Expr, b: Expr, down: bool) -> str:
        first, second = (b, a) if down else (a, b)
        if first.type == STR:
            return f"{self.text(first, POSTFIX)}.compareTo({self.text(second)})"
        return f"{self.box(first.type)}.compare({self.text(first)}, {self.text(second)})"

    def do_for(self, statement: ir.For) -> None:
        var, source = self.name(statement.var.name), statement.source
        kind = self.type(statement.var.type)
        if isinstance(source, ir.Range):
            self.inside(f"for ({self.counted(var, source, f'int {var}')})", statement.body)
        elif isinstance(source, ir.Keys):
            self.inside(f"for ({kind} {var} : {self.text(source.source, POSTFIX)}.keySet())", statement.body)
        elif statement.index or (source.type == STR and not isinstance(source, ir.Name)):
            index = self.name(statement.index.name) if statement.index else self.fresh("i")
            size = self.text(ir.op("len", source))
            self._line(f"for (int {index} = 0; {index} < {size}; {index}++) {{")
            self.depth += 1
            get = "charAt" if source.type == STR else "get"
            self.say(f"{kind} {var} = {self.text(source, POSTFIX)}.{get}({index})")
            self.block(statement.body)
            self.depth -= 1
            self._line("}")
        else:
            text = self.text(source, POSTFIX)
            if isinstance(source, ir.Op) and source.op in ("split", "words"):  # an array will do
                text = text.removeprefix("Arrays.asList(").removesuffix(")")
            self.inside(f"for ({kind} {var} : {text}{'.toCharArray()' if source.type == STR else ''})", statement.body)

    def do_append(self, statement: ir.Append) -> None:
        self.say(f"{self.name(statement.target.name)}.add({self.text(statement.value)})")

    def do_pop(self, statement: ir.Pop) -> None:
        name = self.name(statement.target.name)
        self.say(f"{name}.remove({name}.size() - 1)")

    def do_setitem(self, statement: ir.SetItem) -> None:
        method = "put" if statement.target.type.name == "map" else "set"
        place = self.text(statement.target, POSTFIX)
        self.say(f"{place}.{method}({self.text(statement.index)}, {self.text(statement.value)})")

    def do_increment(self, statement: ir.Increment) -> None:
        number = "Double" if statement.amount.type == FLOAT else "Integer"
        self.say(
            f"{self.name(statement.target.name)}.merge({self.text(statement.key)}, {self.text(statement.amount)}, "
            f"{number}::sum)"
        )

    def do_group(self, statement: ir.Group) -> None:
        place, key = self.name(statement.target.name), self.fresh("ignored")
        self.say(
            f"{place}.computeIfAbsent({self.text(statement.key)}, {key} -> new ArrayList<>())"
            f".add({self.text(statement.value)})"
        )

    def do_write(self, statement: ir.Write) -> None:
        self.say(f"{self.name(statement.target.name)}.append({self.text(statement.value)})")


def _boxed(expr: Expr) -> bool:
    """Whether an expression is an object where a number is meant."""
    match expr:
        case ir.Op("index" | "last" | "get" | "at", (place, *_)):
            return place.type != STR and expr.type in (INT, FLOAT, CHAR) and place.type != BUILDER
    return False
