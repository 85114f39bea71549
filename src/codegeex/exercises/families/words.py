"""Words of texts and lists of strings; small formats."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    backwards,
    block,
    builder,
    collect,
    count_up,
    during,
    empty,
    empty_list,
    empty_map,
    fold,
    length,
    let,
    loop,
    push,
    ret,
    text,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import (
    Args,
    args,
    many,
    number_test,
    sentence,
    text_name,
    word,
    word_lists,
    word_test,
)
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Function, Statement, op
from codegeex.exercises.types import BUILDER, INT, INTS, STR, STRS, Value, map_of


@family("filter_words", 1)
def filter_words(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    test = word_test(rng)
    body = block(ret(collect(w, ws, w, test.build(w))))
    return Draft(
        Function(f"{ws.name}_{test.word}", (ws,), STRS, body),
        f"return the {test.of(ws.name)} of a list in their order",
        args(word_lists(rng)),
    )


@family("words_of_text", 2)
def words_of_text(rng: random.Random) -> Draft:
    s, w = text_name(rng), var("word", STR)
    test = word_test(rng)
    if rng.random() < 0.5:
        result = var("result", STRS)
        body = block(
            let(result, empty_list(STR)), loop(w, op("words", s), [when(test.build(w), [push(result, w)])]), ret(result)
        )
        return Draft(
            Function(f"words_{test.word}", (s,), STRS, body),
            f"list the {test.of('words')} of a text",
            args(spaced(rng)),
            note="Words are separated by spaces.",
        )
    count = var("count")
    body = block(let(count, 0), loop(w, op("words", s), [when(test.build(w), [add(count, 1)])]), ret(count))
    return Draft(
        Function(f"count_words_{test.word}", (s,), INT, body),
        f"count the {test.of('words')} of a text",
        args(spaced(rng)),
        note="Words are separated by spaces.",
    )


def spaced(rng: random.Random) -> list[Value]:
    return [sentence(rng), sentence(rng), sentence(rng, 3, 7), word(rng), sentence(rng, 2, 2), sentence(rng, 6, 8)]


@family("change_words", 2)
def change_words(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    sign = rng.choice(("-", "!", "?", "_", "*", "#", "+"))
    k = rng.randint(1, 3)
    words, name, value = rng.choice((
        ("in uppercase", "upper", op("upper", w)),
        (f"with '{sign}' behind it", "mark_end", text(w, sign)),
        (f"with '{sign}' before it", "mark_start", text(sign, w)),
        (f"between '{sign}' and '{sign}'", "enclose", text(sign, w, sign)),
        ("followed by its length", "with_length", text(w, length(w))),
        (f"with a colon and its length plus {k} behind it", "with_score", text(w, ":", length(w) + k)),
    ))  # fmt: skip
    test = word_test(rng) if rng.random() < 0.5 else None
    body = block(ret(collect(w, ws, value, test.build(w) if test else None)))
    what = f"only the {test.of(ws.name)}, each" if test else f"each of the {ws.name}"
    return Draft(
        Function(f"{name}_{ws.name}", (ws,), STRS, body), f"return a list with {what} {words}", args(word_lists(rng))
    )


@family("join_words", 1)
def join_words(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    separator = rng.choice((", ", "-", " ", "; ", "/", " and ", "+", "|"))
    test = word_test(rng)
    chosen = var("chosen", STRS)
    body = block(let(chosen, collect(w, ws, w, test.build(w))), ret(op("join", chosen, separator)))
    task = f"join the {test.of(ws.name)} of a list with '{separator}' between them"
    return Draft(Function(f"join_{ws.name}_{test.word}", (ws,), STR, body), task, args(word_lists(rng)))


@family("lengths_of_words", 1)
def lengths_of_words(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    test = word_test(rng)
    if rng.random() < 0.5:
        body = block(ret(collect(w, ws, length(w), test.build(w))))
        return Draft(
            Function(f"lengths_of_{ws.name}_{test.word}", (ws,), INTS, body),
            f"list the lengths of the {test.of(ws.name)} of a list",
            args(word_lists(rng)),
        )
    body = block(ret(fold("sum", w, ws, length(w), test.build(w))))
    return Draft(
        Function(f"total_length_{test.word}", (ws,), INT, body),
        f"return the total length of the {test.of(ws.name)} of a list",
        args(word_lists(rng)),
    )


@family("initials", 2, held_out=True)
def initials(rng: random.Random) -> Draft:
    s, w, result = text_name(rng), var("word", STR), var("result", BUILDER)
    sign = rng.choice(("", ".", "-"))
    last = rng.random() < 0.4
    letter = w[length(w) - 1] if last else w[0]
    upper = rng.random() < 0.6
    value = op("char_upper", letter) if upper else letter
    body = block(
        let(result, builder()),
        loop(w, op("words", s), [add(result, value), *([add(result, sign)] if sign else [])]),
        ret(op("built", result)),
    )
    task = (
        f"put together the {'last' if last else 'first'} letters of the words of a "
        f"text{', in uppercase' if upper else ''}"
    )
    task += f", each followed by '{sign}'" if sign else ""
    return Draft(Function(f"{'last' if last else 'first'}_letters", (s,), STR, body), task, args(spaced(rng)))


@family("turn_words", 2)
def turn_words(rng: random.Random) -> Draft:
    s, parts, turned, w, back = (
        text_name(rng),
        var("parts", STRS),
        var("turned", STRS),
        var("word", STR),
        var("backwards", STR),
    )
    separator = rng.choice((" ", "-", ", ", "/"))
    if rng.random() < 0.5:
        body = block(let(parts, op("words", s)), let(turned, backwards(parts)), ret(op("join", turned, separator)))
        task = f"write the words of a text in reverse order with '{separator}' between them"
        name = "reverse_word_order"
    else:
        body = block(
            let(turned, empty_list(STR)),
            loop(w, op("words", s), [let(back, backwards(w)), push(turned, back)]),
            ret(op("join", turned, separator)),
        )
        task = f"turn every word of a text round and write them with '{separator}' between them"
        name = "reverse_each_word"
    return Draft(Function(name, (s,), STR, body), task, args(spaced(rng)))


@family("parse_numbers", 2)
def parse_numbers(rng: random.Random) -> Draft:
    s, part, value, total = text_name(rng), var("part", STR), var("value"), var("total")
    sign = rng.choice((",", ";", "-", "/", "+", " "))
    test = number_test(rng)
    low = 0 if sign in "-+" else -9
    result = var("result", INTS)
    kind = rng.choice(("sum", "list"))
    take: list[Statement] = [when(test.build(value), [add(total, value) if kind == "sum" else push(result, value)])]
    body = block(
        let(total, 0) if kind == "sum" else let(result, empty_list(INT)),
        loop(part, op("split", s, sign), [let(value, op("parse_int", part)), *take]),
        ret(total if kind == "sum" else result),
    )
    verb = "add up" if kind == "sum" else "list"
    task = f"{verb} the {test.of('numbers')} in a text of whole numbers separated by '{sign}'"
    inputs = args(
        [sign.join(str(rng.randint(low, 40)) for _ in range(rng.randint(2, 6))) for _ in range(6)] + ["7", "0"]
    )
    return Draft(Function(f"{kind}_of_{test.word}_in_text", (s,), INT if kind == "sum" else INTS, body), task, inputs)


@family("parse_pairs", 3, held_out=True)
def parse_pairs(rng: random.Random) -> Draft:
    s, entry, parts, totals = text_name(rng), var("entry", STR), var("fields", STRS), var("totals", map_of(STR, INT))
    outer, inner = rng.choice(((";", "="), (",", ":"), (" ", "="), ("|", ":"), ("&", "=")))
    k = rng.randint(1, 3)
    amount = op("parse_int", parts[1])
    body = block(
        let(totals, empty_map(STR, INT)),
        loop(entry, op("split", s, outer), [
            let(parts, op("split", entry, inner)),
            count_up(totals, parts[0], amount * k if k > 1 else amount),
        ]),
        ret(totals),
    )  # fmt: skip
    task = f"read a text of entries name{inner}number separated by '{outer}' and return the total of each name" + (
        f", multiplied by {k}" if k > 1 else ""
    )

    def entries() -> str:
        return outer.join(
            f"{rng.choice(('red', 'blue', 'green', word(rng)))}{inner}{rng.randint(0, 30)}"
            for _ in range(rng.randint(1, 5))
        )

    return Draft(Function("totals_by_name", (s,), map_of(STR, INT), body), task, args([entries() for _ in range(8)]))


@family("replace_words", 2, held_out=True)
def replace_words(rng: random.Random) -> Draft:
    s, w, result = text_name(rng), var("word", STR), var("result", STRS)
    test, new = word_test(rng), rng.choice(("***", "_", "word", "x"))
    body = block(
        let(result, empty_list(STR)),
        loop(w, op("words", s), [when(test.build(w), [push(result, new)], [push(result, w)])]),
        ret(op("join", result, " ")),
    )
    return Draft(
        Function(f"hide_words_{test.word}", (s,), STR, body),
        f"write '{new}' in place of the {test.of('words')} of a text",
        args(spaced(rng)),
    )


@family("code_format", 2)
def code_format(rng: random.Random) -> Draft:
    name, number = var(rng.choice(("name", "title", "product")), STR), var("number")
    sign, width = rng.choice("-_/:#"), rng.randint(3, 5)
    digits, short = var("digits", STR), var("short", STR)
    k = rng.randint(2, 4)
    body = block(
        let(digits, op("to_str", number)),
        during(length(digits) < width, [assign(digits, text("0", digits))]),
        let(short, name),
        when(length(name) > k, [assign(short, op("slice", name, 0, k))]),
        ret(text(op("upper", short), sign, digits)),
    )
    task = (
        f"make a code of the first {k} letters of a name in uppercase, '{sign}', and a number with zeros in "
        f"front up to {width} digits"
    )
    inputs: Args = [["ab", 7], [word(rng), rng.randint(0, 999)], ["x", 12345], [word(rng), 0]]
    inputs += [[word(rng), rng.randint(0, 999)] for _ in range(4)]
    return Draft(Function(f"make_{name.name}_code", (name, number), STR, body), task, inputs)


@family("longest_by_test", 2)
def longest_by_test(rng: random.Random) -> Draft:
    ws, w = many(rng, STRS)
    test = word_test(rng)
    best = var("best", STR)
    late, short = rng.random() < 0.5, rng.random() < 0.4
    better = length(w) >= length(best) if late else length(w) > length(best)
    if short:  # nothing is shorter than the empty string that it begins with
        nested = when(empty(best) | (length(w) < length(best)), [assign(best, w)])
        step = when(test.build(w), [nested])
    else:
        step = when(test.build(w) & better, [assign(best, w)])
    body = block(let(best, ""), loop(w, ws, [step]), ret(best))
    which = "shortest" if short else "longest"
    order = "last" if late and not short else "first"
    note_ = f"Among several return the {order}; return an empty string if there are none."
    return Draft(
        Function(f"{which}_{test.word}", (ws,), STR, body),
        f"find the {which} of the {test.of(ws.name)} in a list",
        args(word_lists(rng)),
        note=note_,
    )
