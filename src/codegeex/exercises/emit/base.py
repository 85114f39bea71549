"""What the emitters share: the walk over statements, names, parentheses, and how a unit falls into parts."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from codegeex.errors import CodeGeeXError
from codegeex.exercises import ir
from codegeex.exercises.ir import Block, Bulk, Expr, Function, Name, Statement
from codegeex.exercises.lowering import lowered
from codegeex.exercises.types import Type, Value

OR, AND, NOT, COMPARE, ADD, MULTIPLY, CAST, UNARY, POSTFIX, ATOM = range(1, 11)
"""How tightly an expression holds together; parentheses come where a part holds less than its place asks."""

Text = tuple[str, int]
"""An expression's text and how tightly it holds together."""

Case = tuple[Sequence[Value], Value]
"""Arguments of a call, and its answer."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A solution in one language. `declaration + body` and `prompt + body` are whole.

    Attributes:
        name: of the function, as the language has it.
        imports: the lines that stand first, or "".
        declaration: imports, helpers and the function's head.
        prompt: the same with the docstring.
        body: what follows, closing braces included.
    """

    name: str
    imports: str
    declaration: str
    prompt: str
    body: str


class Emitter(ABC):
    """Writes functions in one language.

    Args:
        function: the one that is asked for.
        helpers: those that it calls.
        comments: whether comments of the solution are written.
    """

    keywords: ClassVar[frozenset[str]] = frozenset()
    """Names that variables must not have."""

    case: ClassVar[str] = "snake"
    """Of variables: snake or camel."""

    templates: ClassVar[dict[str, str | tuple[str, int]]] = {}
    """Text of an operation, by its name or "name:type of the first operand". `@0` is the first operand as it is, `$0`
    in parentheses unless it is as tight as a call, `&0` as the left side of a product, `#0` as the left side of the
    template's own operator."""

    binary: ClassVar[dict[str, tuple[str, int]]] = {
        "add": ("+", ADD), "sub": ("-", ADD), "mul": ("*", MULTIPLY), "mod": ("%", MULTIPLY),
        "eq": ("==", COMPARE), "ne": ("!=", COMPARE), "lt": ("<", COMPARE), "le": ("<=", COMPARE),
        "gt": (">", COMPARE), "ge": (">=", COMPARE), "and": ("&&", AND), "or": ("||", OR),
    }  # fmt: skip

    imports: ClassVar[Sequence[tuple[str, str]]] = ()
    """(pattern, import line): wanted where the pattern occurs in the code."""

    declared: ClassVar[frozenset[str]] = frozenset()
    """Operations that take statements, and are said where a variable is declared (by methods let_NAME)."""

    unit_indent: ClassVar[int] = 0
    """Depth of functions: 1 where they stand in a class."""

    indent: ClassVar[str] = "    "

    def __init__(self, function: Function, helpers: Sequence[Function] = (), *, comments: bool = False):
        self._whole = (function, *helpers)
        self._comments = comments
        self.ordered = any(isinstance(node, ir.Keys) for one in self._whole for node in ir.walk(one))
        self.lines: list[str] = []
        self.depth = 0
        self.function = function
        self.changed: set[str] = set()
        self._taken: set[str] = set()

    # The parts of a unit

    def unit(self, summary: Sequence[str] = (), examples: Sequence[Case] = ()) -> Unit:
        """The function in its parts.

        Args:
            summary: lines of the docstring.
            examples: calls that it shows.
        """
        function, *helpers = self._whole
        before = "".join("\n".join([*self._code(one), *self.between]) + "\n" for one in helpers)
        head, *body = self._code(function)
        text = "\n".join([before, head, *body])
        imports = self.import_block(text)
        doc = self.docstring([*summary, *self._examples(examples)])
        opening, closing = self.frame
        body_text = "\n".join(body) + closing
        return Unit(
            name=self.public(function.name),
            imports=imports,
            declaration=f"{imports}{opening}{before}{head}\n",
            prompt=f"{imports}{opening}{before}{self.documented(head, doc)}\n",
            body=f"{body_text}\n",
        )

    between: ClassVar[Sequence[str]] = ("",)
    """Lines between two functions."""

    frame: ClassVar[tuple[str, str]] = ("", "")
    """What stands around the functions."""

    def _examples(self, examples: Sequence[Case]) -> list[str]:
        function = self._whole[0]
        lines = []
        for arguments, answer in examples:
            values = [self.value(value, param.type) for value, param in zip(arguments, function.params, strict=True)]
            lines += [f">>> {self.public(function.name)}({', '.join(values)})", self.answer(answer, function.result)]
        return lines

    def _code(self, function: Function) -> list[str]:
        """The lines of a function, its head first."""
        self.function = lowered(function, self.says, self.declares)
        self._taken = {node.name for node in ir.walk(self.function) if isinstance(node, Name)}
        self.changed = changed_names(self.function.body)
        self.lines, self.depth = [], self.unit_indent
        self.begin()
        self._line(self.head(function))
        self.depth += 1
        self.block(self.function.body)
        self.depth -= 1
        self.end_function()
        return self.lines

    def begin(self) -> None:  # noqa: B027 - few languages need it
        """A function begins: what is known of the one before is forgotten."""

    def import_block(self, code: str) -> str:
        """The import lines that the code wants, with an empty line behind them, or ""."""
        wanted = dict.fromkeys(line for pattern, line in self.imports if re.search(pattern, code))
        return "".join(f"{line}\n" for line in wanted) + "\n" if wanted else ""

    @abstractmethod
    def head(self, function: Function) -> str:
        """The line that opens a function."""

    @abstractmethod
    def end_function(self) -> None:
        """Write what closes a function."""

    @abstractmethod
    def docstring(self, lines: Sequence[str]) -> list[str]:
        """The documentation of the function, without its indentation."""

    @abstractmethod
    def documented(self, head: str, doc: Sequence[str]) -> str:
        """Head and documentation together."""

    @abstractmethod
    def type(self, type_: Type) -> str:
        """The type of a variable."""

    @abstractmethod
    def value(self, value: Value, type_: Type) -> str:
        """A literal of any type, as an argument."""

    def answer(self, value: Value, type_: Type) -> str:
        """A literal as documentation shows it."""
        return self.value(value, type_)

    def says(self, bulk: Bulk, statement: Statement) -> bool:
        """Whether the language has words for this expression in this statement."""
        return False

    def declares(self, operation: ir.Op) -> bool:
        """Whether an operation can only be said where a variable is declared."""
        return operation.op in self.declared

    # Names

    def public(self, name: str) -> str:
        """The name of a function."""
        return self.name(name)

    def name(self, name: str) -> str:
        """The name of a variable."""
        if self.case == "camel":
            first, *rest = name.split("_")
            name = first + "".join(part.capitalize() for part in rest)
        return f"{name}_" if name in self.keywords else name

    def fresh(self, wanted: str) -> str:
        """The name of another variable."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return self.name(name)

    def held(self, expr: Expr, wanted: str) -> Expr:
        """What may stand for an expression more than once: itself, or a variable that is declared for it here."""
        if isinstance(expr, ir.Name | ir.Lit):
            return expr
        name = ir.Name(self.fresh(wanted), expr.type)
        self.statement(ir.Let(name, expr))
        return name

    # Statements

    def block(self, block: Block) -> None:
        for statement in block:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        if isinstance(statement, ir.Comment):
            if self._comments:
                self._line(self.comment(statement.text))
            return
        method = getattr(self, f"do_{type(statement).__name__.lower()}", None)
        if method is None:
            raise CodeGeeXError(f"{type(self).__name__} has no statement {type(statement).__name__}.")
        method(statement)

    def comment(self, text: str) -> str:
        return f"// {text}"

    def _line(self, text: str) -> None:
        self.lines.append(f"{self.indent * self.depth}{text}" if text else "")

    # Expressions

    def text(self, expr: Expr, place: int = 0) -> str:
        """An expression for a place that asks for a tightness."""
        text, tightness = self.expr(expr)
        return f"({text})" if tightness < place else text

    def expr(self, expr: Expr) -> Text:
        """The expression in the language."""
        match expr:
            case ir.Lit(value, type_):
                text = self.value(value, type_)
                return text, UNARY if text.startswith("-") else ATOM
            case ir.Name(name):
                return self.name(name), ATOM
            case ir.Items():
                return self.items(expr)
            case ir.Call(function, args):
                return f"{self.public(function)}({', '.join(self.argument(arg) for arg in args)})", POSTFIX
            case ir.Op():
                return self.operation(expr)
        return self.bulk(expr)

    def argument(self, expr: Expr) -> str:
        """An argument of a call."""
        return self.text(expr)

    @abstractmethod
    def items(self, items: ir.Items) -> Text:
        """A list of items, or an empty map."""

    def bulk(self, expr: Expr) -> Text:
        """A `Bulk` expression that the language says."""
        raise CodeGeeXError(f"{type(self).__name__} has no words for {type(expr).__name__}.")

    def operation(self, expr: ir.Op) -> Text:
        """An operation: by a method op_NAME, a template for its type, a binary operator, or a template."""
        special = getattr(self, f"op_{expr.op}", None)
        if special is not None:
            made = special(expr)
            if made is not None:
                return made  # type: ignore[no-any-return]
        name = f"{expr.op}:{expr.args[0].type.name}" if expr.args else expr.op
        if name not in self.templates and expr.op in self.binary:
            return self.infix(expr)
        if name not in self.templates:
            name = expr.op
        if name not in self.templates:
            raise CodeGeeXError(f"{type(self).__name__} has no operation {expr.op} of {expr.args}.")
        return self.filled(name, expr.args)

    def infix(self, expr: ir.Op) -> Text:
        """Between its operands; adding a negative number is a subtraction."""
        first, second = expr.args
        sign, tightness = self.binary[expr.op]
        if expr.op == "add" and isinstance(second, ir.Lit) and isinstance(second.literal, int) and second.literal < 0:
            return self.infix(ir.Op("sub", (first, ir.lit(-second.literal)), expr.type))
        left = tightness + 1 if tightness == COMPARE else tightness
        right = tightness if expr.op in ("and", "or", "add") else tightness + 1
        return f"{self.text(first, left)} {sign} {self.text(second, right)}", tightness

    def filled(self, name: str, args: Sequence[Expr]) -> Text:
        """A template with its operands."""
        template = self.templates[name]
        text, tightness = (template, POSTFIX) if isinstance(template, str) else template
        places = {"@": 0, "$": POSTFIX, "#": tightness, "&": MULTIPLY}

        def operand(match: re.Match[str]) -> str:
            return self.text(args[int(match[2])], places[match[1]])

        return re.sub(r"([@$#&])(\d)", operand, text), tightness

    def op_neg(self, expr: ir.Op) -> Text:
        return f"-{self.text(expr.args[0], POSTFIX)}", UNARY


def changed_names(block: Block) -> set[str]:
    """Variables that a block changes after their declaration."""
    names = set()
    for statement in block:
        for node in ir.walk(statement):
            if isinstance(node, ir.Assign | ir.Augment):
                names.add(node.name.name)
            elif isinstance(node, ir.Append | ir.Pop | ir.Increment | ir.Group | ir.Write):
                names.add(node.target.name)
            elif isinstance(node, ir.SetItem):
                target = node.target
                while isinstance(target, ir.Op):
                    target = target.args[0]
                if isinstance(target, Name):
                    names.add(target.name)
    return names


def reassigned_names(block: Block) -> set[str]:
    """Variables that are given another value, not only changed in place."""
    nodes = (node for statement in block for node in ir.walk(statement))
    return {node.name.name for node in nodes if isinstance(node, ir.Assign | ir.Augment)}


def uses(block: Block, name: Name) -> bool:
    """Whether a block mentions a variable."""
    return any(node == name for statement in block for node in ir.walk(statement))


def plus_one(expr: Expr) -> Expr | None:
    """`x` where the expression is `x + 1`."""
    match expr:
        case ir.Op("add", (inner, ir.Lit(1))):
            return inner
    return None


def quoted(text: str, mark: str = '"') -> str:
    """A text between quotation marks, with the escapes that all six languages share."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace(mark, f"\\{mark}")
    return f"{mark}{text}{mark}"
