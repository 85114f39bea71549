"""Filters, changes and folds of numbers, composed."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    backwards,
    block,
    collect,
    empty,
    empty_list,
    fold,
    let,
    loop,
    ordered,
    push,
    ret,
    span,
    var,
    when,
)  # fmt: skip
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import args, int_lists, many, number_change, number_test
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, op
from codegeex.exercises.types import BOOL, FLOAT, INT, INTS


@family("filter_numbers", 1)
def filter_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    verb = rng.choice(("return", "keep", "list", "select"))
    body = block(ret(collect(x, xs, x, test.build(x))))
    name = rng.choice((f"{test.word}_{xs.name}", f"filter_{test.word}", f"keep_{test.word}"))
    return Draft(
        Function(name, (xs,), INTS, body),
        f"{verb} the {test.of(xs.name)} of a list in their order",
        args(int_lists(rng)),
    )


@family("map_numbers", 1)
def map_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    change = number_change(rng)
    body = block(ret(collect(x, xs, change.build(x))))
    task = f"return a list of {change.phrase.format(f'the {xs.name}')}"
    return Draft(Function(f"{change.word}_of_{xs.name}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("filter_map_numbers", 2)
def filter_map_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test, change = number_test(rng), number_change(rng)
    body = block(ret(collect(x, xs, change.build(x), test.build(x))))
    task = f"return {change.phrase.format(f'the {test.of(xs.name)}')} as a list"
    return Draft(Function(f"{change.word}_of_{test.word}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("sum_numbers", 1)
def sum_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    body = block(ret(fold("sum", x, xs, None, test.build(x))))
    verb = rng.choice(("return the sum of", "add up", "compute the total of"))
    name = rng.choice((f"sum_{test.word}", f"total_{test.word}", f"sum_of_{test.word}_{xs.name}"))
    return Draft(Function(name, (xs,), INT, body), f"{verb} the {test.of(xs.name)} in a list", args(int_lists(rng)))


@family("sum_changed_numbers", 2)
def sum_changed_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test, change = number_test(rng), number_change(rng)
    body = block(ret(fold("sum", x, xs, change.build(x), test.build(x))))
    task = f"return the sum of {change.phrase.format(f'the {test.of(xs.name)}')} in a list"
    return Draft(Function(f"sum_{change.word}_{test.word}", (xs,), INT, body), task, args(int_lists(rng)))


@family("count_numbers", 1)
def count_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    body = block(ret(fold("count", x, xs, None, test.build(x))))
    task = f"count the {test.of(xs.name)} in a list"
    return Draft(Function(f"count_{test.word}", (xs,), INT, body), task, args(int_lists(rng)))


@family("any_all_numbers", 1, training_only=True)
def any_all_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    kind = rng.choice(("any", "all"))
    body = block(ret(fold(kind, x, xs, test.build(x))))
    if kind == "any":
        task = f"tell whether a list has any {test.of(xs.name)}"
    else:
        task = f"tell whether a list consists of {test.of(xs.name)} only"
    note = "An empty list has none." if kind == "any" else "The answer for an empty list is true."
    return Draft(Function(f"{kind}_{test.word}", (xs,), BOOL, body), task, args(int_lists(rng)), note=note)


@family("compare_totals", 2, held_out=True)
def compare_totals(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    first, second = number_test(rng), number_test(rng)
    while second.word == first.word:
        second = number_test(rng)
    kind = rng.choice(("sum", "count"))
    a, b = var(f"first_{kind}"), var(f"second_{kind}")
    body = block(
        let(a, fold(kind, x, xs, None, first.build(x))),
        let(b, fold(kind, x, xs, None, second.build(x))),
        ret(a - b),
    )
    what = "sum" if kind == "sum" else "number"
    task = f"return the {what} of the {first.of(xs.name)} minus the {what} of the {second.of(xs.name)}"
    return Draft(Function(f"{first.word}_minus_{second.word}", (xs,), INT, body), task, args(int_lists(rng)))


@family("average_numbers", 2)
def average_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    total, count = var("total"), var("count")
    default = float(rng.choice((0, 0, -1)))
    body = block(
        let(total, 0),
        let(count, 0),
        loop(x, xs, [when(test.build(x), [add(total, x), add(count, 1)])]),
        when(count.eq(0), [ret(default)]),
        ret(op("to_float", total) / op("to_float", count)),
    )
    task = f"return the average of the {test.of(xs.name)} in a list"
    note = f"Return {default} if there are none."
    return Draft(Function(f"average_{test.word}", (xs,), FLOAT, body), task, args(int_lists(rng)), note=note)


@family("best_of_numbers", 2)
def best_of_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    chosen = var("chosen", INTS)
    kind, default = rng.choice((("max", "largest"), ("min", "smallest"))), rng.choice((0, -1, 100))
    body = block(
        let(chosen, collect(x, xs, x, test.build(x))),
        when(empty(chosen), [ret(default)]),
        ret(fold(kind[0], x, chosen)),
    )
    task = f"find the {kind[1]} of the {test.of(xs.name)} in a list"
    note = f"Return {default} if there are none."
    return Draft(Function(f"{kind[1]}_{test.word}", (xs,), INT, body), task, args(int_lists(rng)), note=note)


@family("sort_filtered", 2)
def sort_filtered(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    down = rng.random() < 0.5
    chosen = var("chosen", INTS)
    body = block(let(chosen, collect(x, xs, x, test.build(x))), ret(ordered(chosen, x, (x, down))))
    way = "from largest to smallest" if down else "from smallest to largest"
    task = f"return the {test.of(xs.name)} of a list sorted {way}"
    return Draft(Function(f"sorted_{test.word}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("replace_numbers", 2)
def replace_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test, k = number_test(rng), rng.randint(0, 9)
    result = var("result", INTS)
    body = block(
        let(result, empty_list(INT)),
        loop(x, xs, [when(test.build(x), [push(result, k)], [push(result, x)])]),
        ret(result),
    )
    task = f"return a copy of a list in which {k} stands for the {test.of(xs.name)}"
    return Draft(Function(f"replace_{test.word}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("reversed_filter", 2, training_only=True)
def reversed_filter(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    chosen = var("chosen", INTS)
    body = block(let(chosen, collect(x, xs, x, test.build(x))), ret(backwards(chosen)))
    task = f"return the {test.of(xs.name)} of a list, the last one first"
    return Draft(Function(f"reversed_{test.word}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("sum_over_range", 1)
def sum_over_range(rng: random.Random) -> Draft:
    n, i = var(rng.choice(("n", "limit", "top"))), var(rng.choice(("i", "k", "number")))
    test, change = number_test(rng), number_change(rng)
    body = block(ret(fold("sum", i, span(1, n + 1), change.build(i), test.build(i))))
    taken = change.phrase.format("the " + test.of("numbers"))
    task = f"go through 1 to {n.name} and return the sum of {taken}"
    inputs = args([10, 5, 1, 0, 20, rng.randint(11, 30), rng.randint(31, 60)])
    return Draft(Function(f"sum_{change.word}_{test.word}_to_{n.name}", (n,), INT, body), task, inputs)


@family("widest_gap", 2, held_out=True)
def widest_gap(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    low, high, chosen = var("low"), var("high"), var("chosen", INTS)
    body = block(
        let(chosen, collect(x, xs, x, test.build(x))),
        when(empty(chosen), [ret(0)]),
        let(low, fold("min", x, chosen)),
        let(high, fold("max", x, chosen)),
        ret(high - low),
    )
    task = f"return the difference between the largest and the smallest of the {test.of(xs.name)}"
    return Draft(
        Function(f"spread_of_{test.word}", (xs,), INT, body),
        task,
        args(int_lists(rng)),
        note="Return 0 if there are none.",
    )


@family("clamp_numbers", 2)
def clamp_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    low = rng.randint(-5, 5)
    high = low + rng.randint(5, 20)
    total, value = var("total"), var("limited")
    body = block(
        let(total, 0),
        loop(x, xs, [
            let(value, x),
            when(x > high, [assign(value, high)]),
            when(x < low, [assign(value, low)]),
            add(total, value),
        ]),
        ret(total),
    )  # fmt: skip
    task = f"add up a list in which values above {high} count as {high} and values below {low} as {low}"
    return Draft(Function("sum_within_limits", (xs,), INT, body), task, args(int_lists(rng)))
