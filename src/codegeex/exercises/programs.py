"""Tests of an exercise in each language, and the programs that decide about a body."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.emit.base import Case, Emitter
from codegeex.exercises.emit.cpp import Cpp
from codegeex.exercises.emit.go import Go
from codegeex.exercises.emit.java import Java
from codegeex.exercises.emit.rust import Rust
from codegeex.exercises.exercise import Exercise
from codegeex.exercises.types import FLOAT, Type, Value
from codegeex.sandbox.program import Program, RunnerName
from codegeex.sandbox.toolchains.cpp import HEADERS

TOLERANCE = "1e-6"
"""Between two floats that count as equal: languages add up in one order, but need not round alike."""

_CPP_HEADERS = (
    *HEADERS, "cctype", "cmath", "cstdlib", "deque", "functional", "map", "numeric", "optional", "queue", "set",
    "sstream", "stack", "unordered_map", "unordered_set", "utility",
)  # fmt: skip
_GO_PACKAGES = ("errors", "fmt", "math", "regexp", "sort", "strconv", "strings", "unicode", "bytes", "time")


def hidden_tests(exercise: Exercise, language: str) -> str:
    """The tests in a language, as `Program.tests` wants them."""
    emitter = EMITTERS[language](exercise.function, exercise.helpers)
    return _WRITERS[language](emitter, exercise)


def program(language: RunnerName, prompt: str, body: str, tests: str) -> Program:
    """The program that decides about a body.

    Args:
        prompt: of the unit, or its declaration.
        body: of the emitter or a model.
        tests: of the same exercise and language.

    Headers and packages that the prompt does not bring are added, so that another way to a solution may use them.
    """
    source = f"{prompt}{body}\n"
    if language == "cpp":
        source = "".join(f"#include<{name}>\n" for name in _CPP_HEADERS) + source
    elif language == "java":
        source = f"import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\n{source}"
    elif language == "go":
        source = _go_source(source)
    elif language == "rust":
        source = f"fn main() {{}}\n\n{source}"
    return Program(language, source, tests, modern=True)


def _go_source(source: str) -> str:
    code = re.sub(r"\Aimport \(.*?\)\n", "", source, flags=re.DOTALL)
    bare = re.sub(r"//.*|\"(?:[^\"\\\n]|\\.)*\"", "", code)
    used = [name for name in _GO_PACKAGES if re.search(rf"(?<![\w.]){name}\.", bare)]
    block = "".join(f'\t"{name}"\n' for name in ("testing", *used))
    return f'package main\n\nimport (\n{block}\t"github.com/stretchr/testify/assert"\n)\n\n{code}'


def _call(
    emitter: Emitter, exercise: Exercise, case: Case, value: Callable[[Value, Type], str], callee: str = ""
) -> str:
    arguments, _ = case
    values = (value(one, param.type) for one, param in zip(arguments, exercise.function.params, strict=True))
    return f"{callee or emitter.public(exercise.function.name)}({', '.join(values)})"


def _python(emitter: Emitter, exercise: Exercise) -> str:
    result = exercise.function.result
    lines = ["", "", "def check(candidate):"]
    for case in exercise.tests:
        call = _call(emitter, exercise, case, emitter.value, "candidate")
        answer = emitter.value(case[1], result)
        if result == FLOAT:
            lines.append(f"    assert abs({call} - {answer}) < {TOLERANCE}")
        else:
            lines.append(f"    assert {call} {'is' if case[1] is None else '=='} {answer}")
    return "\n".join([*lines, "", "", f"check({emitter.public(exercise.function.name)})", ""])


def _cpp(emitter: Emitter, exercise: Exercise) -> str:
    assert isinstance(emitter, Cpp)
    writer, result = emitter, exercise.function.result

    def typed(value: Value, type_: Type) -> str:
        text = writer.value(value, type_)
        return (
            f"{writer.type(type_)}{text}"
            if text.startswith("{")
            else f"string({text})"
            if type_.name == "str"
            else text
        )

    lines = ["#undef NDEBUG", "#include<assert.h>", "int main() {"]
    for case in exercise.tests:
        call, answer = _call(emitter, exercise, case, typed), typed(case[1], result)
        if result == FLOAT:
            lines.append(f"    assert (fabs({call} - {answer}) < {TOLERANCE});")
        else:
            if result.name == "optional" and case[1] is not None:
                answer = f"{writer.type(result)}({answer})"
            lines.append(f"    assert ({call} == {answer});")
    return "\n".join([*lines, "}", ""])


def _java(emitter: Emitter, exercise: Exercise) -> str:
    assert isinstance(emitter, Java)
    writer, result = emitter, exercise.function.result

    def typed(value: Value, type_: Type) -> str:
        if type_.name == "list":
            assert isinstance(value, list)
            inside = ", ".join(typed(item, type_.element) for item in value)
            return f"new ArrayList<{writer.box(type_.element)}>({f'Arrays.asList({inside})' if value else ''})"
        if type_.name == "map":
            assert isinstance(value, dict)
            pairs = ", ".join(
                f"Map.entry({typed(k, type_.arguments[0])}, {typed(v, type_.value)})" for k, v in value.items()
            )
            return f"new HashMap<{writer.box(type_.arguments[0])}, {writer.box(type_.value)}>(Map.ofEntries({pairs}))"
        return writer.value(value, type_)

    lines = [
        "public class Main {",
        "    public static void main(String[] args) {",
        "        Solution solution = new Solution();",
    ]
    for case in exercise.tests:
        call, answer = f"solution.{_call(emitter, exercise, case, typed)}", typed(case[1], result)
        if result == FLOAT:
            test = f"Math.abs({call} - {answer}) < {TOLERANCE}"
        else:
            test = f"{call} == {answer}" if result.scalar else f"{answer}.equals({call})"
        lines.append(f"        if (!({test})) throw new AssertionError();")
    return "\n".join([*lines, "    }", "}", ""])


_SAME = """  const same = (a, b) => {
    if (a instanceof Map && b instanceof Map) {
      return a.size === b.size && [...b].every(([key, value]) => a.has(key) && same(a.get(key), value));
    }
    if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && b.every((value, i) => same(a[i], value));
    return a === b;
  };"""


def _javascript(emitter: Emitter, exercise: Exercise) -> str:
    result = exercise.function.result
    lines = ["{", _SAME]
    for case in exercise.tests:
        call, answer = _call(emitter, exercise, case, emitter.value), emitter.value(case[1], result)
        if result == FLOAT:
            lines.append(f"  console.assert(Math.abs({call} - {answer}) < {TOLERANCE});")
        elif result.scalar or result.name == "str":
            lines.append(f"  console.assert({call} === {answer});")
        elif result.name == "optional":  # whoever returns nothing returns undefined
            lines.append(f"  console.assert(({call} ?? null) === {answer});")
        else:
            lines.append(f"  console.assert(same({call}, {answer}));")
    return "\n".join([*lines, "}", ""])


def _go(emitter: Emitter, exercise: Exercise) -> str:
    assert isinstance(emitter, Go)
    result, name = exercise.function.result, emitter.public(exercise.function.name)
    lines = [f"func Test{name}(t *testing.T) {{", "\tassert := assert.New(t)"]
    for number, case in enumerate(exercise.tests):
        call, answer = _call(emitter, exercise, case, emitter.value), emitter.value(case[1], result)
        if result == FLOAT:
            lines.append(f"\tassert.InDelta({answer}, {call}, {TOLERANCE})")
        elif result.name == "optional":
            lines.append(f"\tvalue{number}, ok{number} := {call}")
            lines.append(f"\tassert.Equal({'false' if case[1] is None else 'true'}, ok{number})")
            if case[1] is None:
                lines.append(f"\t_ = value{number}")
            else:
                lines.append(f"\tassert.Equal({emitter.value(case[1], result.element)}, value{number})")
        elif result.name == "list":  # no list and an empty one are the same answer
            lines.append(f"\tassert.Equal({answer}, append({emitter.type(result)}{{}}, {call}...))")
        else:
            lines.append(f"\tassert.Equal({answer}, {call})")
    return "\n".join([*lines, "}", ""])


def _rust(emitter: Emitter, exercise: Exercise) -> str:
    assert isinstance(emitter, Rust)
    result, name = exercise.function.result, emitter.public(exercise.function.name)
    lines = ["#[cfg(test)]", "mod tests {", "    use super::*;", "", "    #[test]", f"    fn test_{name}() {{"]
    for case in exercise.tests:
        call, answer = _call(emitter, exercise, case, emitter.value), emitter.answer(case[1], result)
        if result == FLOAT:
            lines.append(f"        assert!(({call} - {_rust_float(answer)}).abs() < {TOLERANCE});")
        elif result.name == "list":
            lines.append(f"        let wanted: {emitter.type(result)} = {answer};")
            lines.append(f"        assert_eq!({call}, wanted);")
        else:
            lines.append(f"        assert_eq!({call}, {answer});")
    return "\n".join([*lines, "    }", "}", ""])


def _rust_float(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


_WRITERS: dict[str, Callable[[Emitter, Exercise], str]] = {
    "python": _python,
    "cpp": _cpp,
    "java": _java,
    "javascript": _javascript,
    "go": _go,
    "rust": _rust,
}
LANGUAGES: Sequence[RunnerName] = ("python", "cpp", "java", "javascript", "go", "rust")
