"""From what a person asks to a prompt, and from the model's answer to what the person gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import codegeex
from codegeex import CodeGeeXError, Generation, Model
from codegeex.engine import Backend, SamplingParams
from codegeex.engine.numpy_backend import NumpyBackend
from codegeex.tokenizer import Tokenizer
from codegeex.tokenizer.tokenizer import FIM_SUFFIX, FIM_TOKENS

QUICK: dict[str, Any] = {"max_tokens": 8, "seed": 5, "temperature": 1.0}


@pytest.fixture(scope="module")
def model(tiny_directory: Path) -> Model:
    return codegeex.load(tiny_directory)


@pytest.fixture(scope="module")
def roomy(model: Model) -> Model:
    """A model whose context holds every prompt of this file, for building requests only."""
    backend = object.__new__(NumpyBackend)
    backend.config = replace(model.backend.config, max_position_embeddings=4096)
    return Model(backend, model.tokenizer)


def prompt(model: Model, *arguments: Any, **options: Any) -> str:
    return model.tokenizer.decode(model.request(*arguments, **options).prompt)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("python", "# language: Python\n# add two numbers\n"),
        ("C++", "// language: C++\n// add two numbers\n"),
        ("js", "// language: JavaScript\n// add two numbers\n"),
        ("css", "/* language: CSS */\n/* add two numbers */\n"),
        ("html", "<!--language: HTML-->\n<!-- add two numbers -->\n"),
    ],
)
def test_generation_prompt_is_the_tag_and_the_intent_as_a_comment(roomy: Model, language: str, expected: str) -> None:
    assert prompt(roomy, "generate", "  add two numbers\n", language=language) == expected


def test_an_intent_of_several_lines_is_a_comment_on_each(roomy: Model) -> None:
    expected = "// language: Go\n// add\n//\n// two numbers\n"
    assert prompt(roomy, "generate", "add\n\ntwo numbers", language="go") == expected


def test_translation_prompt_is_the_papers(roomy: Model) -> None:
    """Facts section 7.2: no tag, the code stripped on the right, nothing after the target's name."""
    code = "def f(x):\n\n    return x + 1\n\n\n"
    expected = "code translation\nPython:\ndef f(x):\n\n    return x + 1\nC++:\n"
    assert prompt(roomy, "translate", code, source="py", target="cpp") == expected
    expected = "code translation\nJavaScript:\nlet x = 1;\nJava:\n"
    assert prompt(roomy, "translate", "let x = 1;", source="javascript", target="java") == expected


@pytest.mark.parametrize(
    ("prefix", "language", "expected"),
    [
        ("def f(", "python", "# language: Python\ndef f("),
        ("# language: Python\ndef f(", "python", "# language: Python\ndef f("),
        ("def f(", None, "def f("),
        ("  x = 1\n", "go", "// language: Go\n  x = 1\n"),
    ],
)
def test_completion_prompt_is_the_code_under_its_tag(
    roomy: Model, prefix: str, language: str | None, expected: str
) -> None:
    assert prompt(roomy, "complete", prefix, language=language) == expected


def test_explanation_prompt_ends_with_the_first_line_which_begins_the_answer(roomy: Model) -> None:
    code = "\nint f(int x) {\n    return x;\n}\n"
    text = prompt(roomy, "explain", code, language="cpp")
    assert text.startswith("// language: C++\n")
    assert text.count("// Explain the code line by line\n") == 2
    assert text.endswith(code + "\n// Explain the code line by line\nint f(int x) {\n")
    assert roomy.request("explain", code, language="cpp").head == "int f(int x) {\n"


def test_fill_in_the_middle_is_prefix_suffix_middle(roomy: Model) -> None:
    tokenizer = roomy.tokenizer
    request = roomy.request("complete", "def f(x):\n", suffix="    return y\n", language="python")
    before, after, middle = (tokenizer.special_ids[name] for name in FIM_TOKENS[:3])
    assert request.prompt == [
        before,
        *tokenizer.encode("# language: Python\ndef f(x):\n"),
        after,
        *tokenizer.encode("    return y\n"),
        middle,
    ]
    rule = request.make_rule()
    assert rule is not None
    assert rule.feed("    y = x\n    return y\n") == len("    y = x\n")
    assert not request.truncated
    assert prompt(roomy, "complete", "", suffix="x") == "<|fim_prefix|><|fim_suffix|>x<|fim_middle|>"


def test_the_spelling_of_special_tokens_in_a_prompt_is_text(roomy: Model) -> None:
    ids = roomy.request("generate", "print <|endoftext|> and <|fim_middle|>", language="python").prompt
    assert not set(ids) & set(roomy.tokenizer.special_ids.values())


# Contexts that overflow.


@pytest.mark.parametrize("start", ["def f(x):\n", "\n\n\ndef f(x):\n", "\tdef f(x):\n", "        x\n"])
@pytest.mark.parametrize("max_tokens", [8, 500])
def test_a_long_prompt_keeps_its_tag_and_its_end(model: Model, start: str, max_tokens: int) -> None:
    code = start + "".join(f"    x{number} = {number}\n" for number in range(60)) + "    return the_end"
    request = model.request("complete", code, language="python", params=SamplingParams(max_tokens=max_tokens))
    text = model.tokenizer.decode(request.prompt)
    tag = "# language: Python\n"
    assert request.truncated
    assert text.startswith(tag)
    assert text.endswith("    return the_end")
    assert code.endswith(text.removeprefix(tag))
    # A quarter of the context stays for the answer, unless it asks for less.
    budget = 96 - min(max_tokens, 24)
    assert budget - 3 <= len(request.prompt) <= budget  # tokens may join at the cut


def test_a_long_prompt_without_a_tag_keeps_its_frame(model: Model) -> None:
    request = model.request("translate", "x = 1\n" * 60, source="python", target="go")
    text = model.tokenizer.decode(request.prompt)
    assert request.truncated
    assert text.startswith("code translation\nPython:\n")
    assert text.endswith("x = 1\nGo:\n")


def test_a_prompt_that_just_fits_is_whole(model: Model) -> None:
    params = SamplingParams(max_tokens=10)
    assert not model.request("complete", "x" * 86, params=params).truncated
    assert model.request("complete", "x" * 87, params=params).truncated


def test_truncation_is_reported(model: Model) -> None:
    assert model.complete("y = 1\n" * 60, **QUICK).truncated
    assert not model.complete("y = 1\n", **QUICK).truncated


@given(st.text(max_size=80), st.text(min_size=1, max_size=80), st.integers(1, 40), st.sampled_from([None, "python"]))
def test_a_gap_keeps_what_is_next_to_it(
    model: Model, before: str, after: str, max_tokens: int, language: str | None
) -> None:
    params = SamplingParams(max_tokens=max_tokens)
    request = model.request("complete", before, suffix=after, language=language, params=params)
    assert len(request.prompt) + min(max_tokens, 24) <= 96
    gap = request.prompt.index(model.tokenizer.special_ids[FIM_SUFFIX])
    prefix, suffix = model.tokenizer.decode(request.prompt[1:gap]), model.tokenizer.decode(request.prompt[gap + 1 : -1])
    tag = "# language: Python\n" if language else ""
    assert prefix.startswith(tag)
    assert before.endswith(prefix.removeprefix(tag))
    assert after.startswith(suffix)
    assert request.truncated == ((prefix, suffix) != (tag + before, after))


@pytest.mark.parametrize(
    ("before", "after", "kept_before", "kept_after"),
    [(99, 99, 52, 17), (30, 99, 30, 39), (99, 9, 60, 9), (0, 99, 0, 69)],
)
def test_the_suffix_yields_first_down_to_a_quarter(
    model: Model, before: int, after: int, kept_before: int, kept_after: int
) -> None:
    """96 positions, 24 of them for the answer, 3 for the marks."""
    request = model.request("complete", "x" * before, suffix="z" * after)
    assert model.tokenizer.decode(request.prompt[1:-1]) == "x" * kept_before + "<|fim_suffix|>" + "z" * kept_after


# What is refused.


@pytest.mark.parametrize(
    ("task", "text", "options", "message"),
    [
        ("generate", "", {"language": "python"}, "the intent is empty"),
        ("generate", " \n", {"language": "python"}, "the intent is empty"),
        ("complete", "", {}, "the code to complete is empty"),
        ("translate", "\n", {"source": "python", "target": "go"}, "the code is empty"),
        ("explain", "", {"language": "python"}, "the code is empty"),
        ("generate", "add", {"language": "pyhton"}, "unknown language 'pyhton': did you mean python"),
        ("complete", "add", {"language": "klingon"}, "unknown language 'klingon'"),
        ("translate", "x", {"source": "python", "target": "klingon"}, "unknown language 'klingon'"),
        ("generate", "add", {}, "say which language"),
        ("explain", "add", {"language": None}, "say which language"),
        ("translate", "x", {"source": "python"}, "say which target"),
        ("translate", "x", {"target": "python"}, "say which source"),
        ("generate", "add", {"language": "python", "suffix": "x"}, "generate takes no suffix; it takes language"),
        ("translate", "x", {"language": "go"}, "translate takes no language; it takes source and target"),
        ("generate", "add", {"language": "python", "creativity": 11}, "unknown argument 'creativity'; known: temp"),
        ("generate", "add", {"language": "python", "temperature": -1}, "temperature must be"),
        ("generate", "add", {"language": "python", "temperature": "hot"}, "impossible sampling arguments: '<='"),
        ("generate", "add", {"language": "python", "n": 2}, "a stream carries one sample"),
        ("generate", "add", {"language": "python", "beams": 2}, "a stream carries one sample"),
        ("sing", "add", {"language": "python"}, "unknown task 'sing'; known: generate, complete"),
        ("generate", "\ud800", {"language": "python"}, "without lone surrogates"),
    ],
)
def test_impossible_requests_are_refused(
    model: Model, task: Any, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CodeGeeXError, match=message):
        model.stream(text, task=task, **options)


def test_the_methods_refuse_the_same(model: Model) -> None:
    with pytest.raises(CodeGeeXError, match="the intent is empty"):
        model.generate(" ", language="python")
    with pytest.raises(CodeGeeXError, match="unknown language"):
        model.explain("x", language="klingon")
    with pytest.raises(CodeGeeXError, match="unknown argument 'creativity'"):
        model.complete("x", creativity=11)
    with pytest.raises(CodeGeeXError, match="top-p must be"):
        model.translate("x", source="go", target="rust", top_p=2)


def test_a_gap_needs_the_tokens_for_it(numpy_backend: Backend, tiny_tokenizer: Tokenizer) -> None:
    class WithoutFim(Tokenizer):
        has_fim = False

    model = Model(numpy_backend, WithoutFim(tiny_tokenizer.backend))
    with pytest.raises(CodeGeeXError, match="no fill-in-the-middle tokens"):
        model.complete("x", "y")
    assert model.complete("x", **QUICK).text is not None


def test_a_tokenizer_larger_than_the_model_is_refused(numpy_backend: Backend) -> None:
    with pytest.raises(CodeGeeXError, match="the tokenizer has 500 ids, the model only"):
        Model(numpy_backend, codegeex.tokenizer.train(words(), 500))


def words() -> Iterator[str]:
    return (f"word{number * 37} " * 2 for number in range(300))


def test_loading_from_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodeGeeXError, match="no model directory at"):
        codegeex.load(tmp_path / "none")
    with pytest.raises(CodeGeeXError):
        codegeex.load(tmp_path)


# What comes back.


def test_several_samples_are_a_sequence(model: Model) -> None:
    three = model.generate("add", language="python", n=3, **QUICK)
    assert len(three) == 3
    assert [one.text for one in three] == [three[0].text, three[1].text, three[2].text]
    assert (three.text, three.tokens) == (three[0].text, three[0].tokens)
    assert three[-1] is three.others[-1]
    assert len({tuple(one.tokens) for one in three}) == 3
    assert all(len(one) == 1 and one[0] == one for one in three)
    assert list(three[1:]) == list(three.others)
    with pytest.raises(IndexError):
        three[3]
    assert three[0].tokens == model.generate("add", language="python", **QUICK).tokens


def test_what_a_generation_says_of_itself(model: Model) -> None:
    answer = model.generate("add", language="python", **QUICK)
    assert isinstance(answer, Generation)
    assert answer.prompt_tokens == len(model.request("generate", "add", language="python").prompt)
    assert 1 <= len(answer.tokens) == len(answer.logprobs) <= 8
    assert all(logprob < 0 for logprob in answer.logprobs)
    assert answer.finish_reason in ("stop", "length")
    assert not answer.others


@pytest.mark.parametrize(
    ("task", "text", "options"),
    [
        ("generate", "add two numbers", {"language": "python"}),
        ("complete", "int f(int x) {\n", {"language": "cpp"}),
        ("complete", "x = ", {}),
        ("complete", "def f(x):\n", {"suffix": "    return y\n", "language": "python"}),
        ("translate", "x = 1", {"source": "python", "target": "go"}),
        ("explain", "x = 1\ny = 2", {"language": "python"}),
    ],
)
@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.0, "seed": 3}, {"stop": ("e", "\n")}])
def test_a_stream_adds_up_to_the_answer(
    model: Model, task: Any, text: str, options: dict[str, Any], sampling: dict[str, Any]
) -> None:
    arguments = {"seed": 1, "max_tokens": 20} | options | sampling
    answer = getattr(model, task)(text, **arguments)
    assert "".join(model.stream(text, task=task, **arguments)) == answer.text
    assert answer == getattr(model, task)(text, **arguments)


def test_an_explanation_begins_with_the_code(model: Model) -> None:
    answer = model.explain("\nx = 1\ny = 2\n", language="python", **QUICK)
    assert answer.text.startswith("x = 1\n")
    assert answer.text == "x = 1\n" + model.tokenizer.decode(answer.tokens)[: len(answer.text) - 6]


ONE, TWO = "def f(x):\n    return x\n", "def f(x):\n    return x\n\n\ndef g(x):\n    return f(x)\n"


@pytest.mark.parametrize("text", [TWO, "import math\n\n\n" + TWO])
def test_several_functions_do_not_end_after_the_first(model: Model, text: str) -> None:
    for options in ({"source": "python", "target": "cpp"}, {"language": "python"}):
        task = "translate" if "target" in options else "explain"
        assert model.request(task, ONE, **options).make_rule() is not None
        assert model.request(task, text, **options).make_rule() is None


def test_beams_give_the_best_first(model: Model) -> None:
    answers = model.complete("x = ", beams=4, n=3, max_tokens=5)
    scores = [sum(one.logprobs) for one in answers]  # what beams are ranked by, without a length penalty
    assert scores == sorted(scores, reverse=True)
    assert len(answers) == 3


def test_the_default_of_none_is_the_default(model: Model) -> None:
    assert model.complete("x", seed=1, temperature=None, top_p=None, max_tokens=4) == model.complete(
        "x", seed=1, max_tokens=4
    )
