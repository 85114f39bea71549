"""Emitted code: that it runs is the sandbox's to say; here, that it reads as it should and warns of nothing."""

from __future__ import annotations

import random
import re
import shutil
import subprocess

import pytest

from codegeex.exercises.build import block, collect, divides, fold, let, loop, op, ordered, ret, some, span, var, when
from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.families import FAMILIES, exercise
from codegeex.exercises.ir import Function
from codegeex.exercises.types import INT, INTS, STR, STRS, optional

X, NUMBERS = var("number"), var("numbers", INTS)
SQUARES = Function("sum_even_squares", (NUMBERS,), INT, block(ret(fold("sum", X, NUMBERS, X * X, divides(X, 2)))))


def code(language: str, function: Function) -> str:
    unit = EMITTERS[language](function).unit(["Do it."], [([[1, 2]], 4)] if function is SQUARES else [])
    return unit.prompt + unit.body


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("python", "    return sum(number * number for number in numbers if number % 2 == 0)"),
        ("cpp", "    for (int number : numbers) {"),
        ("java", "        for (int number : numbers) {"),
        (
            "javascript",
            "  return numbers.filter((number) => number % 2 === 0).reduce((sum, number) => sum + number * number, 0);",
        ),
        ("go", "\tfor _, number := range numbers {"),
        ("rust", "    numbers.iter().copied().filter(|&number| number % 2 == 0).map(|number| number * number).sum()"),
    ],
)
def test_each_language_has_its_own_way(language, line):
    assert line in code(language, SQUARES).splitlines()


@pytest.mark.parametrize("language", EMITTERS)
def test_a_unit_falls_into_parts(language):
    unit = EMITTERS[language](SQUARES).unit(["Sum the squares."], [([[1, 2]], 4)])
    assert unit.declaration.startswith(unit.imports)
    assert unit.prompt.startswith(unit.imports)
    assert "Sum the squares." in unit.prompt
    assert "Sum the squares." not in unit.declaration
    assert unit.name in unit.declaration
    assert ">>>" in unit.prompt


def test_parentheses_stand_where_they_must():
    value = (X + 1) * (X - (X - 2))
    tests = [(language, code(language, Function("f", (X,), INT, block(ret(value))))) for language in EMITTERS]
    for _, text in tests:
        assert "(number + 1) * (number - (number - 2))" in text
    divided = op("divides", X + 1, 3)
    for language in EMITTERS:
        text = code(language, Function("f", (X,), divided.type, block(ret(divided)))).replace(" ", "")
        assert "(number+1)%3" in text


def test_names_that_a_language_keeps_for_itself():
    name = var("default")
    assert "int default_)" in code("cpp", Function("f", (name,), INT, block(ret(name))))
    assert "def f(default: int)" in code("python", Function("f", (name,), INT, block(ret(name))))


def test_rust_borrows_what_it_only_reads():
    words, word = var("words", STRS), var("word", STR)
    text = code("rust", Function("longest", (words,), STRS, block(ret(ordered(words, word, (op("len", word), True))))))
    assert "words: &[String]" in text
    assert "b.len().cmp(&a.len())" in text


def test_rust_counts_places_in_usize():
    i = var("i")
    body = block(loop(i, span(0, op("len", NUMBERS)), [when(NUMBERS[i] > 3, [ret(NUMBERS[i])])]), ret(0))
    text = code("rust", Function("first", (NUMBERS,), INT, body))
    assert "for i in 0..numbers.len() {" in text
    assert "as usize" not in text


def test_go_gives_a_value_and_whether_there_is_one():
    text = code("go", Function("first", (X,), optional(INT), block(ret(some(X)))))
    assert "func First(number int) (int, bool) {" in text
    assert "return number, true" in text


def test_comments_are_written_on_request():
    one = next(exercise("merge_sorted", seed) for seed in range(9))
    for language, emitter in EMITTERS.items():
        with_comments = emitter(one.function, comments=True).unit(one.doc)
        without = emitter(one.function).unit(one.doc)
        mark = "#" if language == "python" else "//"
        assert f"{mark} one of the lists is used up" in with_comments.body
        assert "used up" not in without.body


def units(language: str, seed: int):
    for name in FAMILIES:
        one = exercise(name, seed)
        yield EMITTERS[language](one.function, one.helpers).unit(one.doc, one.examples)


def test_rust_has_no_warnings(tmp_path):
    if not shutil.which("rustc"):
        pytest.skip("no rustc")
    for number, unit in enumerate([*units("rust", 11), *units("rust", 12)]):
        path = tmp_path / f"unit{number}.rs"
        text = re.sub(r"^fn ", "pub fn ", unit.prompt + unit.body, flags=re.MULTILINE)
        path.write_text(text)
    source = "".join(f"pub mod unit{number};\n" for number in range(len(list(tmp_path.glob("unit*.rs")))))
    (tmp_path / "lib.rs").write_text(source)
    command = ["rustc", "--crate-type", "lib", "--emit=metadata", "-D", "warnings", "lib.rs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


def test_cpp_includes_what_it_uses(tmp_path):
    if not shutil.which("g++"):
        pytest.skip("no g++")
    some_units = random.Random(3).sample(list(units("cpp", 13)), 25)
    for unit in some_units:
        path = tmp_path / "unit.cpp"
        path.write_text(unit.prompt + unit.body)
        command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path.read_text()}\n{done.stderr[:2000]}"


def test_go_is_formatted(tmp_path):
    gofmt = shutil.which("gofmt")
    if not gofmt:
        pytest.skip("no gofmt")
    for number, unit in enumerate([*units("go", 14), *units("go", 15)]):
        (tmp_path / f"unit{number}.go").write_text(f"package main\n\n{unit.prompt}{unit.body}")
    done = subprocess.run([gofmt, "-d", str(tmp_path)], capture_output=True, text=True, check=True)
    assert not done.stdout, done.stdout[:3000]


def test_a_list_is_filtered_as_a_list():
    text = code("python", Function("f", (NUMBERS,), INTS, block(ret(collect(X, NUMBERS, X, X > 1)))))
    assert "return [number for number in numbers if number > 1]" in text
    kept = var("kept", INTS)
    body = block(let(kept, collect(X, NUMBERS, X, X > 1)), ret(kept))
    assert "let kept: Vec<i32> = numbers.iter().copied().filter(|&number| number > 1).collect();" in code(
        "rust", Function("f", (NUMBERS,), INTS, body)
    )
