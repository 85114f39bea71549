"""The grammar: that it holds what it promises, and that six languages agree with the interpreter."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from codegeex.errors import CodeGeeXError
from codegeex.exercises.build import add, loop, ordered, ret, span, var, when
from codegeex.exercises.check import check
from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.families import FAMILIES, exercise
from codegeex.exercises.ir import Function, Name
from codegeex.exercises.lowering import substituted
from codegeex.exercises.make import make, rows
from codegeex.exercises.programs import hidden_tests, program
from codegeex.exercises.types import FLOAT, INTS


def test_there_are_many_families_and_about_a_third_of_those_that_measure_is_held_out():
    measuring = [one for one in FAMILIES.values() if not one.training_only]
    assert len(measuring) >= 60
    assert sum(one.held_out for one in measuring) > 0.32 * len(measuring)
    assert {one.level for one in FAMILIES.values()} == {1, 2, 3}


def test_a_seed_always_gives_the_same():
    for name in FAMILIES:
        assert exercise(name, 3) == exercise(name, 3)
    with pytest.raises(CodeGeeXError, match="no family"):
        exercise("nonsense", 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_python_answers_what_the_interpreter_answers(name):
    """Many seeds in the one language that needs no compiler; wordings have no places that nobody filled."""
    for seed in range(12):
        one = exercise(name, seed)
        unit = EMITTERS["python"](one.function, one.helpers).unit(one.doc)
        scope = {}
        exec(unit.declaration + unit.body, scope)
        for arguments, answer in one.tests:
            found = scope[unit.name](*copy.deepcopy(list(arguments)))
            assert found == (pytest.approx(answer) if one.function.result == FLOAT else answer)
            assert type(found) is type(answer)
        assert len(one.intents) >= 4
        assert all("{" not in intent and "  " not in intent for intent in one.intents if "'{'" not in intent)


def test_what_is_held_out_is_like_nothing_that_is_trained_on():
    """A tree without its names and numbers, in the order in which families draw them."""
    held, others = ([one for one in FAMILIES.values() if one.held_out == half] for half in (True, False))
    trained = {exercise(one.name, seed).shape: one.name for one in others for seed in range(40)}
    drawn = {(one.name, exercise(one.name, seed).shape) for one in held for seed in range(20)}
    assert not {(name, trained[shape]) for name, shape in drawn if shape in trained}


@pytest.mark.timeout(300)
def test_every_family_runs(sandbox):
    """Each in one language; for every version of the emitters, `codegeex exercises check` runs all of a file."""
    some = [list(rows(exercise(name, 77)))[place % len(EMITTERS)] for place, name in enumerate(FAMILIES)]
    checked = check(some, sandbox)
    assert not checked.failures, checked.report()["failures"][:3]


@pytest.mark.parametrize("language", EMITTERS)
@pytest.mark.parametrize("name", ["filter_numbers", "keep_chars", "average_numbers", "first_index", "count_by_key"])
def test_wrong_answers_do_not_pass(sandbox, name, language):
    """A body of another exercise with the same parameters is wrong."""
    one = exercise(name, 1)
    unit = EMITTERS[language](one.function).unit(one.doc)
    others = (exercise(name, seed) for seed in range(2, 400))
    other = next(
        item
        for item in others
        if item.function.params == one.function.params
        and item.function.result == one.function.result
        and item.shape != one.shape
    )
    body = EMITTERS[language](other.function).unit(other.doc).body
    result = sandbox.run(program(language, unit.prompt, body, hidden_tests(one, language)))
    assert result.verdict in ("wrong", "runtime_error"), result


def test_made_exercises_are_different_and_reproducible():
    names = ["filter_numbers", "merge_sorted"]
    made = make(60, 4, names)
    assert [one.id for one in made.exercises] == [one.id for one in make(60, 4, names).exercises]
    assert [one.id for one in made.exercises] != [one.id for one in make(60, 5, names).exercises]
    assert len({one.id for one in made.exercises}) == 60
    assert made.duplicates > 0
    assert made.report()["near_duplicates"] > 0


def test_families_are_used_up():
    made = make(1000, 1, ["merge_sorted"])
    assert 1 <= len(made.exercises) < 1000


def test_what_is_taken_is_not_drawn():
    taken = [one.task for one in make(20, 4, ["filter_numbers"]).exercises]
    again = make(20, 4, ["filter_numbers"], taken=taken)
    assert not {one.task for one in again.exercises} & set(taken)


def test_shapes_do_not_see_names_and_numbers():
    some = [exercise("filter_numbers", seed) for seed in range(400)]
    above = [one for one in some if "greater than" in one.doc[0] and "even" not in one.doc[0]]
    assert len({one.id for one in above}) > 10
    assert len({one.shape for one in above}) <= 2  # an expression, or a loop


X, XS, N = var("x"), var("xs", INTS), var("n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([ret(ordered(XS))], [ret(ordered(XS, X, (X, True)))]),
        ([loop(X, span(0, N), [add(N, X)]), ret(XS)], [loop(X, span(0, N, 2), [add(N, X)]), ret(XS)]),
        ([when(N > 1, [add(N, 1)], [add(N, 2)]), ret(XS)], [when(N > 1, [add(N, 1)]), add(N, 2), ret(XS)]),
        ([when(N > 1, [add(N, 1), add(N, 2)]), ret(XS)], [when(N > 1, [add(N, 1)], [add(N, 2)]), ret(XS)]),
    ],
)
def test_solutions_that_do_something_else_mean_something_else(one, other):
    drawn = exercise("filter_numbers", 1)
    first, second = (Function("f", (XS, N), INTS, tuple(body)) for body in (one, other))
    assert replace(drawn, function=first).meaning != replace(drawn, function=second).meaning
    renamed = replace(first, name="g")
    for name, wanted in ((XS, "items"), (N, "k"), (X, "each")):
        named = Name(wanted, name.type)
        params = tuple(named if param == name else param for param in renamed.params)
        body = tuple(substituted(statement, name, named) for statement in renamed.body)
        renamed = replace(renamed, params=params, body=body)
    assert replace(drawn, function=renamed).meaning == replace(drawn, function=first).meaning
