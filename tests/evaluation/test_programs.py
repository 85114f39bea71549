"""From text to program: rules written out by hand, and the published references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.errors import CodeGeeXError
from codegeex.evaluation import humanevalx
from codegeex.evaluation.programs import CompletionRule, assemble, clean
from codegeex.evaluation.repairs import Repairs
from codegeex.sandbox import Limits, Sandbox, toolchains

OFF, ON = Repairs.of(False), Repairs.of(True)

ENDS = [
    ("python", "    return 1\nprint(2)\n", "    return 1"),
    ("python", "    return 1\n\n\ndef f():\n", "    return 1\n\n"),
    ("python", "    return 1\n    # more\n\n    x", None),
    ("java", "  return 1;\n  }\n}\n", "  return 1;\n  }"),
    ("go", "  if x { y }\n  return 1\n}\nfunc", "  if x { y }\n  return 1\n}"),
    ("cpp", '  return "}";\n}\n', '  return "}'),  # blind to strings, as the original
    ("javascript", "  return {a: 1}\n", None),
    ("rust", "  x\n}\n", "  x\n}"),
    ("python", "def f():\n    return 1\n", ""),  # the first line counts too
]


@pytest.mark.parametrize(("language", "text", "end"), ENDS)
def test_where_generation_stops(language, text, end):
    found = CompletionRule(language).feed(text)
    assert (None if found is None else text[:found]) == end


@given(st.text(alphabet="{}\n ab\"'", max_size=40), st.sampled_from(["python", "go"]), st.data())
def test_it_stops_in_the_same_place_however_the_text_arrives(text, language, data):
    whole, rule, fed = CompletionRule(language).feed(text), CompletionRule(language), 0
    found = None
    while fed < len(text) and found is None:
        size = data.draw(st.integers(1, 5))
        found = rule.feed(text[fed : fed + size])
        fed += size
    assert found == whole


CLEANED = [
    ("python", "    return 1\n# note\nprint(x)", "    return 1"),
    ("python", "    a\n    b\n", "    a\n    b\n"),
    ("java", "  return 1;\n  }", "  return 1;\n  }\n}"),
    ("java", "  return 1;\n  }\n}\n  // x", "  return 1;\n  }\n}"),
    ("go", "  return 1\n}\n// more\nfunc main() {}\n", "  return 1\n}"),
    ("cpp", "  return 1;\n}\nint x;", "  return 1;\n}"),
    ("rust", "  1\n}\n\n", "  1\n}"),
]


@pytest.mark.parametrize(("language", "text", "expected"), CLEANED)
def test_cleaning(language, text, expected):
    assert clean(text, language) == expected


def test_prompts(data):
    python, javascript = (humanevalx.load(data, key)[0] for key in ("python", "javascript"))
    assert humanevalx.generation_prompt(python) == f"# language: Python\n{python.prompt}"
    assert humanevalx.translation_prompt(javascript, python) == (
        "code translation\nJavaScript:\n\nconst double = (x) => {\n\n  return x + x;\n}\n"
        "Python:\ndef double(x: int) -> int:\n"
    )


def test_where_the_data_are_not(tmp_path, monkeypatch):
    monkeypatch.delenv("CODEGEEX_HUMANEVALX", raising=False)
    monkeypatch.setenv("CODEGEEX_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CodeGeeXError, match="codegeex eval download"):
        humanevalx.load(None, "python")
    with pytest.raises(CodeGeeXError, match="no humaneval_python"):
        humanevalx.load(tmp_path, "python")
    (tmp_path / "humaneval_python.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(CodeGeeXError, match="no file of HumanEval-X problems"):
        humanevalx.load(tmp_path, "python")
    with pytest.raises(CodeGeeXError, match="no problems in Perl"):
        humanevalx.load(tmp_path, "perl")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(limits=Limits(seconds=5)) as sandbox:
        yield sandbox


def test_what_only_seems_equal_is_no_answer(data, sandbox):
    problem = humanevalx.load(data, "python")[0]
    cheat = "    class Any(int):\n        __eq__ = lambda *_: True\n    return Any()\n"
    assert sandbox.run(assemble(problem, cheat, OFF)).verdict == "passed"  # as the original's runner has it
    assert sandbox.run(assemble(problem, cheat, ON)).verdict == "wrong"
    inside = cheat.replace("return Any()", "return [Any()]")
    assert sandbox.run(assemble(problem, inside, ON)).verdict == "wrong"
    assert sandbox.run(assemble(problem, problem.solution, ON)).verdict == "passed"


def test_javascript_may_print_where_scores_are_honest(data, sandbox):
    if why := toolchains.missing("javascript"):
        pytest.skip(why)
    problem = humanevalx.load(data, "javascript")[0]
    talking = "  console.log(x)\n" + problem.solution
    assert sandbox.run(assemble(problem, talking, OFF)).verdict == "wrong"
    assert sandbox.run(assemble(problem, talking, ON)).verdict == "passed"


GO = {
    # correct answers that the published tests reject, or wrong ones that they accept
    2: "    return number - float64(int(number))\n}\n",
    44: "    if x < base {\n        return string(rune('0' + x))\n    }\n"
    "    return ChangeBase(x/base, base) + string(rune('0' + x%base))\n}\n",
}


@pytest.mark.parametrize("number", GO)
def test_repairs_of_go(number, published, sandbox):
    if why := toolchains.missing("go"):
        pytest.skip(why)
    problem = humanevalx.load(published, "go")[number]
    assert sandbox.run(assemble(problem, GO[number], ON)).verdict == "passed"
    if number == 2:
        assert sandbox.run(assemble(problem, GO[number], OFF)).verdict == "compile_error"


@pytest.mark.parametrize(("language", "number", "body"), [("cpp", 23, "    return 0;\n}\n"), ("rust", 32, None)])
def test_vacuous_tests_are_repaired(language, number, body, published, sandbox):
    if why := toolchains.missing(language):
        pytest.skip(why)
    problem = humanevalx.load(published, language)[number]
    wrong = body or problem.solution.replace("ans\n", "ans + 1.0\n")
    assert wrong != problem.solution
    assert sandbox.run(assemble(problem, wrong, OFF)).verdict == "passed"
    assert sandbox.run(assemble(problem, wrong, ON)).verdict == "wrong"
    assert sandbox.run(assemble(problem, problem.solution, ON)).verdict == "passed"


def test_only_a_body_of_the_tests_program_is_kept(data):
    problem = humanevalx.load(data, "python")[0]
    program = assemble(problem, "    return 1\nexit()\n", OFF)
    assert "exit" not in program.source
    assert program.source.startswith("import math\n")
