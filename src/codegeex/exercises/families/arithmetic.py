"""Digits, divisors, rules with numbers."""

from __future__ import annotations

import random
from typing import Any

from codegeex.exercises.build import (
    add,
    assign,
    block,
    change,
    collect,
    divides,
    during,
    fold,
    items,
    larger,
    let,
    ret,
    span,
    text,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import Args, args, number_test
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, op
from codegeex.exercises.types import INT, INTS, STR


@family("digit_fold", 2)
def digit_fold(rng: random.Random) -> Draft:
    n, rest, digit, total = var(rng.choice(("n", "number", "value"))), var("rest"), var("digit"), var("total")
    (what, test, end), (changed, made, begin) = _digit_test_and_change(rng)
    adding = add(total, made(digit))
    taken = when(test(digit), [adding]) if test else adding
    body = block(
        let(rest, n),
        let(total, 0),
        during(rest > 0, [let(digit, rest % 10), taken, change(rest, "div", 10)]),
        ret(total),
    )
    task = f"return the sum of {changed} {what} of a number that is not negative"
    inputs = args([1234, 9075, 0, 7, 100, rng.randint(10, 99), rng.randint(1000, 99999), 1234567])
    return Draft(Function(f"digit_{begin}_{end}", (n,), INT, body), task, inputs)


def _digit_test_and_change(rng: random.Random) -> tuple[Any, Any]:
    """Words, function and part of a name of each; all digits pass a test that is None."""
    k = rng.randint(3, 7)
    tests = (
        ("digits", None, "total"),
        ("even digits", lambda d: divides(d, 2), "even"),
        ("odd digits", lambda d: ~divides(d, 2), "odd"),
        (f"digits greater than {k}", lambda d: d > k, "large"),
        (f"digits other than {k}", lambda d: d.ne(k), "other"),
    )
    changes = (
        ("the squares of the", lambda d: d * d, "squares"),
        ("the cubes of the", lambda d: d * d * d, "cubes"),
        ("the doubles of the", lambda d: d * 2, "doubles"),
        (f"{k} times the", lambda d: d * k, "multiples"),
    )
    return rng.choice(tests), rng.choice(changes)


@family("digit_count", 2, held_out=True)
def digit_count(rng: random.Random) -> Draft:
    n, rest, count = var(rng.choice(("n", "number", "code"))), var("rest"), var("count")
    k, base = rng.randint(0, 9), rng.choice((10, 10, 2, 8, 3))
    k = k % base
    body = block(
        let(rest, n),
        let(count, 0),
        during(rest > 0, [when((rest % base).eq(k), [add(count, 1)]), change(rest, "div", base)]),
        ret(count),
    )
    task = f"count how often the digit {k} occurs in a positive number written in base {base}"
    inputs = args([1231, 10, 7, 100, 255, rng.randint(10, 99), rng.randint(1000, 99999), 4096, 777])
    return Draft(Function(f"count_digit_{k}_base_{base}", (n,), INT, body), task, inputs)


@family("divisor_fold", 2)
def divisor_fold(rng: random.Random) -> Draft:
    n, i = var(rng.choice(("n", "number"))), var(rng.choice(("i", "divisor", "d")))
    kind = rng.choice(("sum", "count", "list"))
    test = number_test(rng)
    proper = rng.random() < 0.4
    top = n if proper else n + 1
    condition = divides(n, i) & test.build(i) if rng.random() < 0.6 else divides(n, i)
    plain = condition == divides(n, i)
    noun = ("proper " if proper else "") + "divisors"
    what = f"the {noun}" if plain else f"the {test.of(noun)}"
    end = noun.replace(" ", "_") if plain else f"{test.word}_{noun.replace(' ', '_')}"
    value = collect(i, span(1, top), i, condition) if kind == "list" else fold(kind, i, span(1, top), None, condition)
    verb = {"sum": "return the sum of", "count": "count", "list": "list"}[kind]
    task = f"{verb} {what} of a positive number"
    result = INTS if kind == "list" else INT
    inputs = args([12, 7, 1, 28, 36, rng.randint(10, 60), rng.randint(60, 120), 97])
    return Draft(Function(f"{kind}_{end}", (n,), result, block(ret(value))), task, inputs)


@family("steps_to_limit", 2)
def steps_to_limit(rng: random.Random) -> Draft:
    start, limit, value, steps = var("start"), var("limit"), var("value"), var("steps")
    k, m = rng.randint(2, 4), rng.randint(1, 9)
    body = block(
        let(value, start),
        let(steps, 0),
        during(value < limit, [assign(value, value * k + m), add(steps, 1)]),
        ret(steps),
    )
    task = (
        f"count how often a positive number must be multiplied by {k} and increased by {m} until it is at least `limit`"
    )
    inputs: Args = [
        [1, 100],
        [5, 4],
        [3, 1000],
        [rng.randint(1, 9), rng.randint(100, 9999)],
        [2, 2],
        [7, 50000],
        [1, 2],
    ]
    return Draft(Function(f"steps_times_{k}_plus_{m}", (start, limit), INT, body), task, inputs)


@family("shrinking_steps", 2, held_out=True)
def shrinking_steps(rng: random.Random) -> Draft:
    n, value, steps = var("n"), var("value"), var("steps")
    k, m = rng.randint(2, 5), rng.randint(1, 3)
    body = block(
        let(value, n),
        let(steps, 0),
        during(value > 0, [
            when(divides(value, k), [change(value, "div", k)], [assign(value, larger(value - m, 0))]),
            add(steps, 1),
        ]),
        ret(steps),
    )  # fmt: skip
    task = (
        f"count the steps until a number is 0: it is divided by {k} where that leaves no remainder, and "
        f"decreased by {m} otherwise"
    )
    inputs = args([10, 1, 0, 27, 64, rng.randint(10, 99), rng.randint(100, 999), 1000])
    return Draft(Function(f"steps_to_zero_{k}_{m}", (n,), INT, body), task, inputs, note="It never goes below 0.")


@family("clock_arithmetic", 1)
def clock_arithmetic(rng: random.Random) -> Draft:
    a, b = var(rng.choice(("position", "place", "start"))), var(rng.choice(("steps", "moves", "offset")))
    size = rng.choice((5, 7, 8, 10, 12, 24, 60))
    sign = rng.choice((1, -1))
    value = op("fmod", a + b if sign > 0 else a - b, size)
    task = (
        f"return where a pointer on a ring of {size} fields, numbered from 0, stands after moving "
        f"{'forward' if sign > 0 else 'backward'} from `{a.name}` by `{b.name}`, which may be negative"
    )
    inputs: Args = [
        [3, 4],
        [size - 1, 1],
        [0, -1],
        [2, -size],
        [1, 3 * size + 2],
        [0, 0],
        [rng.randrange(size), rng.randint(-99, 99)],
    ]
    return Draft(
        Function(f"{'advance' if sign > 0 else 'retreat'}_on_ring_{size}", (a, b), INT, block(ret(value))), task, inputs
    )


@family("piecewise", 1)
def piecewise(rng: random.Random) -> Draft:
    x = var(rng.choice(("x", "amount", "weight", "distance")))
    low = rng.randint(5, 15)
    high = low + rng.randint(5, 30)
    p, q, r = rng.randint(1, 5), rng.randint(6, 10), rng.randint(1, 30)
    body = block(when(x <= low, [ret(x * p)]), when(x <= high, [ret(x * q - r)]), ret(x * q + p))
    task = (
        f"compute a price: {p} times `{x.name}` up to {low}, {q} times `{x.name}` minus {r} above that up to {high}, "
        f"and {q} times `{x.name}` plus {p} beyond"
    )
    inputs = args([low, high, low + 1, high + 1, 0, rng.randint(0, low), rng.randint(low, high), high * 2])
    return Draft(Function(f"{x.name}_price", (x,), INT, body), task, inputs)


@family("sign_label", 1, training_only=True)
def sign_label(rng: random.Random) -> Draft:
    x = var(rng.choice(("temperature", "balance", "level", "score")))
    low = rng.randint(-5, 20)
    high = low + rng.randint(5, 40)
    words = rng.choice(
        (("low", "medium", "high"), ("cold", "mild", "hot"), ("red", "yellow", "green"), ("poor", "fair", "good"))
    )
    body = block(when(x < low, [ret(words[0])]), when(x < high, [ret(words[1])]), ret(words[2]))
    task = (
        f"return '{words[0]}' for a {x.name} below {low}, '{words[1]}' for one below {high}, and '{words[2]}' "
        "for all others"
    )
    inputs = args([low, high, low - 1, high - 1, 0, low + 1, high + 50, -30])
    return Draft(Function(f"classify_{x.name}", (x,), STR, body), task, inputs)


@family("common_multiples", 2, held_out=True)
def common_multiples(rng: random.Random) -> Draft:
    n, i = var(rng.choice(("n", "limit"))), var("i")
    a = rng.randint(2, 6)
    b = rng.randint(a + 1, 9)
    kind = rng.choice(("list", "count"))
    both, condition = rng.choice(((False, divides(i, a) & ~divides(i, b)), (True, ~divides(i, a) & ~divides(i, b))))
    value = (
        collect(i, span(1, n + 1), i, condition)
        if kind == "list"
        else fold("count", i, span(1, n + 1), None, condition)
    )
    words = f"divisible by neither {a} nor {b}" if both else f"divisible by {a} but not by {b}"
    task = f"{kind} the numbers from 1 to {n.name} that are {words}"
    name = f"{kind}_neither_{a}_nor_{b}" if both else f"{kind}_by_{a}_not_{b}"
    return Draft(
        Function(name, (n,), INTS if kind == "list" else INT, block(ret(value))),
        task,
        args([10, 1, 20, 30, 0, 47, rng.randint(50, 90)]),
    )


@family("unit_conversion", 1)
def unit_conversion(rng: random.Random) -> Draft:
    big, small, factor = rng.choice((
        ("hours", "minutes", 60), ("minutes", "seconds", 60), ("weeks", "days", 7), ("feet", "inches", 12),
        ("kilograms", "grams", 1000), ("meters", "centimeters", 100), ("dozens", "pieces", 12), ("days", "hours", 24),
    ))  # fmt: skip
    total = var(small)
    way = rng.choice(("text", "list", "up"))
    if way == "text":
        value, result = text(total // factor, f" {big} ", total % factor, f" {small}"), STR
        task = f"write a number of {small} as whole {big} and the {small} that are left, like '2 {big} 1 {small}'"
    elif way == "list":
        value, result = items(total // factor, total % factor), INTS
        task = f"split a number of {small} into whole {big} and the {small} that are left, as a list of two numbers"
    else:
        value, result = (total + (factor - 1)) // factor, INT
        task = f"return how many whole {big} are needed for a number of {small}"
    name = {"text": f"describe_{small}", "list": f"split_{small}", "up": f"{big}_needed"}[way]
    inputs = args([factor, factor * 2 + 1, 0, factor - 1, rng.randint(1, 5000), 1, factor * 10])
    return Draft(Function(name, (total,), result, block(ret(value))), task, inputs)
