"""Things that happen step by step."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    cases,
    change,
    during,
    empty_list,
    items,
    larger,
    let,
    loop,
    push,
    ret,
    smaller,
    span,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import Args, args, int_lists, letter_name
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, op
from codegeex.exercises.types import INT, INTS, STR


@family("follow_commands", 3)
def follow_commands(rng: random.Random) -> Draft:
    s, c, x, y = var(rng.choice(("commands", "moves", "path")), STR), letter_name(rng), var("x"), var("y")
    up, down, left, right = rng.choice(("NSWE", "UDLR", "^v<>", "udlr"))
    k, listed = rng.randint(1, 3), rng.random() < 0.5
    body = block(
        let(x, 0),
        let(y, 0),
        loop(c, s, [cases(
            (c.eq(up), [add(y, k)]), (c.eq(down), [change(y, "sub", k)]),
            (c.eq(left), [change(x, "sub", 1)]), (c.eq(right), [add(x, 1)]),
        )]),
        ret(items(x, y) if listed else op("abs", x) + op("abs", y)),
    )  # fmt: skip
    what = "as a list of x and y" if listed else "as the sum of its distances in both directions"
    task = (
        f"follow a string of moves from the origin ('{up}' and '{down}' change y by {k}, '{left}' and "
        f"'{right}' change x by 1) and return where it ends {what}"
    )
    signs = up + down + left + right
    inputs = args(
        ["".join(rng.choice(signs) for _ in range(rng.randint(1, 12))) for _ in range(6)] + ["", up * 3, left + right]
    )
    return Draft(
        Function("final_position" if listed else "distance_from_start", (s,), INTS if listed else INT, body),
        task,
        inputs,
    )


@family("account_balance", 2)
def account_balance(rng: random.Random) -> Draft:
    xs, x, balance, refused = (
        var(rng.choice(("amounts", "transactions", "bookings")), INTS),
        var("amount"),
        var("balance"),
        var("refused"),
    )
    start, low = rng.randint(0, 50), rng.choice((0, 0, -10, -50))
    count = rng.random() < 0.5
    body = block(
        let(balance, start),
        *([let(refused, 0)] if count else []),
        loop(x, xs, [when(balance + x >= low, [add(balance, x)], [add(refused, 1)] if count else None)]),
        ret(refused if count else balance),
    )
    task = (
        f"book amounts one after the other on an account that begins with {start}, refusing those that would "
        f"bring it below {low}, and return "
    )
    task += "how many were refused" if count else "the final balance"
    return Draft(
        Function("count_refused" if count else "final_balance", (xs,), INT, body),
        task,
        args(int_lists(rng, low=-60, high=40)),
    )


@family("battery", 2, held_out=True)
def battery(rng: random.Random) -> Draft:
    xs, x, level, top = var("changes", INTS), var("step"), var("level"), rng.choice((20, 50, 100))
    start, fee = rng.randint(0, top), rng.randint(0, 2)
    body = block(
        let(level, start),
        loop(x, xs, [
            add(level, x - fee if fee else x),
            assign(level, smaller(level, top)),
            assign(level, larger(level, 0)),
        ]),
        ret(level),
    )  # fmt: skip
    extra = f", each of which costs another {fee}" if fee else ""
    task = (
        f"return the level of a tank that begins at {start}, after a list of changes{extra}, if it never "
        f"leaves the range from 0 to {top}"
    )
    return Draft(Function(f"tank_level_up_to_{top}", (xs,), INT, body), task, args(int_lists(rng, low=-40, high=40)))


@family("countdown_circle", 3, held_out=True)
def countdown_circle(rng: random.Random) -> Draft:
    n, k, place, i = var("players"), var("step"), var("place"), var("left")
    base = rng.randint(0, 1)
    body = block(
        let(place, 0), loop(i, span(2, n + 1), [assign(place, (place + k) % i)]), ret(place + base if base else place)
    )
    task = (
        f"return which of a circle of players, numbered from {base}, is left when every `step`-th one of those who "
        f"are still there has to leave, counting from player {base} on"
    )
    inputs: Args = [[5, 2], [7, 3], [1, 1], [10, 4], [6, 1], [rng.randint(2, 40), rng.randint(1, 9)], [2, 2]]
    return Draft(Function(f"last_player_from_{base}", (n, k), INT, body), task, inputs)


@family("growth", 1)
def growth(rng: random.Random) -> Draft:
    amount, limit, value, days = var("amount"), var("limit"), var("value"), var("days")
    k = rng.randint(2, 9)
    m = rng.randint(1, 8)
    body = block(
        let(value, amount),
        let(days, 0),
        during(value < limit, [add(value, value // k + m), add(days, 1)]),
        ret(days),
    )
    task = (
        "count the days until an amount that is not negative reaches a limit, if it grows each day by a "
        f"{ordinal(k)} of itself, rounded down, plus {m}"
    )
    inputs: Args = [
        [10, 100],
        [0, 5],
        [50, 50],
        [1, 1000],
        [7, 8],
        [rng.randint(1, 50), rng.randint(100, 5000)],
        [100, 20],
    ]
    return Draft(Function(f"days_until_limit_{k}_{m}", (amount, limit), INT, body), task, inputs)


def ordinal(k: int) -> str:
    return ("half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth")[k - 2]


@family("vending", 2, held_out=True)
def vending(rng: random.Random) -> Draft:
    amount, rest, count, coin = var("amount"), var("rest"), var("count"), var("coin")
    coins = [*sorted(rng.sample((2, 5, 10, 20, 25, 50, 100), rng.randint(2, 4)), reverse=True), 1]
    listed = rng.random() < 0.5
    result = var("coins", INTS)
    body = block(
        let(rest, amount),
        let(result, empty_list(INT)) if listed else let(count, 0),
        loop(coin, items(*coins), [
            *([push(result, rest // coin)] if listed else [add(count, rest // coin)]),
            assign(rest, rest % coin),
        ]),
        ret(result if listed else count),
    )  # fmt: skip
    names = ", ".join(map(str, coins[:-1]))
    task = (
        f"pay an amount with coins of {names} and {coins[-1]}, always the largest that fits, and return "
        f"{'how many there are of each' if listed else 'how many coins that takes'}"
    )
    inputs = args([0, 1, 99, 37, 100, rng.randint(100, 999), 64])
    return Draft(
        Function("coins_of_each_kind" if listed else "count_coins", (amount,), INTS if listed else INT, body),
        task,
        inputs,
    )
