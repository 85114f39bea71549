"""Stacks, queues and other small structures."""

from __future__ import annotations

import random

from codegeex.exercises.build import (
    add,
    assign,
    block,
    cases,
    change,
    during,
    empty,
    empty_list,
    larger,
    length,
    let,
    loop,
    push,
    ret,
    var,
    when,
)
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import args, ints, letter_name, text_name, word
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Expr, Function, Pop, Statement, op
from codegeex.exercises.types import INT, INTS, STR, STRS, Value


@family("bracket_depth", 2)
def bracket_depth(rng: random.Random) -> Draft:
    s, c, depth, best = text_name(rng), letter_name(rng), var("depth"), var("best")
    left, right = rng.choice(("()", "[]", "<>", "{}"))
    count = rng.random() < 0.4
    k = rng.randint(1, 3)
    step = when(depth > k, [add(best, 1)]) if count else assign(best, larger(best, depth))
    body = block(
        let(depth, 0),
        let(best, 0),
        loop(c, s, [cases((c.eq(left), [add(depth, 1), step]), (c.eq(right), [change(depth, "sub", 1)]))]),
        ret(best),
    )
    what = (
        f"count how many '{left}' of a text stand deeper than {k} levels"
        if count
        else f"return how deeply the '{left}' and '{right}' of a text are nested"
    )
    inputs = args(
        [
            f"{left}{right}",
            f"{left}{left}a{right}{right}",
            "",
            "abc",
            f"a{left}b{right}{left}{left}{left}c{right}{right}{right}",
            f"{left * 4}{right * 4}",
            f"{left}{left}{right}{left}{left}{right}{right}{right}",
        ]
    )
    return Draft(
        Function("count_deep" if count else "deepest_level", (s,), INT, body),
        f"{what}",
        inputs,
        note="Every one that opens is closed.",
    )


@family("cancel_pairs", 3, held_out=True)
def cancel_pairs(rng: random.Random) -> Draft:
    xs, x, stack = var("numbers", INTS), var("number"), var("stack", INTS)
    k = rng.randint(0, 10)
    words, test = rng.choice((
        (f"add up to {k}", (x + op("last", stack)).eq(k)), ("are equal", x.eq(op("last", stack))),
        (f"differ by at most {k}", op("abs", x - op("last", stack)) <= k),
    ))  # fmt: skip
    size = rng.random() < 0.4
    body = block(
        let(stack, empty_list(INT)),
        loop(x, xs, [when(~empty(stack) & test, [Pop(stack)], [push(stack, x)])]),
        ret(length(stack) if size else stack),
    )
    task = (
        f"go through a list with a stack: a number and the one on top vanish together where they {words}; "
        f"return {'how many are' if size else 'what is'} left"
    )
    lists = [ints(rng, rng.randint(3, 10), 0, 8) for _ in range(6)] + [[], [1, 1], [5, 5, 0, 0]]
    return Draft(
        Function("count_left" if size else "cancel_pairs", (xs,), INT if size else INTS, body), task, args(lists)
    )


@family("stack_machine", 3)
def stack_machine(rng: random.Random) -> Draft:
    s, word_, stack, a, b = var("program", STR), var("word", STR), var("stack", INTS), var("a"), var("b")
    plus, minus, times_ = rng.choice((("+", "-", "*"), ("add", "sub", "mul"), ("plus", "minus", "times")))
    dup = rng.choice(("dup", "copy", "again"))
    branches = [
        (word_.eq(plus), a + b), (word_.eq(minus), a - b), (word_.eq(times_), a * b),
    ]  # fmt: skip

    def calculate(value: Expr) -> list[Statement]:
        return [
            let(b, op("last", stack)), Pop(stack), let(a, op("last", stack)), Pop(stack), push(stack, value),
        ]  # fmt: skip

    made = [(test, calculate(value)) for test, value in branches]
    made.append((word_.eq(dup), [push(stack, op("last", stack))]))
    body = block(
        let(stack, empty_list(INT)),
        loop(word_, op("words", s), [cases(*made, otherwise=[push(stack, op("parse_int", word_))])]),
        ret(op("last", stack)),
    )
    task = (
        f"run a program for a stack and return what lies on top in the end: numbers are pushed, '{plus}', "
        f"'{minus}' and '{times_}' combine the two on top, '{dup}' pushes the top again"
    )
    p, q, r = rng.randint(1, 20), rng.randint(1, 20), rng.randint(2, 9)
    inputs = args(
        [
            f"{p} {q} {plus}",
            f"{p} {q} {minus}",
            f"{p} {dup} {times_}",
            f"{p} {q} {plus} {r} {times_}",
            f"{r}",
            f"{p} {q} {r} {times_} {minus}",
            f"{q} {dup} {dup} {plus} {plus}",
        ]
    )
    return Draft(Function("run_stack_program", (s,), INT, body), task, inputs)


@family("queue_rounds", 3, held_out=True)
def queue_rounds(rng: random.Random) -> Draft:
    xs, queue, head, rounds, x = var("tasks", INTS), var("queue", INTS), var("head"), var("rounds"), var("task")
    k = rng.randint(2, 6)
    body = block(
        let(queue, op("copy", xs)),
        let(head, 0),
        let(rounds, 0),
        during(head < length(queue), [
            let(x, queue[head]),
            add(head, 1),
            add(rounds, 1),
            when(x > k, [push(queue, x - k)]),
        ]),
        ret(rounds),
    )  # fmt: skip
    task = (
        f"count the turns that a queue of tasks takes, when each turn works off {k} units of the task in "
        "front, which goes to the end if something is left"
    )
    lists = [ints(rng, rng.randint(1, 6), 1, 20) for _ in range(6)] + [[], [k], [k + 1]]
    return Draft(Function(f"turns_with_{k}_units", (xs,), INT, body), task, args(lists))


@family("undo_log", 2)
def undo_log(rng: random.Random) -> Draft:
    ws, w, kept = var(rng.choice(("actions", "commands", "entries")), STRS), var("action", STR), var("kept", STRS)
    undo, clear = rng.choice((("undo", "clear"), ("back", "reset"), ("pop", "empty")))
    joined = rng.random() < 0.5
    sign = rng.choice((",", " ", "-", "/"))
    body = block(
        let(kept, empty_list(STR)),
        loop(w, ws, [cases(
            (w.eq(undo), [when(~empty(kept), [Pop(kept)])]),
            (w.eq(clear), [assign(kept, empty_list(STR))]),
            otherwise=[push(kept, w)],
        )]),
        ret(op("join", kept, sign) if joined else kept),
    )  # fmt: skip
    task = (
        f"return what is left of a list of {ws.name}, where '{undo}' takes the last one back and '{clear}' all of them"
    )
    if joined:
        task += f", joined with '{sign}'"
    lists: list[Value] = [
        [
            rng.choice((word(rng), word(rng), undo, undo, clear if rng.random() < 0.3 else word(rng)))
            for _ in range(rng.randint(1, 8))
        ]
        for _ in range(6)
    ]
    return Draft(
        Function(f"apply_{ws.name}", (ws,), STR if joined else STRS, body),
        task,
        args([*lists, [], [undo], ["a", undo, undo, "b"]]),
    )
