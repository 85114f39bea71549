"""Go: slices, maps, := and plain loops."""

from __future__ import annotations

from codegeex.exercises import ir
from codegeex.exercises.emit.base import COMPARE, POSTFIX, uses
from codegeex.exercises.emit.go_expressions import GoExpressions, is_zero
from codegeex.exercises.ir import Expr
from codegeex.exercises.lowering import substituted
from codegeex.exercises.types import CHAR, STR, Type

_SORTS = {"int": "Ints", "float": "Float64s", "str": "Strings"}


class Go(GoExpressions):
    """Statements; expressions are in `go_expressions`."""

    def declare(self, name: ir.Name, value: Expr) -> None:
        made = self.name(name.name)
        match value:
            case ir.Op("builder"):
                self.say(f"var {made} strings.Builder")
            case ir.Op("slice" | "from") if value.type != STR:
                self.say(f"{made} := append({self.type(value.type)}{{}}, {self.text(value)}...)")
            case ir.Keys(source):
                key = self.name("key")  # of its own block
                self.say(f"{made} := make({self.type(name.type)}, 0, len({self.text(source)}))")
                self._line(f"for {key} := range {self.text(source)} {{")
                self._line(f"{self.indent}{made} = append({made}, {key})")
                self._line("}")
                self._natural_order(made, name.type.element)
            case _:
                self.say(f"{made} := {self.text(value)}")

    def _natural_order(self, made: str, element: Type) -> None:
        if element.name in _SORTS:
            self.say(f"sort.{_SORTS[element.name]}({made})")
        else:
            self.say(f"sort.Slice({made}, func(i, j int) bool {{ return {made}[i] < {made}[j] }})")

    def let_sorted(self, name: ir.Name, value: ir.Sorted) -> None:
        self.say(f"{self.name(name.name)} := append({self.type(name.type)}{{}}, {self.text(value.source)}...)")
        self.sort(name, value)

    def sort(self, name: ir.Name, value: ir.Sorted) -> None:
        made = self.name(name.name)
        if value.keys == ((value.var, False),):
            self._natural_order(made, value.var.type)
            return
        self._line(f"sort.SliceStable({made}, func(i, j int) bool {{")
        for number, (a, b, down) in enumerate(self.sides(value, "a", "b"), 1):
            left, right = self._placed(a, made), self._placed(b, made)
            test = f"return {left} {'>' if down else '<'} {right}"
            if number == len(value.keys):
                self._line(f"{self.indent}{test}")
            else:
                self._line(f"{self.indent}if {left} != {right} {{")
                self._line(f"{self.indent * 2}{test}")
                self._line(f"{self.indent}}}")
        self._line("})")

    def _placed(self, expr: Expr, made: str) -> str:
        """An expression of a or b, in terms of the places i and j."""
        for side, place in (("a", "i"), ("b", "j")):
            for node in list(ir.walk(expr)):
                if isinstance(node, ir.Name) and node.name == side:
                    expr = substituted(expr, node, ir.Name(f"{made}[{place}]", node.type))
        return self._at(2, expr, COMPARE + 1)

    def let_contains(self, name: ir.Name, place: Expr, item: Expr) -> None:
        made, each = self.name(name.name), self.fresh("item")
        self.say(f"{made} := false")
        self._line(f"for _, {each} := range {self.text(place)} {{")
        self._line(f"{self.indent}if {each} == {self.text(item, COMPARE + 1)} {{")
        self._line(f"{self.indent * 2}{made} = true")
        self._line(f"{self.indent * 2}break")
        self._line(f"{self.indent}}}")
        self._line("}")

    def let_has_key(self, name: ir.Name, table: Expr, key: Expr) -> None:
        self.say(f"_, {self.name(name.name)} := {self.text(table, POSTFIX)}[{self.text(key)}]")

    def let_parse_int(self, name: ir.Name, text: Expr) -> None:
        self.say(f"{self.name(name.name)}, _ := strconv.Atoi({self.text(text)})")

    def let_get(self, name: ir.Name, table: Expr, key: Expr, default: Expr) -> None:
        made, known = self.name(name.name), self.fresh("ok")
        self.say(f"{made}, {known} := {self.text(table, POSTFIX)}[{self.text(key)}]")
        self._line(f"if !{known} {{")
        self._line(f"{self.indent}{made} = {self.text(default)}")
        self._line("}")

    def let_filled(self, name: ir.Name, zero: Expr, count: Expr) -> None:
        made = self.name(name.name)
        self.say(f"{made} := make({self.type(name.type)}, {self.text(count)})")
        if is_zero(zero):
            return
        index = self.fresh("i")
        self._line(f"for {index} := range {made} {{")
        match zero:
            case ir.Op("filled", (inner, size)) if is_zero(inner):
                text = f"make({self.type(zero.type)}, {self.text(size)})"
            case _:
                text = self.text(zero)
        self._line(f"{self.indent}{made}[{index}] = {text}")
        self._line("}")

    def do_if(self, statement: ir.If) -> None:
        match statement.branches:
            case ((ir.Op("has_key", (table, key)), body),):
                sign = ""
            case ((ir.Op("not", (ir.Op("has_key", (table, key)),)), body),):
                sign = "!"
            case _:
                super().do_if(statement)
                return
        test = f"if _, ok := {self.text(table, POSTFIX)}[{self.text(key)}]; {sign}ok"
        self.inside(test, body, close=not statement.otherwise)
        if statement.otherwise:
            self.inside("} else", statement.otherwise)

    def do_return(self, statement: ir.Return) -> None:
        value = statement.value
        match value:
            case ir.Lit(None):
                self.say(f"return {self.value(None, self.function.result)}")
            case ir.Op("some", (inner,)):
                self.say(f"return {self.text(inner)}, true")
            case _:
                super().do_return(statement)

    def do_for(self, statement: ir.For) -> None:
        source, var = statement.source, self.name(statement.var.name)
        if isinstance(source, ir.Range):
            start = self.text(source.start)
            self._depth = 2  # of what stands beside a comparison
            heading = self.counted(var, source, f"{var} :").replace(" : = ", " := ")
            self._depth = 1
            before, _, after = heading.partition(";")
            self.inside(f"for {before.partition(' := ')[0]} := {start};{after}", statement.body)
            return
        used = uses(statement.body, statement.var)
        index = self.name(statement.index.name) if statement.index and uses(statement.body, statement.index) else "_"
        names = f"{index}, {var} := " if used else f"{index} := " if index != "_" else ""
        self.inside(f"for {names}range {self.text(source)}", statement.body)

    def do_append(self, statement: ir.Append) -> None:
        name = self.name(statement.target.name)
        self.say(f"{name} = append({name}, {self._at(2, statement.value)})")

    def do_pop(self, statement: ir.Pop) -> None:
        name = self.name(statement.target.name)
        self.say(f"{name} = {name}[:len({name})-1]")

    def do_setitem(self, statement: ir.SetItem) -> None:
        place = f"{self.text(statement.target, POSTFIX)}[{self._at(2, statement.index)}]"
        self.say(f"{place} = {self.text(statement.value)}")

    def do_increment(self, statement: ir.Increment) -> None:
        place = f"{self.name(statement.target.name)}[{self._at(2, statement.key)}]"
        self.say(f"{place}++" if statement.amount == ir.lit(1) else f"{place} += {self.text(statement.amount)}")

    def do_group(self, statement: ir.Group) -> None:
        place = f"{self.name(statement.target.name)}[{self.text(self.held(statement.key, 'key'))}]"
        self.say(f"{place} = append({place}, {self._at(2, statement.value)})")

    def do_write(self, statement: ir.Write) -> None:
        method = "WriteRune" if statement.value.type == CHAR else "WriteString"
        self.say(f"{self.name(statement.target.name)}.{method}({self.text(statement.value)})")
