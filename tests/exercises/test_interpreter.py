"""The reference semantics: by hand, and against Python itself over random programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.errors import CodeGeeXError
from codegeex.exercises.build import (
    add,
    block,
    builder,
    call,
    collect,
    count_up,
    divides,
    during,
    empty_map,
    fold,
    keys,
    let,
    loop,
    op,
    ordered,
    push,
    ret,
    span,
    var,
    when,
)
from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.families import FAMILIES, exercise
from codegeex.exercises.interpreter import evaluate
from codegeex.exercises.ir import Expr, Function, Lit
from codegeex.exercises.lowering import lowered
from codegeex.exercises.operations import Refused
from codegeex.exercises.types import BOOL, BUILDER, CHAR, FLOAT, INT, INTS, STR, map_of

X, Y, NUMBERS, TEXT = var("x"), var("y"), var("numbers", INTS), var("text", STR)


def function(result, *statements, params=(X, Y)):
    return Function("solve", params, result, block(*statements))


def python(made: Function, arguments, helpers=()):
    """What Python answers to the emitted function."""
    unit = EMITTERS["python"](made, helpers).unit(["Solve."], [])
    space = {}
    exec(unit.prompt + unit.body, space)
    return space[unit.name](*arguments)


@pytest.mark.parametrize(
    ("name", "first", "second", "answer"),
    [
        ("div", 7, 2, 3), ("mod", 7, 2, 1), ("fdiv", -7, 2, -4), ("fmod", -7, 2, 1), ("tdiv", -7, 2, -3),
        ("tmod", -7, 2, -1), ("tdiv", 7, -2, -3), ("tmod", 7, -2, 1),
    ],
)  # fmt: skip
def test_the_six_divisions(name, first, second, answer):
    made = function(INT, ret(op(name, X, Y)))
    assert evaluate(made, [first, second]) == answer
    assert python(made, [first, second]) == answer


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        (X * Y, [2**20, 2**20]),
        (X + Y, [2**31 - 1, 1]),
        (-X, [-(2**31), 0]),
        (X // Y, [-1, 2]),
        (X % Y, [5, 0]),
        (op("tdiv", X, Y), [1, 0]),
        (op("chr", X), [7, 0]),
        (op("parse_int", op("format", X, "a")), [1, 0]),
    ],
)
def test_what_languages_disagree_about_is_refused(value: Expr, arguments):
    with pytest.raises(Refused):
        evaluate(function(value.type, ret(value)), arguments)


def test_places_out_of_range_are_refused():
    for value in (
        NUMBERS[X],
        op("slice", NUMBERS, 0, X),
        op("from", NUMBERS, X),
        op("last", op("slice", NUMBERS, 0, 0)),
    ):
        with pytest.raises(Refused):
            evaluate(function(value.type, ret(value), params=(NUMBERS, X)), [[1, 2], 3])


def test_what_does_not_end_is_refused():
    forever = function(INT, during(X.eq(X), [let(Y, 1)]), ret(Y))
    with pytest.raises(Refused, match="steps"):
        evaluate(forever, [1, 2])
    deep = function(INT, ret(call("solve", INT, X + 1, Y)))
    with pytest.raises(Refused, match="deeply"):
        evaluate(deep, [1, 2])


def test_sorting_is_stable_in_both_directions():
    made = function(INTS, ret(ordered(NUMBERS, X, (op("fmod", X, 3), True))), params=(NUMBERS,))
    assert evaluate(made, [[4, 1, 2, 7, 5]]) == [2, 5, 4, 1, 7] == python(made, [[4, 1, 2, 7, 5]])


def test_arguments_stay_as_they_are():
    made = function(INTS, push(NUMBERS, 1), ret(NUMBERS), params=(NUMBERS,))
    given_ = [3]
    assert evaluate(made, [given_]) == [3, 1]
    assert given_ == [3]


def test_bad_programs_are_refused_when_written():
    with pytest.raises(CodeGeeXError, match="one type"):
        op("add", X, 1.5)
    with pytest.raises(CodeGeeXError, match="no operation"):
        op("power", X, 2)
    with pytest.raises(CodeGeeXError, match="stand alone"):
        op("add", fold("sum", X, NUMBERS), 1)


def numbers(depth: int) -> st.SearchStrategy[Expr]:
    """Random expressions of x and y, numbers and truths mixed."""
    leaves = st.one_of(st.sampled_from([X, Y]), st.integers(-9, 9).map(lambda value: Lit(value, INT)))
    if depth == 0:
        return leaves
    part = numbers(depth - 1)
    two = st.sampled_from(["add", "sub", "mul", "tdiv", "tmod", "div", "mod"])
    positive = st.builds(lambda n, a, k: op(n, a, k), st.sampled_from(["fdiv", "fmod"]), part, st.integers(1, 9))
    return st.one_of(
        leaves,
        st.builds(lambda name, a, b: op(name, a, b), two, part, part),
        st.builds(lambda name, a: op(name, a), st.sampled_from(["neg", "abs"]), part),
        positive,
    )


def truths(depth: int) -> st.SearchStrategy[Expr]:
    part = numbers(depth)
    tests = st.builds(
        lambda name, a, b: op(name, a, b), st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), part, part
    )
    divided = st.builds(lambda a, k: divides(a, k), part, st.integers(1, 9))
    leaves = st.one_of(tests, divided)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
            inner.map(lambda a: ~a),
        ),
        max_leaves=4,
    )


@given(numbers(4), st.integers(-50, 50), st.integers(-50, 50))
def test_random_numbers_agree_with_python(value: Expr, x: int, y: int):
    made = function(INT, ret(value))
    try:
        answer = evaluate(made, [x, y])
    except Refused:
        return
    assert python(made, [x, y]) == answer


@given(truths(2), st.integers(-50, 50), st.integers(-50, 50))
def test_random_truths_agree_with_python(value: Expr, x: int, y: int):
    made = function(BOOL, ret(value))
    try:
        answer = evaluate(made, [x, y])
    except Refused:
        return
    assert python(made, [x, y]) == answer


@given(st.sampled_from(list(FAMILIES)), st.integers(0, 2**32))
def test_families_agree_with_python_and_with_their_own_loops(name: str, seed: int):
    one = exercise(name, seed)
    plain = lowered(one.function, lambda bulk, statement: False, lambda operation: False)
    for arguments, answer in one.tests:
        if one.function.result in (FLOAT,):
            assert python(one.function, arguments, one.helpers) == pytest.approx(answer)
        else:
            assert python(one.function, arguments, one.helpers) == answer
        assert evaluate(plain, arguments, one.helpers) == answer


def test_texts_and_maps():
    c, counts, result, key = var("c", CHAR), var("counts", map_of(CHAR, INT)), var("result", BUILDER), var("key", CHAR)
    made = function(
        STR,
        let(counts, empty_map(CHAR, INT)),
        loop(c, TEXT, [when(op("is_alpha", c), [count_up(counts, op("char_lower", c))])]),
        let(result, builder()),
        loop(key, keys(counts), [add(result, key), add(result, op("to_str", op("at", counts, key)))]),
        ret(op("built", result)),
        params=(TEXT,),
    )
    assert evaluate(made, ["Bab! a"]) == "a2b2" == python(made, ["Bab! a"])


def test_folds_and_ranges():
    made = function(INT, ret(fold("sum", X, span(1, Y + 1), X * X, divides(X, 2))), params=(Y,))
    assert evaluate(made, [6]) == 4 + 16 + 36
    empty = function(INT, ret(fold("min", X, NUMBERS)), params=(NUMBERS,))
    with pytest.raises(Refused):
        evaluate(empty, [[]])
    made = function(INTS, ret(collect(X, NUMBERS, X + 1, X > 1)), params=(NUMBERS,))
    assert evaluate(made, [[1, 2, 3]]) == [3, 4]
