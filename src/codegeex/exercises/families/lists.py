"""Lists as wholes: merging, cutting, comparing."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    during,
    empty,
    empty_list,
    length,
    let,
    loop,
    note,
    push,
    ret,
    smaller,
    span,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import Args, args, int_lists, ints, many, number_test
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, op
from codegeex.exercises.types import GRID, INT, INTS


@family("rotate_list", 2)
def rotate_list(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    k, i, result = var(rng.choice(("k", "steps", "shift"))), var("i"), var("result", INTS)
    left, fixed = rng.random() < 0.5, rng.choice((None, None, 1, 2, 3, 4, 5))
    by = k if fixed is None else fixed
    place = op("fmod", i + by if left else i - by, length(xs))
    body = block(let(result, empty_list(INT)), loop(i, span(0, length(xs)), [push(result, xs[place])]), ret(result))
    side = "left" if left else "right"
    if fixed is None:
        task = f"rotate a list to the {side} by `{k.name}` places"
        inputs: Args = [[one, rng.randint(0, 7)] for one in int_lists(rng)]
        return Draft(Function(f"rotate_{side}", (xs, k), INTS, body), task, inputs)
    task = f"rotate a list to the {side} by {fixed} place{'s' * (fixed > 1)}"
    return Draft(Function(f"rotate_{side}_by_{fixed}", (xs,), INTS, body), task, args(int_lists(rng)))


_NTH = {2: "second", 3: "third", 4: "fourth"}


@family("every_kth", 1)
def every_kth(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    k, start = rng.randint(2, 4), rng.randint(0, 2)
    i, result = var("i"), var("result", INTS)
    body = block(let(result, empty_list(INT)), loop(i, span(start, length(xs), k), [push(result, xs[i])]), ret(result))
    task = f"return every {_NTH[k]} element of a list, beginning with the one at index {start}"
    return Draft(Function(f"every_{k}_from_{start}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("chunks", 2)
def chunks(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    k = rng.randint(2, 4)
    result, part = var("chunks", GRID), var("chunk", INTS)
    keep = rng.random() < 0.5
    body = block(
        let(result, empty_list(INTS)),
        let(part, empty_list(INT)),
        loop(x, xs, [
            push(part, x),
            when(length(part).eq(k), [push(result, part), assign(part, empty_list(INT))]),
        ]),
        *([when(~empty(part), [push(result, part)])] if keep else []),
        ret(result),
    )  # fmt: skip
    rest = "The last piece may be shorter." if keep else "Elements that are left over are dropped."
    return Draft(
        Function(f"split_into_{k}s", (xs,), GRID, body),
        f"cut a list into pieces of {k} elements",
        args(int_lists(rng)),
        note=rest,
    )


@family("zip_with", 1)
def zip_with(rng: random.Random) -> Draft:
    a, b = var("first", INTS), var("second", INTS)
    i, result, n = var("i"), var("result", INTS), var("size")
    words, name, value = rng.choice((
        ("the sums", "add", a[i] + b[i]), ("the differences", "subtract", a[i] - b[i]),
        ("the products", "multiply", a[i] * b[i]), ("the distances", "distance", op("abs", a[i] - b[i])),
        ("the sums of squares", "squares", a[i] * a[i] + b[i] * b[i]),
    ))  # fmt: skip
    body = block(
        let(n, smaller(length(a), length(b))),
        let(result, empty_list(INT)),
        loop(i, span(0, n), [push(result, value)]),
        ret(result),
    )
    inputs: Args = [[one, two] for one, two in zip(int_lists(rng), int_lists(rng), strict=True)]
    task = f"return {words} of the elements of two lists at the same index"
    return Draft(
        Function(f"{name}_lists", (a, b), INTS, body),
        task,
        inputs,
        note="What the longer list has in excess is left out.",
    )


@family("interleave", 2, held_out=True)
def interleave(rng: random.Random) -> Draft:
    a, b = var("first", INTS), var("second", INTS)
    i, result = var("i"), var("result", INTS)
    k = rng.randint(1, 2)
    body = block(
        let(result, empty_list(INT)),
        let(i, 0),
        during((i < length(a)) | (i < length(b)), [
            when(i < length(a), [push(result, a[i] if k == 1 else a[i] * 2)]),
            when(i < length(b), [push(result, b[i])]),
            add(i, 1),
        ]),
        ret(result),
    )  # fmt: skip
    inputs: Args = [[one, two] for one, two in zip(int_lists(rng), int_lists(rng), strict=True)]
    task = "take elements of two lists in turn" + ("" if k == 1 else ", those of the first one doubled")
    return Draft(
        Function("take_in_turn" if k == 1 else "take_in_turn_doubled", (a, b), INTS, body),
        task,
        inputs,
        note="Where one list ends, the other goes on alone.",
    )


@family("merge_sorted", 3)
def merge_sorted(rng: random.Random) -> Draft:
    a, b = var("left", INTS), var("right", INTS)
    i, j, result = var("i"), var("j"), var("merged", INTS)
    down = rng.random() < 0.4
    test = (a[i] >= b[j]) if down else (a[i] <= b[j])
    body = block(
        let(result, empty_list(INT)),
        let(i, 0),
        let(j, 0),
        during((i < length(a)) & (j < length(b)), [
            when(test, [push(result, a[i]), add(i, 1)], [push(result, b[j]), add(j, 1)]),
        ]),
        note("one of the lists is used up"),
        during(i < length(a), [push(result, a[i]), add(i, 1)]),
        during(j < length(b), [push(result, b[j]), add(j, 1)]),
        ret(result),
    )  # fmt: skip
    lists = [sorted(one, reverse=down) for one in int_lists(rng)]
    others = [sorted(one, reverse=down) for one in int_lists(rng)]
    inputs: Args = [[one, two] for one, two in zip(lists, others, strict=True)]
    way = "descending" if down else "ascending"
    return Draft(
        Function(f"merge_{way}", (a, b), INTS, body),
        f"merge two lists in {way} order into one in the same order",
        inputs,
    )


@family("without_neighbours", 2)
def without_neighbours(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    result, k = var("result", INTS), rng.randint(0, 5)
    near = op("abs", x - op("last", result)) > k if k else x.ne(op("last", result))
    body = block(
        let(result, empty_list(INT)),
        loop(x, xs, [when(empty(result) | near, [push(result, x)])]),
        ret(result),
    )
    words = "equal to" if k == 0 else f"within {k} of"
    task = f"copy a list, leaving out every element that is {words} the one that was taken last"
    lists = [*int_lists(rng), [1, 1, 2, 2, 2, 1], [3, 4, 9, 10, 10]]
    return Draft(
        Function(f"drop_within_{k}" if k else "drop_repeated_neighbours", (xs,), INTS, body), task, args(lists)
    )


@family("pairs_with_sum", 2, held_out=True)
def pairs_with_sum(rng: random.Random) -> Draft:
    xs, _ = many(rng, INTS)
    target = var(rng.choice(("target", "wanted", "k")))
    i, j, count = var("i"), var("j"), var("count")
    words, name, test = rng.choice((
        ("whose absolute difference is", "differing_by", op("abs", xs[i] - xs[j]).eq(target)),
        ("whose sum is greater than", "above", xs[i] + xs[j] > target),
        ("whose product is less than", "with_product_below", xs[i] * xs[j] < target),
        ("whose sum is less than", "below", xs[i] + xs[j] < target),
    ))  # fmt: skip
    body = block(
        let(count, 0),
        loop(i, span(0, length(xs)), [loop(j, span(i + 1, length(xs)), [when(test, [add(count, 1)])])]),
        ret(count),
    )
    inputs: Args = [[one, rng.randint(0, 30)] for one in int_lists(rng)]
    return Draft(
        Function(f"count_pairs_{name}", (xs, target), INT, body),
        f"count the pairs of elements {words} `{target.name}`",
        inputs,
    )


@family("partition_list", 2)
def partition_list(rng: random.Random) -> Draft:
    xs, x = many(rng, INTS)
    test = number_test(rng)
    first, rest, result = var("chosen", INTS), var("rest", INTS), var("result", INTS)
    back = rng.random() < 0.5
    a, b = (rest, first) if back else (first, rest)
    body = block(
        let(first, empty_list(INT)),
        let(rest, empty_list(INT)),
        loop(x, xs, [when(test.build(x), [push(first, x)], [push(rest, x)])]),
        let(result, op("copy", a)),
        loop(x, b, [push(result, x)]),
        ret(result),
    )
    where = "end" if back else "front"
    task = f"move the {test.of(xs.name)} of a list to the {where}, keeping the order otherwise"
    return Draft(Function(f"move_{test.word}_to_{where}", (xs,), INTS, body), task, args(int_lists(rng)))


@family("contains_all", 2, held_out=True)
def contains_all(rng: random.Random) -> Draft:
    a, b = var("wanted", INTS), var("given", INTS)
    x = var("item")
    kind = rng.choice(("missing", "present", "count"))
    result, count = var("result", INTS), var("count")
    test = op("contains", b, x) if kind == "present" else ~op("contains", b, x)
    if kind == "count":
        body = block(let(count, 0), loop(x, a, [when(test, [add(count, 1)])]), ret(count))
        task = "count the elements of the first list that the second one does not contain"
    else:
        body = block(let(result, empty_list(INT)), loop(x, a, [when(test, [push(result, x)])]), ret(result))
        word = "also contains" if kind == "present" else "does not contain"
        task = f"list the elements of the first list that the second one {word}"
    inputs: Args = [[ints(rng, 5, 0, 9), ints(rng, 4, 0, 9)] for _ in range(5)]
    inputs += [[[], [1]], [[1, 1, 2], []], [[3], [3]]]
    return Draft(Function(f"{kind}_elements", (a, b), INT if kind == "count" else INTS, body), task, inputs)
