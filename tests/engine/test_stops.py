"""Where a generated text ends. The cases are in stop_cases.json."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegeex import languages
from codegeex.engine.stops import GapRule, StopChecker, block_rule

CASES = json.loads(Path(__file__).with_name("stop_cases.json").read_text(encoding="utf-8"))["cases"]
EACH_CASE = pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=f"{case['language']}: {case['name']}",
            marks=pytest.mark.xfail(reason=case["limit"], strict=True) if "limit" in case else (),
        )
        for case in CASES
    ],
)


def kept(case: dict[str, Any], pieces: list[str]) -> str:
    """What is left of a text that arrives in pieces."""
    checker = StopChecker((), block_rule(languages.get(case["language"]), case["before"]))
    shown = ""
    for piece in pieces:
        ended = checker.feed(piece)
        assert checker.text.startswith(shown), "something was shown and then taken back"
        shown = checker.text[: checker.settled]
        if ended:
            break
    return checker.text


@EACH_CASE
def test_a_text_ends_with_its_block(case: dict[str, Any]) -> None:
    assert kept(case, [case["kept"] + case["dropped"]]) == case["kept"]


@EACH_CASE
def test_the_end_is_found_letter_by_letter(case: dict[str, Any]) -> None:
    assert kept(case, list(case["kept"] + case["dropped"])) == case["kept"]


@given(case=st.sampled_from(CASES), cuts=st.lists(st.integers(0, 200)))
@settings(max_examples=1000)
def test_it_does_not_matter_how_a_text_is_cut_into_pieces(case: dict[str, Any], cuts: list[int]) -> None:
    text = case["kept"] + case["dropped"]
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]
    assert kept(case, pieces) == kept(case, [text])


@given(
    st.sampled_from(["python", "cpp", "go", "rust", "shell"]),
    st.lists(st.text(st.sampled_from(list("a:;,)}{\"'`/*#\\ \n\t")), max_size=6)),
    st.text(st.sampled_from(list("a:{}\"'/ \n")), max_size=8),
)
@settings(max_examples=1000)
def test_nor_for_any_text_at_all(language: str, pieces: list[str], before: str) -> None:
    case = {"language": language, "before": before}
    text = "".join(pieces)
    assert text.startswith(kept(case, pieces))
    assert kept(case, pieces) == kept(case, [text]) == kept(case, list(text))


@pytest.mark.parametrize("name", ["sql", "html", "ruby"])
def test_languages_without_blocks_have_no_rule(name: str) -> None:
    assert block_rule(languages.get(name), "") is None


def test_stop_text_and_rule_together() -> None:
    for stop, expected in (("pass", "def f():\n    "), ("g()", "def f():\n    pass\n")):
        checker = StopChecker((stop,), block_rule(languages.get("python"), ""))
        assert checker.feed("def f():\n    pass\ng()\n")
        assert checker.text == expected


@pytest.mark.parametrize(
    ("text", "stops", "settled"),
    [
        ("abc", (), 3),
        ("abc", ("cd",), 2),
        ("abc", ("cd", "bcd"), 1),
        ("abab", ("abac",), 2),
        ("abcd", ("bc#",), 4),
        ("", ("a",), 0),
    ],
)
def test_what_may_be_the_beginning_of_a_stop_text_is_held_back(text: str, stops: tuple[str, ...], settled: int) -> None:
    checker = StopChecker(stops, None)
    assert not checker.feed(text)
    assert checker.settled == settled


RETURN = "    return y\n"


@pytest.mark.parametrize(
    ("before", "after", "text", "kept"),
    [
        ("def f(x):\n", RETURN, "    y = x + 1\n    return y\n\n# more", "    y = x + 1\n"),
        ("def f(x):\n", RETURN, "    y = x + 1\n    return y", "    y = x + 1\n"),  # the end of the text ends the line
        ("def f(x):", "\n" + RETURN, "\n    y = x + 1\n    return y\n", "\n    y = x + 1"),
        ("def f(x):\n", "\n\n" + RETURN, "    y = x + 1\n    return y\n", "    y = x + 1"),
        ("    return ", " / len(a)\n", "sum(a) / len(a)\n\n", "sum(a)"),
        ("    return ", " / len(a)\n", "sum(a) / len(a)", "sum(a)"),
        ("    print(", ")\ny = 2\n", "a, b)\ny = 2\n", "a, b"),
        ("    print(", ")\n", "f(x)\n", "f(x)\n"),  # its bracket may be its own
        ("x = 1\n", "y = 2\nz = 3\n", "y = 2\nz = 3\n", ""),
        ("x = 1\n", "y = 2\nz = 3\n", "y = 2\n\nz = 3", ""),
        ("case 1:\n", "    break;\n}\n", "    a();\n    break;\ncase 2:\n    b();\n    break;\n}\n",
         "    a();\n    break;\ncase 2:\n    b();\n"),
        ("f() {\n", "}\n", "  if (a) {\n  }\n}\n", "  if (a) {\n  }\n}\n"),
        ("a = 1\n", "", "b = 2\n\n", "b = 2\n\n"),
        ("a = 1\n", "\n \n", "b = 2\n\n", "b = 2\n\n"),
    ],
)  # fmt: skip
def test_a_gap_ends_where_the_code_behind_it_begins(before, after, text, kept):
    whole = StopChecker((), GapRule(before, after))
    whole.feed(text)
    whole.finish()
    assert whole.text == kept


SOME = ["    return y", "    return", "}", "  }", "y = 2", "", " ", "retu", " / n", ")"]
LINES = st.lists(st.sampled_from(SOME), max_size=6)


@given(LINES.map("\n".join), LINES.map("\n".join), LINES.map("\n".join))
def test_what_is_shown_of_a_gap_stays(before, after, text):
    """A stream has shown the beginning of the answer at every moment, and the answer is that of one piece."""
    whole = StopChecker((), GapRule(before, after))
    whole.feed(text)
    whole.finish()
    growing, shown = StopChecker((), GapRule(before, after)), [""]
    for character in text:
        if growing.feed(character):
            break
        shown.append(growing.text[: growing.settled])
    growing.finish()
    assert growing.text == whole.text
    for earlier, later in pairwise([*shown, whole.text]):
        assert later.startswith(earlier)
