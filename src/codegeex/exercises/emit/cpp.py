"""C++17: references to const, range-for, <algorithm>."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.emit.base import ADD, ATOM, COMPARE, MULTIPLY, POSTFIX, UNARY, Text, quoted
from codegeex.exercises.emit.braces import Braces, sorts_itself
from codegeex.exercises.ir import Bulk, Expr, Function, Statement
from codegeex.exercises.types import CHAR, FLOAT, INT, STR, Type, Value

_TYPES = {"int": "int", "float": "double", "bool": "bool", "char": "char", "str": "string", "builder": "string"}


class Cpp(Braces):
    keywords = frozenset({
        "alignas", "and", "asm", "auto", "bool", "break", "case", "catch", "char", "class", "const", "continue",
        "default", "delete", "do", "double", "else", "enum", "explicit", "export", "extern", "false", "float", "for",
        "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "not", "operator", "or",
        "private", "protected", "public", "register", "return", "short", "signed", "sizeof", "static", "struct",
        "switch", "template", "this", "throw", "true", "try", "typedef", "typename", "union", "unsigned", "using",
        "virtual", "void", "volatile", "while", "xor", "count", "find", "left", "map", "max", "min", "next", "prev",
        "replace", "right", "size", "sort", "string", "transform",
    })  # fmt: skip
    binary = Braces.binary | {
        "div": ("/", MULTIPLY),
        "tdiv": ("/", MULTIPLY),
        "tmod": ("%", MULTIPLY),
        "truediv": ("/", MULTIPLY),
    }
    declared = frozenset({"split", "words", "upper", "lower", "join", "replace", "repeat"})
    templates = {  # noqa: RUF012 - typed in the base class
        "abs": "abs(@0)",
        "fdiv": "int(floor(double(@0) / $1))",
        "fmod": ("(&0 % $1 + $1) % $1", MULTIPLY),
        "to_float": "double(@0)",
        "sqrt": "sqrt(@0)",
        "floor": "int(floor(@0))",
        "divides": ("&0 % $1 == 0", COMPARE),
        "not": ("!$0", UNARY),
        "len": "int($0.size())",
        "empty": "$0.empty()",
        "index": "$0[@1]",
        "last": "$0.back()",
        "contains": ("find($0.begin(), $0.end(), @1) != $0.end()", COMPARE),
        "copy": ("@0", ATOM),
        "has": ("$0.find(@1) != string::npos", COMPARE),
        "to_str": "to_string(@0)",
        "to_str:char": "string(1, @0)",
        "parse_int": "stoi(@0)",
        "starts": ("$0.rfind(@1, 0) == 0", COMPARE),
        "ends": ("$0.size() >= $1.size() && $0.compare($0.size() - $1.size(), $1.size(), @1) == 0", 2),
        "builder": '""',
        "built": ("@0", ATOM),
        "is_digit": "isdigit(@0)",
        "is_alpha": "isalpha(@0)",
        "is_upper": "isupper(@0)",
        "is_lower": "islower(@0)",
        "char_upper": "char(toupper(@0))",
        "char_lower": "char(tolower(@0))",
        "ord": "int(@0)",
        "chr": "char(@0)",
        "digit": ("#0 - '0'", ADD),
        "get": ("$0.count(@1) ? $0.at(@1) : @2", 0),
        "has_key": ("$0.count(@1) > 0", COMPARE),
        "at": "$0.at(@1)",
        "some": ("@0", ATOM),
    }
    imports = (
        (
            r"(?<![.\w])(sort|find|reverse|max|min|max_element|min_element|stable_sort|transform)\(",
            "#include <algorithm>",
        ),
        (r"\b(isdigit|isalpha|isupper|islower|isspace|toupper|tolower)\b", "#include <cctype>"),
        (r"\b(sqrt|floor|fabs)\(", "#include <cmath>"),
        (r"\babs\(", "#include <cstdlib>"),
        (r"\bmap<", "#include <map>"),
        (r"\baccumulate\(", "#include <numeric>"),
        (r"\boptional<", "#include <optional>"),
        (r"\bistringstream\b", "#include <sstream>"),
        (r"\b(string|to_string)\b", "#include <string>"),
        (r"\bvector<", "#include <vector>"),
    )

    def import_block(self, code: str) -> str:
        return f"{super().import_block(code)}using namespace std;\n\n".replace("\n\nusing", "\nusing")

    def head(self, function: Function) -> str:
        params = ", ".join(f"{self.param(param.type)}{self.name(param.name)}" for param in function.params)
        return f"{self.type(function.result)} {self.public(function.name)}({params}) {{"

    def public(self, name: str) -> str:
        return name

    def param(self, type_: Type) -> str:
        return f"{self.type(type_)} " if type_.scalar else f"const {self.type(type_)}& "

    def type(self, type_: Type) -> str:
        match type_.name:
            case "list":
                return f"vector<{self.type(type_.element)}>"
            case "map":
                return f"map<{self.type(type_.arguments[0])}, {self.type(type_.value)}>"
            case "optional":
                return f"optional<{self.type(type_.element)}>"
        return _TYPES[type_.name]

    def value(self, value: Value, type_: Type) -> str:
        if value is None:
            return "nullopt"
        if type_.name == "optional":
            return self.value(value, type_.element)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return quoted(value, "'") if type_ == CHAR else quoted(value)
        if isinstance(value, list):
            return f"{{{', '.join(self.value(item, type_.element) for item in value)}}}"
        if isinstance(value, dict):
            pairs = (f"{{{self.value(k, type_.arguments[0])}, {self.value(v, type_.value)}}}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        return repr(value)

    # Expressions

    def items(self, items: ir.Items) -> Text:
        return f"{self.type(items.type)}{{{', '.join(self.text(item) for item in items.items)}}}", POSTFIX

    def op_not(self, expr: ir.Op) -> Text | None:
        match expr.args[0]:
            case ir.Op("contains" | "has" | "char_in" | "has_key" | "divides") as inner:
                text = self.text(inner)
                for sign, other in ((" != ", " == "), (" == ", " != "), (" > 0", " == 0")):
                    if sign in text:
                        return text.replace(sign, other), COMPARE
        return None

    def op_slice(self, expr: ir.Op) -> Text:
        place, start, stop = expr.args
        name = self.text(place, POSTFIX)
        if place.type == STR:
            size = stop if start == ir.lit(0) else ir.op("sub", stop, start)
            return f"{name}.substr({self.text(start)}, {self.text(size)})", POSTFIX
        first = f"{name}.begin()" if start == ir.lit(0) else f"{name}.begin() + {self.text(start, ADD + 1)}"
        return f"{self.type(place.type)}({first}, {name}.begin() + {self.text(stop, ADD + 1)})", POSTFIX

    def op_from(self, expr: ir.Op) -> Text:
        place, start = expr.args
        name = self.text(place, POSTFIX)
        if place.type == STR:
            return f"{name}.substr({self.text(start)})", POSTFIX
        return f"{self.type(place.type)}({name}.begin() + {self.text(start, ADD + 1)}, {name}.end())", POSTFIX

    def op_ends(self, expr: ir.Op) -> Text | None:
        place, tail = (self.text(arg, POSTFIX) for arg in expr.args)
        match expr.args[1]:
            case ir.Lit(str() as text):
                size = len(text)
                return f"{place}.size() >= {size} && {place}.compare({place}.size() - {size}, {size}, {tail}) == 0", 2
        return None

    def op_char_in(self, expr: ir.Op) -> Text:
        place, item = expr.args
        text = f"string({self.text(place)})" if isinstance(place, ir.Lit) else self.text(place, POSTFIX)
        return f"{text}.find({self.text(item)}) != string::npos", COMPARE

    def op_filled(self, expr: ir.Op) -> Text:
        zero, count = expr.args
        second = "" if zero == ir.lit(0) else f", {self.text(zero)}"
        return f"{self.type(expr.type)}({self.text(count)}{second})", POSTFIX

    def op_format(self, expr: ir.Op) -> Text:
        parts = []
        for number, part in enumerate(expr.args):
            if part.type == INT:
                parts.append(f"to_string({self.text(part)})")
            elif part.type == CHAR and number == 0:
                parts.append(f"string(1, {self.text(part)})")
            elif (
                number == 0
                and isinstance(part, ir.Lit)
                and (isinstance(expr.args[1], ir.Lit) or expr.args[1].type == CHAR)
            ):
                parts.append(f"string({self.text(part)})")
            else:
                parts.append(self.text(part, ADD + 1))
        return " + ".join(parts), ADD if len(parts) > 1 else POSTFIX

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        match bulk:
            case ir.Fold("sum" | "min" | "max", var, source, value, None):
                return value == var and not isinstance(source, ir.Range) and source.type.name == "list"
            case ir.Reversed(source):
                return source.type == STR or isinstance(statement, ir.Let)
            case ir.Sorted():
                return isinstance(statement, ir.Let) or sorts_itself(bulk, statement)
            case ir.Extreme():
                return True
            case ir.Keys():
                return isinstance(statement, ir.For)
        return False

    def bulk(self, expr: Expr) -> Text:
        match expr:
            case ir.Fold(kind, _, source, _, _):
                name = self.text(source, POSTFIX)
                if kind == "sum":
                    zero = "0.0" if expr.type == FLOAT else "0"
                    return f"accumulate({name}.begin(), {name}.end(), {zero})", POSTFIX
                return f"*{kind}_element({name}.begin(), {name}.end())", UNARY
            case ir.Reversed(source):
                name = self.text(source, POSTFIX)
                return f"{self.type(source.type)}({name}.rbegin(), {name}.rend())", POSTFIX
            case ir.Extreme(kind, first, second):
                return f"{kind}({self.text(first)}, {self.text(second)})", POSTFIX
        return super().bulk(expr)

    # Statements

    def declare(self, name: ir.Name, value: Expr) -> None:
        kind, text = self.type(value.type), self.name(name.name)
        match value:
            case ir.Items(items):
                self.say(f"{kind} {text}" + (f" = {{{', '.join(self.text(item) for item in items)}}}" if items else ""))
            case ir.Op("builder"):
                self.say(f"string {text}")
            case ir.Keys(source):
                self.say(f"{kind} {text}")
                entry = self.fresh("entry")
                self._line(f"for (const auto& {entry} : {self.text(source)}) {{")
                self._line(f"{self.indent}{text}.push_back({entry}.first);")
                self._line("}")
            case ir.Op("filled" | "slice" | "from") | ir.Reversed() if value.type.name == "list" or isinstance(
                value, ir.Reversed
            ):
                self.say(f"{kind} {text}{self.text(value).removeprefix(kind)}")
            case _:
                self.say(f"{kind} {text} = {self.text(value)}")

    def let_sorted(self, name: ir.Name, value: ir.Sorted) -> None:
        self.say(f"{self.type(value.type)} {self.name(name.name)} = {self.text(value.source)}")
        self.sort(name, value)

    def sort(self, name: ir.Name, value: ir.Sorted) -> None:
        text = self.name(name.name)
        if value.keys == ((value.var, False),):
            self.say(f"sort({text}.begin(), {text}.end())")
            return
        if value.keys == ((value.var, True),):
            self.say(f"sort({text}.rbegin(), {text}.rend())")
            return
        param = self.param(value.var.type)
        self._line(f"stable_sort({text}.begin(), {text}.end(), []({param}a, {param}b) {{")
        for number, (a, b, down) in enumerate(self.sides(value), 1):
            left, right = self.text(a, COMPARE + 1), self.text(b, COMPARE + 1)
            test = f"return {left} {'>' if down else '<'} {right};"
            self._line(self.indent + (test if number == len(value.keys) else f"if ({left} != {right}) {test}"))
        self._line("});")

    def let_split(self, name: ir.Name, text: Expr, separator: Expr) -> None:
        self._read(name, ir.Op("split", (text, separator), name.type))

    def let_words(self, name: ir.Name, text: Expr) -> None:
        self._read(name, ir.Op("words", (text,), name.type))

    def _next(self, source: ir.Op, stream: str, part: str) -> str:
        """The condition that reads the next part of a text."""
        if source.op == "words":
            return f"{stream} >> {part}"
        separator = source.args[1]
        mark = quoted(str(separator.literal), "'") if isinstance(separator, ir.Lit) else f"{self.text(separator)}[0]"
        return f"getline({stream}, {part}, {mark})"

    def _read(self, name: ir.Name, source: ir.Op) -> None:
        made, stream, part = self.name(name.name), self.fresh("stream"), self.fresh("part")
        self.say(f"vector<string> {made}")
        self.say(f"istringstream {stream}({self.text(source.args[0])})")
        self.say(f"string {part}")
        self._line(f"while ({self._next(source, stream, part)}) {{")
        self._line(f"{self.indent}{made}.push_back({part});")
        self._line("}")

    def let_upper(self, name: ir.Name, text: Expr) -> None:
        self._transform(name, text, "toupper")

    def let_lower(self, name: ir.Name, text: Expr) -> None:
        self._transform(name, text, "tolower")

    def _transform(self, name: ir.Name, text: Expr, function: str) -> None:
        made = self.name(name.name)
        self.say(f"string {made} = {self.text(text)}")
        self.say(f"transform({made}.begin(), {made}.end(), {made}.begin(), ::{function})")

    def let_join(self, name: ir.Name, parts: Expr, separator: Expr) -> None:
        made, index, source = self.name(name.name), self.fresh("i"), self.text(parts, POSTFIX)
        self.say(f"string {made}")
        self._line(f"for (int {index} = 0; {index} < int({source}.size()); {index}++) {{")
        if separator != ir.lit(""):
            self._line(f"{self.indent}if ({index} > 0) {made} += {self.text(separator)};")
        self._line(f"{self.indent}{made} += {source}[{index}];")
        self._line("}")

    def let_replace(self, name: ir.Name, text: Expr, old: Expr, new: Expr) -> None:
        made, at = self.name(name.name), self.fresh("at")
        old_text, old_size = self._sized(old)
        new_text, new_size = self._sized(new)
        self.say(f"string {made} = {self.text(text)}")
        self.say(f"size_t {at} = {made}.find({old_text})")
        self._line(f"while ({at} != string::npos) {{")
        self._line(f"{self.indent}{made}.replace({at}, {old_size}, {new_text});")
        self._line(f"{self.indent}{at} = {made}.find({old_text}, {at} + {new_size});")
        self._line("}")

    def _sized(self, text: Expr) -> tuple[str, str]:
        if isinstance(text, ir.Lit):
            return self.text(text), str(len(str(text.literal)))
        return self.text(text), f"{self.text(text, POSTFIX)}.size()"

    def let_repeat(self, name: ir.Name, text: Expr, count: Expr) -> None:
        made = self.name(name.name)
        match text:
            case ir.Lit(str() as value) if len(value) == 1:
                self.say(f"string {made}({self.text(count)}, {quoted(value, chr(39))})")
            case ir.Op("to_str", (inner,)) if inner.type == CHAR:
                self.say(f"string {made}({self.text(count)}, {self.text(inner)})")
            case _:
                index = self.fresh("i")
                self.say(f"string {made}")
                self._line(f"for (int {index} = 0; {index} < {self.text(count, ADD)}; {index}++) {{")
                self._line(f"{self.indent}{made} += {self.text(text)};")
                self._line("}")

    def do_for(self, statement: ir.For) -> None:
        var, source = self.name(statement.var.name), statement.source
        if isinstance(source, ir.Op) and source.op in ("split", "words"):
            stream = self.fresh("stream")
            self.say(f"istringstream {stream}({self.text(source.args[0])})")
            self.say(f"string {var}")
            self.inside(f"while ({self._next(source, stream, var)})", statement.body)
        elif isinstance(source, ir.Range):
            self.inside(f"for ({self.counted(var, source, f'int {var}')})", statement.body)
        elif isinstance(source, ir.Keys):
            entry = self.fresh("entry")
            self._line(f"for (const auto& {entry} : {self.text(source.source)}) {{")
            self.depth += 1
            self.say(f"{self.param(statement.var.type)}{var} = {entry}.first")
            self.block(statement.body)
            self.depth -= 1
            self._line("}")
        elif statement.index:
            index = self.name(statement.index.name)
            self._line(f"for (int {index} = 0; {index} < int({self.text(source, POSTFIX)}.size()); {index}++) {{")
            self.depth += 1
            self.say(f"{self.param(statement.var.type)}{var} = {self.text(source, POSTFIX)}[{index}]")
            self.block(statement.body)
            self.depth -= 1
            self._line("}")
        else:
            self.inside(f"for ({self.param(statement.var.type)}{var} : {self.text(source)})", statement.body)

    def do_append(self, statement: ir.Append) -> None:
        value = statement.value
        if isinstance(value, ir.Items):
            text = f"{{{', '.join(self.text(item) for item in value.items)}}}"
        else:
            text = self.text(value)
        self.say(f"{self.name(statement.target.name)}.push_back({text})")

    def do_pop(self, statement: ir.Pop) -> None:
        self.say(f"{self.name(statement.target.name)}.pop_back()")

    def do_increment(self, statement: ir.Increment) -> None:
        place = f"{self.name(statement.target.name)}[{self.text(statement.key)}]"
        self.say(f"{place}++" if statement.amount == ir.lit(1) else f"{place} += {self.text(statement.amount)}")

    def do_group(self, statement: ir.Group) -> None:
        place = f"{self.name(statement.target.name)}[{self.text(statement.key)}]"
        self.say(f"{place}.push_back({self.text(statement.value)})")

    def do_write(self, statement: ir.Write) -> None:
        self.say(f"{self.name(statement.target.name)} += {self.text(statement.value)}")
