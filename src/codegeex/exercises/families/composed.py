"""Programs put together at random from many parts, so that hardly two are alike: for training alone.

The other families have a shape of their own each, which a small model learns by heart. These have none: what is to be
done must be read from the words, part by part.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from codegeex.exercises.build import (
    add,
    backwards,
    block,
    collect,
    empty,
    fold,
    larger,
    length,
    let,
    loop,
    ordered,
    ret,
    smaller,
    text,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import (
    Args,
    args,
    int_lists,
    many,
    number_change,
    number_test,
    sentence,
    text_name,
    word,
    word_lists,
    word_test,
)
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Block, Expr, Function, Name, Node, Statement, lit, op, walk
from codegeex.exercises.narration import words
from codegeex.exercises.types import BOOL, INT, INTS, STR, STRS, Type

_Stage = tuple[str, str, Expr]
"""One step over a list: what it does to "them", a name for what comes out, and that as an expression."""

_End = tuple[str, str, Type, Block]
"""How a program ends: "return ...", a part of its name, the type of what it returns, and its last statements."""


def _number_stage(rng: random.Random, source: Expr, x: Name, noun: str) -> _Stage:
    test, change = number_test(rng), number_change(rng)
    k = rng.randint(1, 3)
    return rng.choice((
        (f"keep the {test.of(noun)}", "kept", collect(x, source, x, test.build(x))),
        (f"leave out the {test.of(noun)}", "rest", collect(x, source, x, ~test.build(x))),
        (f"take {change.phrase.format('them')}", "changed", collect(x, source, change.build(x))),
        (f"add {k} to each", "raised", collect(x, source, x + k)),
        ("sort them in ascending order", "ordered", ordered(source)),
        ("sort them in descending order", "ordered", ordered(source, x, (x, True))),
        ("reverse their order", "turned", backwards(source)),
    ))  # fmt: skip


def _number_end(rng: random.Random, source: Expr, x: Name, noun: str) -> _End:
    test, k = number_test(rng), rng.randint(0, 9)
    total = var("total")
    return rng.choice((
        ("return them", "list", INTS, block(ret(source))),
        ("return their sum", "sum", INT, block(ret(fold("sum", x, source)))),
        (f"return how many {test.of(noun)} there are", "count", INT,
         block(ret(fold("count", x, source, None, test.build(x))))),
        (f"return the largest, or {k} if none is left", "largest", INT,
         block(when(empty(source), [ret(k)]), ret(fold("max", x, source)))),
        (f"return the smallest, or {k} if none is left", "smallest", INT,
         block(when(empty(source), [ret(k)]), ret(fold("min", x, source)))),
        ("return the first, or 0 if none is left", "first", INT,
         block(when(empty(source), [ret(0)]), ret(op("index", source, 0)))),
        ("return the last, or 0 if none is left", "last", INT,
         block(when(empty(source), [ret(0)]), ret(op("last", source)))),
        (f"return {k} plus their sum", "total", INT,
         block(let(total, k), loop(x, source, [add(total, x)]), ret(total))),
    ))  # fmt: skip


def _word_stage(rng: random.Random, source: Expr, w: Name, noun: str) -> _Stage:
    test = word_test(rng)
    sign = rng.choice("-!?_*#+")
    return rng.choice((
        (f"keep the {test.of(noun)}", "kept", collect(w, source, w, test.build(w))),
        (f"leave out the {test.of(noun)}", "rest", collect(w, source, w, ~test.build(w))),
        ("turn them into uppercase", "changed", collect(w, source, op("upper", w))),
        (f"put '{sign}' behind each", "marked", collect(w, source, text(w, sign))),
        (f"put '{sign}' before each", "marked", collect(w, source, text(sign, w))),
        ("sort them alphabetically", "ordered", ordered(source)),
        ("sort them by length, and alphabetically where it is the same", "ordered",
         ordered(source, w, (length(w), False), (w, False))),
        ("reverse their order", "turned", backwards(source)),
    ))  # fmt: skip


def _word_end(rng: random.Random, source: Expr, w: Name, noun: str) -> _End:
    test = word_test(rng)
    sign = rng.choice((", ", "-", " ", "; ", "/", "", "+", "|"))
    join = f"with '{sign}' between them" if sign else "without anything between them"
    return rng.choice((
        ("return them", "list", STRS, block(ret(source))),
        (f"join them {join}", "joined", STR, block(ret(op("join", source, sign)))),
        (f"return how many {test.of(noun)} there are", "count", INT,
         block(ret(fold("count", w, source, None, test.build(w))))),
        ("return their lengths", "lengths", INTS, block(ret(collect(w, source, length(w))))),
        ("return the sum of their lengths", "total_length", INT, block(ret(fold("sum", w, source, length(w))))),
        ("return the first, or an empty string if none is left", "first", STR,
         block(when(empty(source), [ret("")]), ret(op("index", source, 0)))),
    ))  # fmt: skip


def _pipeline(
    rng: random.Random, given: Name, element: Name, noun: str, stage: Callable[..., _Stage], end: Callable[..., _End]
) -> tuple[Function, str]:
    """A function that takes one to three steps over a list, or over the words of a text, and what it does in words."""
    source, type_ = given, INTS if element.type == INT else STRS
    body: list[Statement] = []
    if given.type == STR:
        source = var("parts", STRS)
        body.append(let(source, op("words", given)))
    told, named = [f"start with the {noun} of a {'text' if given.type == STR else 'list'}"], list[str]()
    for _ in range(rng.randint(1, 3)):
        task, name, value = stage(rng, source, element, noun)
        if name in named:
            continue
        source = var(name, type_)
        body.append(let(source, value))
        told.append(task)
        named.append(name)
    task, name, result, last = end(rng, source, element, noun)
    told.append(f"and {task}")
    return Function("_".join([*named, name]), (given,), result, (*body, *last)), ", ".join(told)


@family("number_pipeline", 3, training_only=True)
def number_pipeline(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    return Draft(*_pipeline(rng, xs, x, xs.name, _number_stage, _number_end), args(int_lists(rng)))


@family("word_pipeline", 3, training_only=True)
def word_pipeline(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    of_text = rng.random() < 0.4
    given, noun = (text_name(rng), "words") if of_text else (ws, ws.name)
    function, task = _pipeline(rng, given, w, noun, _word_stage, _word_end)
    inputs = args([sentence(rng, 3, 7) for _ in range(6)] + [word(rng)] if of_text else word_lists(rng))
    return Draft(function, task, inputs, note="Words are separated by spaces." if of_text else "")


def _numbers(rng: random.Random, most: int) -> list[Name]:
    """Up to so many parameters whose names go together."""
    return [var(name) for name in rng.choice(_NAMES)][: rng.randint(1, most)]


def _formula(rng: random.Random, numbers: list[Name], depth: int) -> Expr:
    """Sums, differences and products of the numbers."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(numbers)
    first = _formula(rng, numbers, depth - 1)
    others = [one for one in numbers if one != first]
    if not others or rng.random() < 0.35:
        k = rng.randint(2, 9)
        return rng.choice((first + k, first - k, first * k, k - first))
    second = rng.choice(others)
    return rng.choice((first + second, first - second, first * second, second - first))


def _value(rng: random.Random, numbers: list[Name], depth: int) -> Expr:
    """A formula, or what is made from two numbers."""
    if len(numbers) > 1 and rng.random() < 0.3:
        first, second = rng.sample(numbers, 2)
        k = rng.randint(1, 9)
        return rng.choice((
            larger(first, second), smaller(first, second), op("abs", first - second), larger(first + second, k),
            smaller(first * second, k), larger(first, k), smaller(second, k), larger(first - second, 0),
        ))  # fmt: skip
    return _formula(rng, numbers, depth)


def _used(numbers: list[Name], *nodes: Node) -> list[Name]:
    """Those of the numbers that occur."""
    there = {one for node in nodes for one in walk(node) if isinstance(one, Name)}
    return [number for number in numbers if number in there]


@family("formula", 1, training_only=True)
def formula(rng: random.Random) -> Draft:
    """An expression, said in words."""
    numbers = _numbers(rng, 3)
    value = _value(rng, numbers, rng.randint(1, 3))
    while isinstance(value, Name):
        value = _value(rng, numbers, rng.randint(1, 3))
    numbers = _used(numbers, value)
    inputs: Args = [[rng.randint(-9, 30) for _ in numbers] for _ in range(8)]
    name = rng.choice(("compute", "evaluate", "formula", "combine", "outcome_of", "work_out"))
    name = f"{name}_{'_'.join(one.name for one in numbers)}" if rng.random() < 0.5 else name
    return Draft(Function(name, tuple(numbers), INT, block(ret(value))), f"return {words(value)}", inputs)


_NAMES = (
    ("a", "b", "c"), ("x", "y", "z"), ("m", "n", "k"), ("width", "height", "depth"), ("first", "second", "third"),
    ("price", "amount", "discount"), ("n", "m", "p"), ("left", "right", "middle"), ("start", "end", "step"),
)  # fmt: skip

_LABELS = (
    ("low", "middle", "high"), ("no", "maybe", "yes"), ("small", "medium", "large"), ("cold", "mild", "hot"),
    ("left", "center", "right"), ("slow", "normal", "fast"), ("first", "second", "third"), ("red", "yellow", "green"),
    ("none", "some", "many"), ("stop", "wait", "go"),
)  # fmt: skip


def _condition(rng: random.Random, numbers: list[Name]) -> Expr:
    x, k, n = rng.choice(numbers), rng.randint(2, 9), rng.randint(-3, 20)
    others = [one for one in numbers if one != x]
    single = rng.choice((x > n, x < n, x >= n, x <= n, x.eq(n), op("divides", x, k), ~op("divides", x, k)))
    if not others or rng.random() < 0.4:
        return single
    y = rng.choice(others)
    pair = rng.choice((x > y, x < y, x.eq(y), x + y > n, x * y > n, op("abs", x - y) <= k, x >= y))
    return rng.choice((pair, pair, single & (y > n), single | (y < n), pair & (y > n)))


@family("decision", 2, training_only=True)
def decision(rng: random.Random) -> Draft:
    """Two or three cases, in order."""
    numbers = _numbers(rng, 2)
    conditions = [_condition(rng, numbers) for _ in range(rng.randint(1, 2))]
    labels, count = rng.random() < 0.5, len(conditions) + 1
    answers: list[Expr] = (
        [lit(one) for one in rng.sample(rng.choice(_LABELS), count)]
        if labels
        else [_value(rng, numbers, 1) for _ in range(count)]
    )
    *chosen, otherwise = answers
    cases = list(zip(conditions, chosen, strict=True))
    body = [when(condition, [ret(answer)]) for condition, answer in cases]
    said = ", ".join(f"{words(answer)} if {words(condition)}" for condition, answer in cases)
    numbers = _used(numbers, *conditions, *answers)
    name = rng.choice(("classify", "decide", "choose", "rate", "pick", "judge"))
    inputs: Args = [[rng.randint(-6, 24) for _ in numbers] for _ in range(10)]
    return Draft(
        Function(f"{name}_{numbers[0].name}", tuple(numbers), STR if labels else INT, block(*body, ret(otherwise))),
        f"return {said}, and {words(otherwise)} otherwise".replace('"', "'"),
        inputs,
    )


@family("until", 2, training_only=True)
def until(rng: random.Random) -> Draft:
    """A loop over a list that counts or adds, and may leave early."""
    xs, x = many(rng, INTS)
    stop, test, change = number_test(rng), number_test(rng), number_change(rng)
    total, k, limit = var(rng.choice(("total", "result"))), rng.randint(0, 9), rng.randint(15, 60)
    counts, changes, only = rng.random() < 0.4, rng.random() < 0.5, rng.random() < 0.4
    if counts:
        what, step, limit = f"the {xs.name}", add(total, 1), limit // 6 + k
    elif changes:
        what, step = change.phrase.format(f"the {xs.name}"), add(total, change.build(x))
    else:
        what, step = f"the {xs.name}", add(total, x)
    early = rng.random() < 0.7
    if early:
        ends, leave = f"before the first of the {stop.of(xs.name)}", when(stop.build(x), [ret(total)])
    else:
        ends, leave = f"until the result is greater than {limit}", when(total > limit, [ret(total)])
    work = [step] if early else [step, leave]
    inside = [*([leave] if early else []), *([when(test.build(x), work)] if only else work)]
    verb = "count" if counts else "add up"
    extra = f", but of these only the {test.of(xs.name)}" if only else ""
    body = block(let(total, k), loop(x, xs, inside), ret(total))
    return Draft(
        Function(f"{'count' if counts else 'sum'}_until_{stop.word if early else 'limit'}", (xs,), INT, body),
        f"starting at {k}, {verb} {what} of a list {ends}{extra}",
        args(int_lists(rng)),
    )


@family("check", 2, training_only=True)
def check(rng: random.Random) -> Draft:
    """Whether something holds for numbers."""
    numbers = _numbers(rng, 3)
    first = _condition(rng, numbers)
    condition = rng.choice((first, first & _condition(rng, numbers), first | _condition(rng, numbers)))
    numbers = _used(numbers, condition)
    name = rng.choice(("is_valid", "matches", "holds", "is_allowed", "accepts", "applies", "is_good", "fits"))
    inputs: Args = [[rng.randint(-6, 24) for _ in numbers] for _ in range(12)]
    return Draft(
        Function(name, tuple(numbers), BOOL, block(ret(condition))), f"tell whether {words(condition)}", inputs
    )
