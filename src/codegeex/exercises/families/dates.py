"""Dates, times of day and other things with a format."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    divides,
    empty_list,
    items,
    length,
    let,
    loop,
    push,
    ret,
    span,
    text,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import Args, args
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Expr, Function, op
from codegeex.exercises.types import INT, INTS, STR, STRS


@family("clock_text", 2)
def clock_text(rng: random.Random) -> Draft:
    total, hours, minutes = var("minutes"), var("hour", STR), var("minute", STR)
    sign, shift = rng.choice((":", ".", "h", "-")), rng.choice((0, 0, 30, 45, 90))
    value = var("value")
    body = block(
        let(value, (total + shift) % 1440 if shift else total % 1440),
        let(hours, op("to_str", value // 60)),
        when(length(hours) < 2, [assign(hours, text("0", hours))]),
        let(minutes, op("to_str", value % 60)),
        when(length(minutes) < 2, [assign(minutes, text("0", minutes))]),
        ret(text(hours, sign, minutes)),
    )
    later = f" that is {shift} minutes later" if shift else ""
    task = (
        f"write a number of minutes since midnight as the time of day{later}, like 08{sign}05, beginning again after "
        "24 hours"
    )
    return Draft(
        Function("format_clock", (total,), STR, body), task, args([0, 65, 1439, 1440, 600, rng.randint(0, 3000), 59])
    )


@family("clock_minutes", 2)
def clock_minutes(rng: random.Random) -> Draft:
    s, parts = var(rng.choice(("time", "clock", "moment")), STR), var("parts", STRS)
    sign, offset = rng.choice(":.-"), rng.randint(0, 59)
    seconds = rng.random() < 0.4
    value = op("parse_int", parts[0]) * 60 + op("parse_int", parts[1])
    final: Expr = value * 60 if seconds else value
    body = block(let(parts, op("split", s, sign)), ret(final + offset if offset else final))
    unit = "seconds" if seconds else "minutes"
    task = f"return the {unit} since midnight of a time like 8{sign}05" + (f", plus {offset}" if offset else "")
    inputs = args(
        [f"{rng.randint(0, 23)}{sign}{rng.randint(0, 59):02}" for _ in range(6)] + [f"0{sign}00", f"23{sign}59"]
    )
    return Draft(Function(f"{unit}_since_midnight", (s,), INT, body), task, inputs)


@family("leap_days", 2, held_out=True)
def leap_days(rng: random.Random) -> Draft:
    first, last, year, count = var("first"), var("last"), var("year"), var("count")
    rule = (divides(year, 4) & ~divides(year, 100)) | divides(year, 400)
    listed, result = rng.random() < 0.5, var("result", INTS)
    wanted = rng.random() < 0.5
    test = rule if wanted else ~rule
    body = block(
        let(result, empty_list(INT)) if listed else let(count, 0),
        loop(year, span(first, last + 1), [when(test, [push(result, year)] if listed else [add(count, 1)])]),
        ret(result if listed else count),
    )
    kind = "leap years" if wanted else "years that are no leap years"
    task = f"{'list' if listed else 'count'} the {kind} from `first` to `last`"
    inputs: Args = [
        [1999, 2005],
        [1896, 1905],
        [2000, 2000],
        [2001, 2001],
        [2010, 2005],
        [1990 + rng.randint(0, 9), 2010],
        [2096, 2104],
    ]
    return Draft(
        Function(
            f"{'list' if listed else 'count'}_{'leap' if wanted else 'common'}_years",
            (first, last),
            INTS if listed else INT,
            body,
        ),
        task,
        inputs,
    )


@family("date_text", 2)
def date_text(rng: random.Random) -> Draft:
    s, parts = var("date", STR), var("parts", STRS)
    old, new = rng.choice((("-", "/"), ("-", "."), ("/", "-"), (".", "-"), ("/", ".")))
    order = rng.choice(((2, 1, 0), (1, 2, 0), (1, 0, 2), (2, 0, 1)))
    names = ("year", "month", "day")
    body = block(
        let(parts, op("split", s, old)), ret(text(parts[order[0]], new, parts[order[1]], new, parts[order[2]]))
    )
    task = f"rewrite a date given as year{old}month{old}day as {new.join(names[i] for i in order)}"
    inputs = args(
        [f"{rng.randint(1900, 2030)}{old}{rng.randint(1, 12):02}{old}{rng.randint(1, 28):02}" for _ in range(6)]
    )
    return Draft(Function("rewrite_date", (s,), STR, body), task, inputs)


@family("day_of_year", 3, held_out=True)
def day_of_year(rng: random.Random) -> Draft:
    month, day, i, total, days = var("month"), var("day"), var("i"), var("total"), var("lengths", INTS)
    lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    left = rng.random() < 0.5
    base = rng.randint(0, 1)
    body = block(
        let(days, items(*lengths)),
        let(total, day if base else day - 1),
        loop(i, span(0, month - 1), [add(total, days[i])]),
        ret(365 - total if left else total),
    )
    what = (
        f"365 minus the number of a day in a year, counted from {base},"
        if left
        else f"the number of a day in a year, counted from {base},"
    )
    inputs: Args = [[1, 1], [12, 31], [3, 1], [2, 28], [rng.randint(1, 12), rng.randint(1, 28)], [7, 4], [10, 15]]
    return Draft(
        Function("days_left" if left else "day_number", (month, day), INT, body),
        f"return {what} from its month and day in a year of 365 days",
        inputs,
    )


@family("weekday_after", 1)
def weekday_after(rng: random.Random) -> Draft:
    start, days, names = var("weekday"), var("days"), var("names", STRS)
    words = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    short, before = rng.random() < 0.5, rng.random() < 0.4
    listed = [one[:3] for one in words] if short else words
    place = op("fmod", start - days if before else start + days, 7)
    body = block(let(names, items(*listed)), ret(names[place]))
    task = (
        f"return the name ({listed[0]} to {listed[6]}) of the weekday a number of days "
        f"{'before' if before else 'after'} another, given as a number from 0 for {listed[0]}"
    )
    inputs: Args = [[0, 1], [6, 1], [3, 0], [2, 100], [rng.randint(0, 6), rng.randint(0, 50)], [5, 7], [1, 13]]
    return Draft(Function(f"weekday_{'before' if before else 'after'}", (start, days), STR, body), task, inputs)
