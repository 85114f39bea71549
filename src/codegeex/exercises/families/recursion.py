"""Functions that call themselves, and functions with helpers."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    call,
    change,
    collect,
    divides,
    during,
    empty,
    fold,
    let,
    loop,
    ordered,
    ret,
    span,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import (
    Args,
    args,
    char_test,
    int_lists,
    number_change,
    number_test,
    text_inputs,
    text_name,
    word_lists,
)
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, lit, op
from codegeex.exercises.types import CHAR, INT, INTS, STR, STRS


@family("recursive_count", 2)
def recursive_count(rng: random.Random) -> Draft:
    n = var(rng.choice(("n", "steps", "stairs")))
    a, b = rng.choice(((1, 3), (2, 3), (1, 4), (2, 5), (3, 4)))
    name = "count_ways"
    body = block(when(n < 0, [ret(0)]), when(n.eq(0), [ret(1)]), ret(call(name, INT, n - a) + call(name, INT, n - b)))
    task = f"count the ways to write a number as a sum of {a}s and {b}s, where the order matters"
    return Draft(Function(name, (n,), INT, body), task, args([5, 0, 1, 7, 10, 3, 12]))


@family("recursive_digits", 2)
def recursive_digits(rng: random.Random) -> Draft:
    n, base = var("n"), rng.choice((10, 2, 3, 5, 8))
    k = rng.randint(2, 4)
    words, name, step, zero = rng.choice((
        ("the sum of its digits", "digit_sum", n % base, 0),
        ("the number of its digits", "digit_count", lit(1), 0),
        (f"{k} times the sum of its digits", "digit_score", (n % base) * k, 0),
        ("the sum of the squares of its digits", "digit_squares", (n % base) * (n % base), 0),
    ))  # fmt: skip
    name = f"{name}_base_{base}"
    body = block(when(n.eq(0), [ret(zero)]), ret(call(name, INT, n // base) + step))
    task = f"return, by recursion, {words} when a number that is not negative is written in base {base}"
    note = "Zero has no digits here."
    return Draft(
        Function(name, (n,), INT, body), task, args([1234, 0, 7, 10, 255, rng.randint(100, 9999), 65535]), note=note
    )


@family("recursive_list", 2, training_only=True)
def recursive_list(rng: random.Random) -> Draft:
    xs, test, change = var("numbers", INTS), number_test(rng), number_change(rng)
    name = f"sum_{change.word}_{test.word}"
    rest = call(name, INT, op("from", xs, 1))
    body = block(
        when(empty(xs), [ret(0)]),
        when(test.build(xs[0]), [ret(change.build(xs[0]) + rest)]),
        ret(rest),
    )
    taken = change.phrase.format(f"the {test.of('numbers')}")
    return Draft(
        Function(name, (xs,), INT, body), f"return, by recursion, the sum of {taken} in a list", args(int_lists(rng))
    )


@family("recursive_text", 2, training_only=True)
def recursive_text(rng: random.Random) -> Draft:
    s, test = text_name(rng), char_test(rng)
    name = f"count_{test.word}_recursively"
    rest = call(name, INT, op("from", s, 1))
    body = block(when(empty(s), [ret(0)]), when(test.build(s[0]), [ret(rest + 1)]), ret(rest))
    return Draft(
        Function(name, (s,), INT, body),
        f"count, by recursion, the {test.of('characters')} in a string",
        args(text_inputs(rng)),
    )


@family("recursive_pair", 3, held_out=True)
def recursive_pair(rng: random.Random) -> Draft:
    r, c = var("rows"), var("columns")
    k, m = rng.randint(1, 3), rng.randint(1, 2)
    name = "count_paths"
    up, left = call(name, INT, r - 1, c), call(name, INT, r, c - 1)
    total = up + left * m if m > 1 else up + left
    body = block(when(r.eq(0) | c.eq(0), [ret(k)]), ret(total))
    task = (
        f"compute a value by recursion: {k} where one of two numbers is 0, otherwise the value with the first "
        f"one decreased plus {f'{m} times ' if m > 1 else ''}the value with the second one decreased"
    )
    inputs: Args = [[2, 2], [0, 5], [3, 1], [4, 3], [1, 1], [3, 4], [5, 0]]
    return Draft(Function(name, (r, c), INT, body), task, inputs)


@family("with_helper", 2)
def with_helper(rng: random.Random) -> Draft:
    xs, x, n, i = var("numbers", INTS), var("number"), var("n"), var("i")
    k = rng.randint(2, 9)
    rest, total = var("rest"), var("total")
    digit_sum = Function(
        "digit_sum",
        (n,),
        INT,
        block(
            let(rest, op("abs", n)),
            let(total, 0),
            during(rest > 0, [add(total, rest % 10), change(rest, "div", 10)]),
            ret(total),
        ),
    )
    divisors = Function("divisor_count", (n,), INT, block(ret(fold("count", i, span(1, n + 1), None, divides(n, i)))))
    square = Function("nearest_multiple", (n,), INT, block(ret(op("fdiv", n, k) * k)))
    helper, words = rng.choice(
        (
            (digit_sum, "digit sum"),
            (divisors, "number of divisors"),
            (square, f"largest multiple of {k} not above it"),
        )
    )
    value = call(helper.name, INT, x)
    low = rng.randint(2, 12)
    kind = rng.choice(("collect", "filter", "sum", "count"))
    made = {
        "collect": (collect(x, xs, value), INTS, f"list the {words} of each number of a list"),
        "filter": (
            collect(x, xs, x, value > low),
            INTS,
            f"list those numbers of a list whose {words} is greater than {low}",
        ),
        "sum": (fold("sum", x, xs, value), INT, f"add up the {words} of each number of a list"),
        "count": (
            fold("count", x, xs, None, value.eq(low)),
            INT,
            f"count the numbers of a list whose {words} is {low}",
        ),
    }[kind]
    return Draft(
        Function(f"{kind}_{helper.name}", (xs,), made[1], block(ret(made[0]))),
        made[2],
        args(int_lists(rng, low=1)),
        helpers=(helper,),
    )


@family("best_with_helper", 3, held_out=True)
def best_with_helper(rng: random.Random) -> Draft:
    ws, w, s, c = var("words", STRS), var("word", STR), var("text", STR), var("letter", CHAR)
    test = char_test(rng)
    score = Function("score", (s,), INT, block(ret(fold("count", c, s, None, test.build(c)))))
    best, value, top = var("best", STR), var("value"), var("top")
    down = rng.random() < 0.4
    chosen = var("ranked", STRS)
    key = call("score", INT, w)
    if rng.random() < 0.5:
        body = block(
            let(best, ""),
            let(top, -1),
            loop(w, ws, [let(value, key), when(value > top, [assign(top, value), assign(best, w)])]),
            ret(best),
        )
        task = f"return the first of those strings of a list that have the most of the {test.of('characters')}"
        return Draft(
            Function(f"best_by_{test.word}", (ws,), STR, body),
            task,
            args(word_lists(rng)),
            helpers=(score,),
            note="Return an empty string for an empty list.",
        )
    body = block(let(chosen, ordered(ws, w, (key, down), (w, False))), ret(chosen))
    task = (
        f"sort a list of strings by how many of the {test.of('characters')} they have, "
        f"{'most' if down else 'fewest'} first, then alphabetically"
    )
    return Draft(Function(f"sort_by_{test.word}", (ws,), STRS, body), task, args(word_lists(rng)), helpers=(score,))
