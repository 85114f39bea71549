"""Sorting and ranking by keys of one's own."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    collect,
    empty_list,
    length,
    let,
    loop,
    ordered,
    push,
    ret,
    smaller,
    span,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import args, int_lists, many, number_test, word_lists, word_test
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Expr, Function, op
from codegeex.exercises.types import INT, INTS, STRS


@family("sort_words", 2)
def sort_words(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    down, back = rng.random() < 0.5, rng.random() < 0.3
    end = "longest" if down else "shortest"
    words, name, ks = rng.choice((
        (f"by length, {end} first, and alphabetically where lengths are equal", "by_length",
         ((length(w), down), (w, False))),
        ("by their last letter; those with the same one keep their order", "by_last_letter", ((op("last", w), back),)),
        (f"by length only, {end} first; those of one length keep their order", "by_length_only", ((length(w), down),)),
        (f"in {'reverse ' if down else ''}alphabetical order", "alphabetically", ((w, down),)),
    ))  # fmt: skip
    if name == "by_last_letter" and back:
        words = words.replace("letter;", "letter in reverse alphabetical order;")
    test = word_test(rng)
    chosen = var("chosen", STRS)
    body = block(let(chosen, collect(w, ws, w, test.build(w))), ret(ordered(chosen, w, *ks)))
    return Draft(
        Function(f"sort_{test.word}_{name}", (ws,), STRS, body),
        f"sort the {test.of(ws.name)} of a list {words}",
        args(word_lists(rng)),
    )


@family("sort_by_key", 2, held_out=True)
def sort_by_key(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    k, down, flip = rng.randint(3, 12), rng.random() < 0.5, rng.random() < 0.5
    words, name, key = rng.choice((
        (f"their distance to {k}", f"distance_to_{k}", op("abs", x - k)),
        (f"their remainder by {k}, which is never negative", f"remainder_by_{k}", op("fmod", x, k)),
        ("their last digit", "last_digit", op("mod", op("abs", x), 10)),
        ("their absolute value", "absolute_value", op("abs", x)),
    ))  # fmt: skip
    body = block(ret(ordered(xs, x, (key, down), (x, flip))))
    task = f"sort a list of numbers by {words}, {'largest' if down else 'smallest'} first"
    note = f"Where that is equal, the {'larger' if flip else 'smaller'} number comes first."
    return Draft(
        Function(f"sort_by_{name}", (xs,), INTS, body),
        task,
        args(int_lists(rng)),
        note=note,
    )


@family("kth_value", 2)
def kth_value(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    k, down = rng.randint(2, 4), rng.random() < 0.5
    test, chosen, order, default = number_test(rng), var("chosen", INTS), var("ranked", INTS), rng.choice((-1, 0))
    body = block(
        let(chosen, collect(x, xs, x, test.build(x))),
        when(length(chosen) < k, [ret(default)]),
        let(order, ordered(chosen, x, (x, down))),
        ret(order[k - 1]),
    )
    place = {2: "second", 3: "third", 4: "fourth"}[k]
    size = "largest" if down else "smallest"
    return Draft(
        Function(f"{place}_{size}_{test.word}", (xs,), INT, body),
        f"return the {place} {size} of the {test.of(xs.name)} in a list",
        args(int_lists(rng)),
        note=f"Equal ones count separately; return {default} if there are fewer than {k}.",
    )


@family("top_sum", 2, held_out=True)
def top_sum(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    k, down, i, total = rng.randint(2, 4), rng.random() < 0.6, var("i"), var("total")
    order, count, weight = var("ranked", INTS), var("count"), rng.random() < 0.5
    value: Expr = order[i] * (i + 1) if weight else order[i]
    body = block(
        let(order, ordered(xs, x, (x, down))),
        let(count, smaller(length(order), k)),
        let(total, 0),
        loop(i, span(0, count), [add(total, value)]),
        ret(total),
    )
    size = "largest" if down else "smallest"
    more = ", each times its rank from 1 on" if weight else ""
    return Draft(
        Function(f"sum_of_{k}_{size}{'_by_rank' if weight else ''}", (xs,), INT, body),
        f"add up the {k} {size} elements of a list{more}",
        args(int_lists(rng)),
        note=f"Take all of a list with fewer than {k}.",
    )


@family("ranks", 2)
def ranks(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    other, result, rank = var("other"), var("ranks", INTS), var("rank")
    down, base = rng.random() < 0.5, rng.randint(0, 1)
    body = block(
        let(result, empty_list(INT)),
        loop(x, xs, [
            let(rank, base),
            loop(other, xs, [when(other > x if down else other < x, [add(rank, 1)])]),
            push(result, rank),
        ]),
        ret(result),
    )  # fmt: skip
    task = (
        f"return for each element of a list {f'{base} plus ' if base else ''}how many elements are "
        f"{'greater' if down else 'less'} than it"
    )
    return Draft(
        Function(f"ranks_{'down' if down else 'up'}_from_{base}", (xs,), INTS, body), task, args(int_lists(rng))
    )


@family("leaders", 3, held_out=True)
def leaders(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    result, best, low = var("result", INTS), var("best"), rng.random() < 0.5
    k = rng.randint(0, 4)
    better = (x + k < best) if low else (x > best + k)
    start = 1000 if low else -1000
    body = block(
        let(result, empty_list(INT)),
        let(best, start),
        loop(x, xs, [when(better, [push(result, x), assign(best, x)])]),
        ret(result),
    )
    by = f"by more than {k} " if k else ""
    task = (
        f"list the records of a list: elements {by}{'below' if low else 'above'} the record before them, "
        f"which is {start} at first"
    )
    return Draft(Function(f"{'low' if low else 'high'}_records", (xs,), INTS, body), task, args(int_lists(rng)))
