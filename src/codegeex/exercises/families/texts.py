"""Strings, char by char."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    backwards,
    block,
    builder,
    cases,
    change,
    char,
    divides,
    empty_list,
    fold,
    length,
    let,
    loop,
    note,
    push,
    ret,
    smaller,
    span,
    text,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import Args, args, char_test, letter_name, text_inputs, text_name, word
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, Statement, op
from codegeex.exercises.types import BUILDER, INT, INTS, STR


@family("count_chars", 1)
def count_chars(rng: random.Random) -> Draft:
    s, c = text_name(rng), letter_name(rng)
    test = char_test(rng)
    body = block(ret(fold("count", c, s, None, test.build(c))))
    return Draft(
        Function(f"count_{test.word}_chars", (s,), INT, body),
        f"count the {test.of('characters')} in a string",
        args(text_inputs(rng)),
    )


@family("keep_chars", 1)
def keep_chars(rng: random.Random) -> Draft:
    s, c, result = text_name(rng), letter_name(rng), var("result", BUILDER)
    test = char_test(rng)
    body = block(let(result, builder()), loop(c, s, [when(test.build(c), [add(result, c)])]), ret(op("built", result)))
    verb = rng.choice(("keep only the", "return the", "extract the"))
    return Draft(
        Function(f"keep_{test.word}", (s,), STR, body),
        f"{verb} {test.of('characters')} of a string",
        args(text_inputs(rng)),
    )


@family("replace_chars", 2)
def replace_chars(rng: random.Random) -> Draft:
    s, c, result = text_name(rng), letter_name(rng), var("result", BUILDER)
    test, sign = char_test(rng), rng.choice("*#_.-+")
    body = block(
        let(result, builder()),
        loop(c, s, [when(test.build(c), [add(result, char(sign))], [add(result, c)])]),
        ret(op("built", result)),
    )
    task = f"write '{sign}' in place of the {test.of('characters')} of a string"
    return Draft(Function(f"mask_{test.word}", (s,), STR, body), task, args(text_inputs(rng)))


@family("repeat_chars", 2, held_out=True)
def repeat_chars(rng: random.Random) -> Draft:
    s, c, result = text_name(rng), letter_name(rng), var("result", BUILDER)
    test, k = char_test(rng), rng.randint(2, 3)
    body = block(
        let(result, builder()),
        loop(c, s, [add(result, c), when(test.build(c), [add(result, c)] * (k - 1))]),
        ret(op("built", result)),
    )
    task = f"write the {test.of('characters')} of a string {k} times and all others once"
    return Draft(Function(f"repeat_{test.word}_{k}_times", (s,), STR, body), task, args(text_inputs(rng)))


@family("shift_letters", 3)
def shift_letters(rng: random.Random) -> Draft:
    s, c, result, code = text_name(rng), letter_name(rng), var("result", BUILDER), var("code")
    k = rng.randint(2, 12)
    both = rng.random() < 0.5

    def shifted(first: str) -> list[Statement]:
        return [let(code, (op("ord", c) - ord(first) + k) % 26 + ord(first)), add(result, op("chr", code))]

    lower = (op("is_lower", c), shifted("a"))
    upper = (op("is_upper", c), shifted("A"))
    step = cases(lower, *([upper] if both else []), otherwise=[add(result, c)])
    body = block(let(result, builder()), loop(c, s, [step]), ret(op("built", result)))
    which = "letter" if both else "lowercase letter"
    task = (
        f"replace every {which} of a string by the one {k} places later in the alphabet, beginning again "
        "after the last one"
    )
    return Draft(
        Function(f"shift_{'letters' if both else 'lowercase'}_by_{k}", (s,), STR, body),
        task,
        args(text_inputs(rng)),
        note="Other characters stay.",
    )


@family("digits_in_text", 2)
def digits_in_text(rng: random.Random) -> Draft:
    s, c, total = text_name(rng), letter_name(rng), var("total")
    k, m = rng.randint(1, 3), rng.randint(0, 3)
    digit = op("digit", c)
    value = digit * k if k > 1 else digit
    body = block(let(total, m), loop(c, s, [when(op("is_digit", c), [add(total, value)])]), ret(total))
    task = f"add up {f'{k} times ' if k > 1 else ''}the digits that occur in a string" + (
        f", starting from {m}" if m else ""
    )
    inputs = args([*text_inputs(rng), "a1b2c3", "007", "12 34"])
    return Draft(Function("sum_digits_in_text", (s,), INT, body), task, inputs)


@family("compress_runs", 3, held_out=True)
def compress_runs(rng: random.Random) -> Draft:
    s, i, count, result = text_name(rng), var("i"), var("count"), var("result", BUILDER)
    least, before = rng.choice((1, 2)), rng.random() < 0.5
    writes = (
        [add(result, op("to_str", count)), add(result, s[i])]
        if before
        else [add(result, s[i]), add(result, op("to_str", count))]
    )
    end = [when(count >= least, writes, [add(result, s[i])])] if least > 1 else writes
    body = block(
        let(result, builder()),
        let(count, 0),
        loop(i, span(0, length(s)), [
            add(count, 1),
            note("the last one of its run"),
            when((i + 1).eq(length(s)) | s[i].ne(s[i + 1]), [*end, assign(count, 0)]),
        ]),
        ret(op("built", result)),
    )  # fmt: skip
    task = (
        "write every run of equal characters in a string as the character "
        f"{'after' if before else 'followed by'} its length"
    )
    inputs = args(["aaabbc", "abc", "", "aabbaa", "zzzz", "1122", "x", "hello", "mississippi"])
    return Draft(
        Function("compress_runs", (s,), STR, body),
        task,
        inputs,
        note="Single characters stand alone." if least > 1 else "",
    )


@family("char_positions", 2)
def char_positions(rng: random.Random) -> Draft:
    s, c, i, result = text_name(rng), letter_name(rng), var("i"), var("positions", INTS)
    test = char_test(rng)
    base = rng.randint(0, 1)
    body = block(
        let(result, empty_list(INT)),
        loop(c, s, [when(test.build(c), [push(result, i + 1 if base else i)])], i),
        ret(result),
    )
    task = f"list the {'positions, counted from 1,' if base else 'indices'} of the {test.of('characters')} in a string"
    return Draft(Function(f"positions_of_{test.word}", (s,), INTS, body), task, args(text_inputs(rng)))


@family("mirror_text", 1)
def mirror_text(rng: random.Random) -> Draft:
    s, back = text_name(rng), var("backwards", STR)
    sign = rng.choice(("-", "|", " ", "+", "/"))
    turned = rng.random() < 0.5
    parts = (back, sign, s) if turned else (s, sign, back)
    body = block(let(back, backwards(s)), ret(text(*parts)))
    order = f"its reverse, '{sign}' and the string itself" if turned else f"the string itself, '{sign}' and its reverse"
    return Draft(
        Function("join_with_reverse", (s,), STR, body), f"put together, for a string, {order}", args(text_inputs(rng))
    )


@family("cut_text", 1)
def cut_text(rng: random.Random) -> Draft:
    s, k = text_name(rng), rng.randint(2, 8)
    tail = rng.choice(("...", "~", "", "-"))
    front = rng.random() < 0.6
    part = op("slice", s, 0, k) if front else op("from", s, length(s) - k)
    value = (text(part, tail) if front else text(tail, part)) if tail else part
    body = block(when(length(s) <= k, [ret(s)]), ret(value))
    end = "first" if front else "last"
    extra = f" with '{tail}' {'behind' if front else 'before'} them" if tail else ""
    task = f"cut a string to its {end} {k} characters{extra}"
    note = f"A string of at most {k} characters stays as it is."
    return Draft(Function(f"shorten_to_{end}_{k}", (s,), STR, body), task, args(text_inputs(rng)), note=note)


@family("pad_text", 1, held_out=True)
def pad_text(rng: random.Random) -> Draft:
    s, width, sign = text_name(rng), var("width"), rng.choice("0*.- _")
    missing, padding = var("missing"), var("padding", STR)
    way = rng.choice(("left", "right", "both"))
    values = {"left": text(padding, s), "right": text(s, padding), "both": text(padding, s, padding)}
    count = op("div", missing, 2) if way == "both" else missing
    body = block(
        when(length(s) >= width, [ret(s)]),
        let(missing, width - length(s)),
        let(padding, op("repeat", sign, count)),
        ret(values[way]),
    )
    where = {"left": "in front of it", "right": "behind it", "both": "on both sides of it, as many on each"}[way]
    task = f"bring a string to a width by '{sign}' {where}"
    inputs: Args = [[one, rng.randint(4, 12)] for one in text_inputs(rng)]
    note = "A string that is wide enough stays as it is."
    if way == "both":
        note += " Where the number of signs is odd, one is left out."
    return Draft(Function(f"pad_{way}", (s, width), STR, body), task, inputs, note=note)


@family("same_places", 1, held_out=True)
def same_places(rng: random.Random) -> Draft:
    a, b, i, count, n = var("first", STR), var("second", STR), var("i"), var("count"), var("size")
    same = rng.random() < 0.5
    test = a[i].eq(b[i]) if same else a[i].ne(b[i])
    extra = rng.random() < 0.5
    body = block(
        let(n, smaller(length(a), length(b))),
        let(count, 0),
        loop(i, span(0, n), [when(test, [add(count, 1)])]),
        ret(count + op("abs", length(a) - length(b)) if extra else count),
    )
    task = f"count the places at which two strings have {'the same character' if same else 'different characters'}"
    note = (
        "Every character that the longer one has in excess counts as well."
        if extra
        else "What the longer one has in excess does not count."
    )
    inputs: Args = [
        ["stone", "stove"],
        ["abc", "abd"],
        ["", "x"],
        ["level", "lever"],
        [word(rng), word(rng)],
        ["same", "same"],
        [word(rng), word(rng)],
    ]
    return Draft(
        Function(f"count_{'equal' if same else 'different'}_places", (a, b), INT, body), task, inputs, note=note
    )


@family("case_by_index", 2)
def case_by_index(rng: random.Random) -> Draft:
    s, c, i, result = text_name(rng), letter_name(rng), var("i"), var("result", BUILDER)
    k = rng.randint(2, 3)
    up, down = op("char_upper", c), op("char_lower", c)
    if rng.random() < 0.5:
        up, down = down, up
        words = "lowercase", "uppercase"
    else:
        words = "uppercase", "lowercase"
    body = block(
        let(result, builder()),
        loop(c, s, [when(divides(i, k), [add(result, up)], [add(result, down)])], i),
        ret(op("built", result)),
    )
    task = (
        f"write the characters of a string whose index is divisible by {k} in {words[0]} and all others in {words[1]}"
    )
    return Draft(Function(f"alternate_case_{k}", (s,), STR, body), task, args(text_inputs(rng)))


@family("balance_of_kinds", 2, held_out=True)
def balance_of_kinds(rng: random.Random) -> Draft:
    s, c, balance = text_name(rng), letter_name(rng), var("balance")
    first, second = char_test(rng), char_test(rng)
    while second.word == first.word:
        second = char_test(rng)
    p, q = rng.randint(1, 3), rng.randint(1, 3)
    body = block(
        let(balance, 0),
        loop(c, s, [when(first.build(c), [add(balance, p)]), when(second.build(c), [change(balance, "sub", q)])]),
        ret(balance),
    )
    task = (
        f"score a string: {p} for each of the {first.of('characters')}, minus {q} for each of the "
        f"{second.of('characters')}"
    )
    return Draft(Function(f"score_{first.word}_{second.word}", (s,), INT, body), task, args(text_inputs(rng)))
