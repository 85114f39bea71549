"""Maps: counting, grouping, looking up."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    builder,
    count_up,
    divides,
    empty_list,
    empty_map,
    keys,
    larger,
    length,
    let,
    loop,
    nothing,
    push,
    put,
    ret,
    some,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import (
    Args,
    args,
    char_test,
    int_lists,
    ints,
    letter_name,
    many,
    text_inputs,
    text_name,
    word,
    word_lists,
    word_test,
)
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Expr, Function, Group, op
from codegeex.exercises.types import BUILDER, CHAR, INT, INTS, STR, STRS, map_of, optional


@family("count_by_key", 2)
def count_by_key(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    counts = var("counts", map_of(INT, INT))
    test = word_test(rng)
    key = length(w)
    by_letter = rng.random() < 0.5
    if by_letter:
        letters = var("counts", map_of(CHAR, INT))
        end = rng.random() < 0.5
        place = op("last", w) if end else w[0]
        body = block(
            let(letters, empty_map(CHAR, INT)),
            loop(w, ws, [when(test.build(w), [count_up(letters, place)])]),
            ret(letters),
        )
        what, result, name = (
            f"{'last' if end else 'first'} letter",
            map_of(CHAR, INT),
            f"count_by_{'last' if end else 'first'}_letter",
        )
    else:
        body = block(
            let(counts, empty_map(INT, INT)), loop(w, ws, [when(test.build(w), [count_up(counts, key)])]), ret(counts)
        )
        what, result, name = "length", map_of(INT, INT), "count_by_length"
    return Draft(
        Function(name, (ws,), result, body),
        f"count the {test.of(ws.name)} of a list by their {what}",
        args(word_lists(rng)),
    )


@family("group_numbers", 2)
def group_numbers(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    k = rng.randint(2, 5)
    groups = var("groups", map_of(INT, INTS))
    sums = rng.random() < 0.5
    totals = var("totals", map_of(INT, INT))
    tens = rng.random() < 0.4
    key = op("fdiv", x, 10) if tens else op("fmod", x, k)
    by = "their tenth, rounded down" if tens else f"their remainder by {k}, which is never negative"
    if sums:
        body = block(let(totals, empty_map(INT, INT)), loop(x, xs, [count_up(totals, key, x)]), ret(totals))
        return Draft(
            Function("sums_by_tens" if tens else f"sums_by_remainder_{k}", (xs,), map_of(INT, INT), body),
            f"return the sums of the {xs.name} of a list by {by}",
            args(int_lists(rng)),
        )
    body = block(let(groups, empty_map(INT, INTS)), loop(x, xs, [Group(groups, key, x)]), ret(groups))
    return Draft(
        Function("group_by_tens" if tens else f"group_by_remainder_{k}", (xs,), map_of(INT, INTS), body),
        f"group the {xs.name} of a list by {by}",
        args(int_lists(rng)),
    )


@family("frequent_values", 3)
def frequent_values(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    counts, key, result = var("counts", map_of(INT, INT)), var("key"), var("result", INTS)
    k = rng.randint(1, 3)
    words, name, test = rng.choice((
        (f"at least {k + 1} times", f"at_least_{k + 1}", op("at", counts, key) >= k + 1),
        (f"exactly {k} time{'s' if k > 1 else ''}", f"exactly_{k}", op("at", counts, key).eq(k)),
        ("an even number of times", "even_times", divides(op("at", counts, key), 2)),
        ("an odd number of times", "odd_times", ~divides(op("at", counts, key), 2)),
    ))  # fmt: skip
    body = block(
        let(counts, empty_map(INT, INT)),
        loop(x, xs, [count_up(counts, x)]),
        let(result, empty_list(INT)),
        loop(key, keys(counts), [when(test, [push(result, key)])]),
        ret(result),
    )
    lists = [ints(rng, rng.randint(4, 12), 0, 5) for _ in range(6)] + [[], [3]]
    return Draft(
        Function(f"values_{name}", (xs,), INTS, body),
        f"list, in ascending order, the values that occur in a list {words}",
        args(lists),
    )


@family("most_frequent_char", 3, held_out=True)
def most_frequent_char(rng: random.Random) -> Draft:
    s, c, counts, best, key = (
        text_name(rng),
        letter_name(rng),
        var("counts", map_of(CHAR, INT)),
        var("best"),
        var("key", CHAR),
    )
    test = char_test(rng)
    result = var("winners", BUILDER)
    body = block(
        let(counts, empty_map(CHAR, INT)),
        let(best, 0),
        loop(c, s, [when(test.build(c), [count_up(counts, c), assign(best, larger(best, op("at", counts, c)))])]),
        let(result, builder()),
        loop(key, keys(counts), [when(op("at", counts, key).eq(best), [add(result, key)])]),
        ret(op("built", result)),
    )
    task = f"return those of the {test.of('characters')} that occur most often in a string"
    return Draft(
        Function(f"most_frequent_{test.word}", (s,), STR, body),
        task,
        args([*text_inputs(rng), "banana", "aabb 11"]),
        note="Several are put together in ascending order.",
    )


@family("first_repeated", 2, held_out=True)
def first_repeated(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    counts = var("seen", map_of(INT, INT))
    k = rng.randint(2, 3)
    body = block(
        let(counts, empty_map(INT, INT)),
        loop(x, xs, [count_up(counts, x), when(op("at", counts, x).eq(k), [ret(some(x))])]),
        ret(nothing(INT)),
    )
    lists = [ints(rng, rng.randint(4, 12), 0, 5) for _ in range(6)] + [[], [3], [1, 2, 3], [2, 2, 2]]
    words = {2: "second", 3: "third"}[k]
    return Draft(
        Function(f"first_{words}_occurrence", (xs,), optional(INT), body),
        f"return the value that is the first to occur for the {words} time in a list",
        args(lists),
        note="Return nothing if no value does.",
    )


@family("unseen_words", 2)
def unseen_words(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    seen, result, key = var("seen", STRS), var("result", STRS), var("key", STR)
    fold_case = rng.random() < 0.4
    test = word_test(rng)
    new = when(test.build(w) & ~op("contains", result, w), [push(result, w)])
    body = block(let(result, empty_list(STR)), loop(w, ws, [new]), ret(result))
    if fold_case:
        new = when(test.build(key) & ~op("contains", seen, key), [push(seen, key), push(result, w)])
        body = block(
            let(seen, empty_list(STR)),
            let(result, empty_list(STR)),
            loop(w, ws, [let(key, op("lower", w)), new]),
            ret(result),
        )
    task = f"return the {test.of(ws.name)} of a list without repetitions, in the order of their first appearance"
    note = "Upper and lower case count as the same." if fold_case else ""
    lists = [*word_lists(rng), ["Tree", "tree", "book", "Book", "tree"]]
    return Draft(Function(f"distinct_{ws.name}_{test.word}", (ws,), STRS, body), task, args(lists), note=note)


@family("count_with_prices", 2)
def count_with_prices(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    prices, total = var("prices", map_of(STR, INT)), var("total")
    default, off = rng.randint(0, 9), rng.randint(0, 5)
    value = op("get", prices, w, default)
    body = block(let(total, off), loop(w, ws, [add(total, value)]), ret(total))
    task = f"add up the prices of the {ws.name} of a list" + (f" and a fee of {off}" if off else "")
    inputs: Args = [
        [one, {key: rng.randint(1, 50) for key in sorted({*one[:3], word(rng)})}] for one in word_lists(rng)
    ]
    return Draft(
        Function(f"total_price_of_{ws.name}", (ws, prices), INT, body),
        task,
        inputs,
        note=f"What has no price costs {default}.",
    )


@family("invert_positions", 2, held_out=True)
def invert_positions(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    table, i, base = var("positions", map_of(STR, INT)), var("i"), rng.randint(0, 1)
    last = rng.random() < 0.5
    place: Expr = i + 1 if base else i
    step = [put(table, w, place)] if last else [when(~op("has_key", table, w), [put(table, w, place)])]
    body = block(let(table, empty_map(STR, INT)), loop(w, ws, step, i), ret(table))
    task = (
        "return for every distinct string of a list "
        f"{'the position, counted from 1,' if base else 'the index'} of its {'last' if last else 'first'} "
        "appearance"
    )
    return Draft(
        Function(f"{'last' if last else 'first'}_positions", (ws,), map_of(STR, INT), body), task, args(word_lists(rng))
    )
