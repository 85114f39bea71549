"""Solutions explained: a comment in plain words before each statement, made from what the statement does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegeex.exercises import ir
from codegeex.exercises.ir import Block, Expr, Function, Statement
from codegeex.exercises.types import BOOL, CHAR, STR

LONGEST = 18
"""Words of an expression that a comment says; of longer ones it only says what they are for."""

_PHRASES = {
    "add": "{0} plus {1}", "sub": "{0} minus {1}", "mul": "{0} times {1}", "neg": "minus {0}",
    "abs": "the absolute value of {0}", "div": "{0} divided by {1} without the remainder",
    "fdiv": "{0} divided by {1}, rounded down", "tdiv": "{0} divided by {1}, rounded towards zero",
    "mod": "the remainder of {0} by {1}", "fmod": "the remainder of {0} by {1}", "tmod": "the remainder of {0} by {1}",
    "truediv": "{0} divided by {1}", "sqrt": "the square root of {0}", "floor": "{0} rounded down",
    "divides": "{0} is divisible by {1}", "eq": "{0} equals {1}", "ne": "{0} is not {1}", "lt": "{0} is less than {1}",
    "le": "{0} is at most {1}", "gt": "{0} is greater than {1}", "ge": "{0} is at least {1}", "and": "{0} and {1}",
    "or": "{0} or {1}", "not": "it is not true that {0}", "len": "the length of {0}", "empty": "{0} is empty",
    "index": "element {1} of {0}", "last": "the last element of {0}", "slice": "{0} from {1} to before {2}",
    "from": "{0} from {1} on", "contains": "{0} contains {1}", "copy": "a copy of {0}",
    "filled": "a list of {1} copies of {0}", "join": "{0} joined with {1}", "split": "{0} split at {1}",
    "words": "the words of {0}",
    "upper": "{0} in uppercase", "lower": "{0} in lowercase", "repeat": "{0} repeated {1} times",
    "replace": "{0} with {2} in place of {1}",
    "to_str": "{0} as text", "parse_int": "the number written in {0}",
    "has": "{0} contains {1}", "starts": "{0} starts with {1}", "ends": "{0} ends with {1}",
    "char_in": "{1} is one of {0}", "builder": "an empty text", "is_digit": "{0} is a digit",
    "is_alpha": "{0} is a letter", "is_upper": "{0} is an uppercase letter", "is_lower": "{0} is a lowercase letter",
    "char_upper": "{0} in uppercase", "char_lower": "{0} in lowercase",
    "ord": "the code of {0}", "chr": "the character with the code {0}", "digit": "the number of the digit {0}",
    "get": "what {0} has for {1}, or else {2}", "has_key": "{0} knows {1}", "at": "what {0} has for {1}",
}  # fmt: skip

_OR, _AND, _TEST, _PHRASE, _SUM, _PRODUCT, _ATOM = range(7)
"""How tightly words hold together; parentheses come where a part holds less than its place asks."""

_TIGHTNESS = {"or": _OR, "not": _OR, "and": _AND, "add": _SUM, "sub": _SUM} | dict.fromkeys(
    ("mul", "div", "fdiv", "tdiv", "truediv"), _PRODUCT
)
"""Of operations; the others are tests or phrases."""

_PLACES = {
    _OR: (_TEST, _TEST), _AND: (_TEST, _TEST), _TEST: (_PHRASE,) * 3, _PHRASE: (_ATOM,) * 3,
    _SUM: (_SUM, _PRODUCT), _PRODUCT: (_PRODUCT, _ATOM),
}  # fmt: skip
"""What the places of an operation ask for. A phrase may stand at the end of another: "the length of the last word"."""

_OPPOSITES = {
    "divides": "{0} is not divisible by {1}", "empty": "{0} is not empty", "contains": "{0} does not contain {1}",
    "has": "{0} does not contain {1}", "has_key": "{0} does not know {1}",
}  # fmt: skip


def narrated(function: Function) -> Function:
    """The function with a comment before each statement; comments that it has stay."""
    return replace(function, body=_block(function.body))


def _block(block: Block) -> Block:
    told: list[Statement] = []
    for statement in block:
        if not isinstance(statement, ir.Comment) and not (told and isinstance(told[-1], ir.Comment)):
            told.append(ir.Comment(_sentence(statement)))
        told.append(_inside(statement))
    return tuple(told)


def _inside(statement: Statement) -> Statement:
    """The statement with its blocks narrated."""
    match statement:
        case ir.If(branches, otherwise):
            return ir.If(tuple((condition, _block(body)) for condition, body in branches), _block(otherwise))
        case ir.While(condition, body):
            return ir.While(condition, _block(body))
        case ir.For():
            return replace(statement, body=_block(statement.body))
    return statement


def _sentence(statement: Statement) -> str:
    """What a statement does, as an imperative."""
    match statement:
        case ir.Let(name, value):
            if value == ir.Items((), value.type) or value == ir.op("builder"):
                return f"Start with {_said(name)} empty"
            begin = f"Start {_said(name)} at" if isinstance(value, ir.Lit) else f"Let {_said(name)} be"
            return _short(f"{begin} {words(value)}", f"Compute {_said(name)}")
        case ir.Assign(name, value):
            return _short(f"Set {_said(name)} to {words(value)}", f"Compute {_said(name)} anew")
        case ir.Augment(how, name, value):
            patterns = {"add": "Add {1} to {0}", "sub": "Subtract {1} from {0}", "mul": "Multiply {0} by {1}"}
            pattern = patterns.get(how, "Divide {0} by {1} and drop the remainder")
            return _short(pattern.format(_said(name), words(value)), f"Change {_said(name)}")
        case ir.If(branches, _):
            return _short(f"Check whether {words(branches[0][0])}", "Check what is to be done")
        case ir.While(condition, _):
            return _short(f"Go on while {words(condition)}", "Go on until it is done")
        case ir.For(variable, source, _, _):
            if isinstance(source, ir.Range):
                return _short(f"Let {_said(variable)} go {words(source)}", "Count")
            return f"Go through {words(source)}, one {_said(variable)} at a time"
        case ir.Return(value):
            if value.type == BOOL and not isinstance(value, ir.Lit | ir.Name | ir.Fold):
                return _short(f"Return whether {words(value)}", "Return the answer")
            return _short(f"Return {words(value)}", "Return the result")
        case ir.Append(target, value):
            return _short(f"Append {words(value)} to {_said(target)}", f"Append to {_said(target)}")
        case ir.Pop(target):
            return f"Take the last element off {_said(target)}"
        case ir.SetItem(target, index, value):
            return _short(f"Put {words(value)} at {words(index)} of {words(target)}", f"Change {words(target)}")
        case ir.Increment(target, key, amount):
            if amount == ir.lit(1):
                return _short(f"Count {words(key)} in {_said(target)}", f"Count in {_said(target)}")
            return _short(
                f"Add {words(amount)} to what {_said(target)} has for {words(key)}", f"Add to {_said(target)}"
            )
        case ir.Group(target, key, value):
            return _short(f"Put {words(value)} into {_said(target)} under {words(key)}", f"Sort into {_said(target)}")
        case ir.Write(target, value):
            return _short(f"Write {words(value)} behind {_said(target)}", f"Write to {_said(target)}")
        case ir.Break():
            return "Leave the loop"
    return "Go on with the next one"


def words(expr: Expr) -> str:
    """An expression in words."""
    match expr:
        case ir.Name():
            return _said(expr)
        case ir.Lit(literal, type_):
            if literal is None:
                return "nothing"
            if type_ in (STR, CHAR):
                return f'"{literal}"' if literal else "an empty text"
            return str(literal).lower() if type_ == BOOL else str(literal)
        case ir.Op("format", parts):
            return " followed by ".join(_placed(part, _SUM) for part in parts)
        case ir.Op("to_float" | "built" | "some", (inner,)):  # nothing that a person would mention
            return words(inner)
        case ir.Op("not", (ir.Op(denied, inner),)) if denied in _OPPOSITES:
            return _filled(_OPPOSITES[denied], _TEST, inner)
        case ir.Op(name, args):
            return _filled(_PHRASES[name], _tightness(expr), args, name)
        case ir.Items(items, type_):
            return "a list of " + " and ".join(map(words, items)) if items else f"an empty {type_.name}"
        case ir.Call(function, args):
            return f"{function.replace('_', ' ')} of {' and '.join(_placed(arg, _ATOM) for arg in args)}"
        case ir.Range(start, stop, step):
            way = "down to after" if step < 0 else "up to before"
            by = "" if abs(step) == 1 else f" by {abs(step)}"
            return f"from {words(start)} {way} {words(stop)}{by}"
    return _bulk(expr)


def _tightness(expr: Expr) -> int:
    match expr:
        case ir.Name() | ir.Lit():
            return _ATOM
        case ir.Op("to_float" | "built" | "some", (inner,)):
            return _tightness(inner)
        case ir.Op("not", (ir.Op(denied),)) if denied in _OPPOSITES:
            return _TEST
        case ir.Op(name):
            return _TIGHTNESS.get(name, _TEST if expr.type == BOOL else _PHRASE)
    return _PHRASE


def _placed(expr: Expr, place: int) -> str:
    """An expression for a place that asks for a tightness."""
    text = words(expr)
    closed = _tightness(expr) == _PHRASE and text.endswith(")")
    return text if closed or _tightness(expr) >= place else f"({text})"


def _filled(pattern: str, tightness: int, args: Sequence[Expr], name: str = "") -> str:
    """The pattern of an operation with its operands."""
    texts = []
    for number, (arg, place) in enumerate(zip(args, _PLACES[tightness], strict=False)):
        if name in ("and", "or") and isinstance(arg, ir.Op) and arg.op == name:
            place = _OR  # all and all, or all or all: in whatever order
        elif pattern.endswith(f"{{{number}}}") and _tightness(arg) == _PHRASE:
            place = _PHRASE
        texts.append(_placed(arg, place))
    return pattern.format(*texts)


def _bulk(expr: Expr) -> str:
    match expr:
        case ir.Collect(variable, source, value, condition):
            made = f"every {_said(variable)}" if value == variable else f"{words(value)} for every {_said(variable)}"
            return f"{made} {_of(source)}{_where(condition)}"
        case ir.Fold(kind, variable, source, value, condition):
            those = f"{_said(variable)} {_of(source)}{_where(condition)}"
            if kind == "count":
                return f"the number of {those}"
            if kind in ("any", "all"):
                return f"whether {words(value)} for {'some' if kind == 'any' else 'every'} {those}"
            each = f"every {those}"
            which = {"sum": "the sum of", "min": "the smallest of", "max": "the largest of"}[kind]
            return f"{which} {each}" if value == variable else f"{which} {words(value)} for {each}"
        case ir.Sorted(source, variable, keys):
            ways = [
                ("" if key == variable and len(keys) == 1 else f" by {words(key)}")
                + (", largest first" if down else "")
                for key, down in keys
            ]
            return f"{words(source)} sorted{', and then'.join(ways)}"
        case ir.Reversed(source, _):
            return f"{words(source)} from its end to its beginning"
        case ir.Keys(source, _):
            return f"the keys of {words(source)} in order"
        case ir.Extreme(kind, first, second):
            return f"the {'larger' if kind == 'max' else 'smaller'} of {words(first)} and {words(second)}"
    raise TypeError(f"no words for {type(expr).__name__}")


def _of(source: Expr) -> str:
    return words(source) if isinstance(source, ir.Range) else f"of {words(source)}"


def _where(condition: Expr | None) -> str:
    return f" where {words(condition)}" if condition is not None else ""


def _said(name: ir.Name) -> str:
    return name.name.replace("_", " ")


def _short(sentence: str, instead: str) -> str:
    """A sentence, or another one where it is too long to be read."""
    return sentence if len(sentence.split()) <= LONGEST and sentence.isascii() and "\n" not in sentence else instead
