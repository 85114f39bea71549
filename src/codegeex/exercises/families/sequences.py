"""Lists of numbers seen as sequences: neighbours, running values, runs."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    change,
    divides,
    empty_list,
    larger,
    length,
    let,
    loop,
    note,
    nothing,
    push,
    ret,
    smaller,
    some,
    span,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import args, int_lists, many, number_test
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Expr, Function, op
from codegeex.exercises.types import INT, INTS, optional


@family("neighbour_count", 2)
def neighbour_count(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    i, count, k = var("i"), var("count"), rng.randint(2, 12)
    here, before = xs[i], xs[i - 1]
    words, name, condition = rng.choice((
        ("is greater than the one before it", "rises", here > before),
        ("is less than the one before it", "falls", here < before),
        ("equals the one before it", "repeats", here.eq(before)),
        (f"exceeds the one before it by more than {k}", f"jumps_over_{k}", here - before > k),
        (f"differs from the one before it by at most {k}", f"steps_within_{k}", op("abs", here - before) <= k),
        ("is the double of the one before it", "doublings", here.eq(before * 2)),
    ))  # fmt: skip
    body = block(let(count, 0), loop(i, span(1, length(xs)), [when(condition, [add(count, 1)])]), ret(count))
    task = f"count how often an element of a list {words}"
    lists = [*int_lists(rng), [1, 2, 4, 8, 8, 3], [5, 5, 5, 10]]
    return Draft(Function(f"count_{name}", (xs,), INT, body), task, args(lists))


@family("differences", 2)
def differences(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    i, result, k = var("i"), var("result", INTS), rng.randint(1, 2)
    words, name, value = rng.choice((
        ("the difference of each element and", "differences", xs[i] - xs[i - k]),
        ("the sum of each element and", "sums", xs[i] + xs[i - k]),
        ("the distance between each element and", "distances", op("abs", xs[i] - xs[i - k])),
        ("the product of each element and", "products", xs[i] * xs[i - k]),
    ))  # fmt: skip
    other = "the one before it" if k == 1 else "the one two places before it"
    body = block(let(result, empty_list(INT)), loop(i, span(k, length(xs)), [push(result, value)]), ret(result))
    task = f"return a list of {words} {other}"
    return Draft(Function(f"{name}_{k}_apart", (xs,), INTS, body), task, args(int_lists(rng)))


@family("running_total", 2)
def running_total(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    total, result = var("total"), var("totals", INTS)
    k = rng.randint(0, 20)
    body = block(
        let(total, k),
        let(result, empty_list(INT)),
        loop(x, xs, [when(test.build(x), [add(total, x)]), push(result, total)]),
        ret(result),
    )
    task = (
        f"return the running total at each element of a list, starting from {k} and adding only the {test.of(xs.name)}"
    )
    return Draft(Function(f"running_total_{test.word}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("longest_run", 3, held_out=True)
def longest_run(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    best, current = var("best"), var("current")
    body = block(
        let(best, 0),
        let(current, 0),
        loop(x, xs, [
            when(test.build(x), [add(current, 1), assign(best, larger(best, current))], [assign(current, 0)]),
        ]),
        ret(best),
    )  # fmt: skip
    task = f"return the length of the longest run of {test.of(xs.name)} that follow each other in a list"
    return Draft(Function(f"longest_run_{test.word}", (xs,), INT, body), task, args(int_lists(rng)))


@family("first_index", 1)
def first_index(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test, i = number_test(rng), var("i")
    way = rng.choice(("minus", "optional"))
    last = rng.random() < 0.4
    found = var("found")
    noun = "last" if last else "first"
    task = f"return the index of the {noun} of the {test.of(xs.name)} in a list"
    name = f"{noun}_index_of_{test.word}"
    if last:
        body = block(let(found, -1), loop(x, xs, [when(test.build(x), [assign(found, i)])], i), ret(found))
        return Draft(Function(name, (xs,), INT, body), task, args(int_lists(rng)), note="Return -1 if there are none.")
    if way == "minus":
        body = block(loop(x, xs, [when(test.build(x), [ret(i)])], i), ret(-1))
        return Draft(Function(name, (xs,), INT, body), task, args(int_lists(rng)), note="Return -1 if there are none.")
    body = block(loop(x, xs, [when(test.build(x), [ret(some(x))])]), ret(nothing(INT)))
    task = f"return the first of the {test.of(xs.name)} in a list"
    note = "Return nothing if there are none."
    return Draft(Function(f"first_{test.word}", (xs,), optional(INT), body), task, args(int_lists(rng)), note=note)


@family("weighted_sum", 2)
def weighted_sum(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    i, total, k = var(rng.choice(("i", "index", "place"))), var("total"), rng.randint(2, 5)
    words, name, value = rng.choice((
        ("times its index", "indexed", x * i),
        ("times its position, counted from 1", "positioned", x * (i + 1)),
        (f"times the remainder of its index by {k}", f"weights_mod_{k}", x * (i % k)),
        ("minus its index", "minus_index", x - i),
    ))  # fmt: skip
    body = block(let(total, 0), loop(x, xs, [add(total, value)], i), ret(total))
    task = (
        f"add up a list of numbers, each taken {words}"
        if "minus" not in words
        else f"add up a list of numbers, each {words}"
    )
    return Draft(Function(f"{name}_sum", (xs,), INT, body), task, args(int_lists(rng)))


@family("alternating", 2, held_out=True)
def alternating(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    i, total, k = var("i"), var("total"), rng.randint(2, 4)
    body = block(
        let(total, 0),
        loop(x, xs, [when(divides(i, k), [change(total, "sub", x)], [add(total, x)])], i),
        ret(total),
    )
    task = f"add up a list, but subtract the elements whose index is divisible by {k}"
    return Draft(Function(f"sum_subtracting_every_{k}", (xs,), INT, body), task, args(int_lists(rng)))


@family("window_best", 3)
def window_best(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    k = rng.randint(2, 4)
    i, j, best, total = var("i"), var("j"), var("best"), var("total")
    kind = rng.choice((("largest", larger), ("smallest", smaller)))
    body = block(
        when(length(xs) < k, [ret(0)]),
        let(best, 0),
        loop(i, span(0, length(xs) - (k - 1)), [
            note("the sum of the window that begins here"),
            let(total, 0),
            loop(j, span(i, i + k), [add(total, xs[j])]),
            when(i.eq(0), [assign(best, total)]),
            assign(best, kind[1](best, total)),
        ]),
        ret(best),
    )  # fmt: skip
    task = f"return the {kind[0]} sum of {k} neighbouring elements of a list"
    return Draft(
        Function(f"{kind[0]}_sum_of_{k}", (xs,), INT, body), task, args(int_lists(rng)),
        note=f"Return 0 if there are fewer than {k} elements.",
    )  # fmt: skip


@family("peaks", 2, held_out=True)
def peaks(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    i, result, up = var("i"), var("result", INTS), rng.random() < 0.5
    where = rng.choice(("value", "index"))
    test = (xs[i] > xs[i - 1]) & (xs[i] > xs[i + 1]) if up else (xs[i] < xs[i - 1]) & (xs[i] < xs[i + 1])
    body = block(
        let(result, empty_list(INT)),
        loop(i, span(1, length(xs) - 1), [when(test, [push(result, xs[i] if where == "value" else i)])]),
        ret(result),
    )
    what = "elements" if where == "value" else "indices of the elements"
    task = f"return the {what} of a list that are {'greater' if up else 'less'} than both of their neighbours"
    lists = int_lists(rng, longest=12)
    return Draft(Function(f"{'peak' if up else 'valley'}_{where}s", (xs,), INTS, body), task, args(lists))


@family("recurrence", 2)
def recurrence(rng: random.Random) -> Draft:
    n, i, a, b, following = var("n"), var("i"), var("previous"), var("current"), var("following")
    p, q, c = rng.randint(1, 2), rng.randint(1, 3), rng.randint(0, 5)
    first, second = rng.randint(0, 4), rng.randint(1, 6)
    if (p, q, c) == (1, 1, 0):
        c = 1
    body = block(
        when(n.eq(0), [ret(first)]),
        let(a, first),
        let(b, second),
        loop(i, span(1, n), [let(following, times(b, p) + times(a, q) + c), assign(a, b), assign(b, following)]),
        ret(b),
    )
    rule = (
        f"{f'{p} times ' if p > 1 else ''}the last one plus {f'{q} times ' if q > 1 else ''}the one before it plus {c}"
    )
    task = (
        f"return the element with index n of a sequence that begins with {first} and {second} and goes on with {rule}"
    )
    return Draft(
        Function(rng.choice(("sequence_element", "nth_element", "recurrence_value")), (n,), INT, body),
        task,
        args([5, 0, 1, 2, 8, 10, 3]),
    )


def times(x: Expr, k: int) -> Expr:
    return x if k == 1 else x * k
