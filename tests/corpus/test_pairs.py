"""Pairs mined from code as it is written in the six languages."""

from __future__ import annotations

import pytest

from codegeex.corpus.pairs import Pair, mine
from codegeex.corpus.wordings import name_words, sentence, third_person

PYTHON = '''
import math

@cache
def mean_value(values):
    """Return the arithmetic mean of ``values``.

    >>> mean_value([1, 3])
    2.0
    """
    total = sum(values)
    return total / len(values)


class Shape:
    def area(self):
        """Return the area of this shape."""
        return self.width * self.height

    @staticmethod
    def to_radians(degrees):
        """Convert an angle from degrees to radians."""
        return degrees * math.pi / 180
'''

CPP = """
namespace demo {
/**
 * \\brief Computes the greatest common divisor of two numbers.
 * \\param a the first
 */
template <class T = int>
T greatest_divisor(T a, T b) {
  while (b != 0) {  // a brace in a comment: }
    T rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/// Only declared here, with no body.
int declared(int value);
}
"""

JAVA = """
public class Strings {
    /**
     * Checks whether the {@code text} is <b>blank</b> or null.
     *
     * @param text the text
     * @return true if blank
     */
    @Override
    @SuppressWarnings({"unchecked", "raw"})
    public static boolean isBlank(final String text) {
        if (text == null || "}".equals(text)) {
            return text == null;
        }
        return text.trim().isEmpty();
    }

    /** Creates a new strings helper object. */
    public Strings() {
        super();
    }
}
"""

JAVASCRIPT = """
/**
 * Clamps a number to the given range.
 * @param {number} value
 */
export const clampNumber = (value, low, high) => {
  const matched = /[{}]/.test(`${value}`);
  return matched ? low : Math.min(Math.max(value, low), high);
};

class Tools {
  // Splits a list into parts of equal size.
  static splitList(list, size = {}) {
    const parts = [];
    return parts;
  }

  // Counts the items in this list.
  countItems() {
    const all = this.items;
    return all.length;
  }
}
"""

GO = """
package demo

// ReverseString returns its argument read from right to left.
// It handles only ASCII.
func ReverseString(text string) string {
\tresult := []byte(text)
\tfor left, right := 0, len(result)-1; left < right; left, right = left+1, right-1 {
\t\tresult[left], result[right] = result[right], result[left]
\t}
\treturn string(result)
}
"""

RUST = """
impl Thing {
    /// Finds the largest value in a slice, if there is one.
    ///
    /// # Examples
    #[inline]
    pub fn largest_value<'a, T: Ord>(values: &'a [T]) -> Option<&'a T> {
        let mut best = values.first()?;
        for value in values { if value > best { best = value; } }
        Some(best)
    }
}
"""


def mined(text: str, language: str) -> dict[str, Pair]:
    return {pair.name: pair for pair in mine(text, language)}


def test_python_functions_and_static_methods() -> None:
    found = mined(PYTHON, "python")
    assert set(found) == {"mean_value", "to_radians"}
    assert found["mean_value"].intents == (
        "Return the arithmetic mean of values",
        "write a mean value function",
        "write a function that returns the arithmetic mean of values",
    )
    assert found["mean_value"].code == (
        "def mean_value(values):\n    total = sum(values)\n    return total / len(values)"
    )
    assert found["to_radians"].code == "def to_radians(degrees):\n    return degrees * math.pi / 180"


@pytest.mark.parametrize(
    ("language", "text", "name", "intent", "start", "end"),
    [
        (
            "cpp",
            CPP,
            "greatest_divisor",
            "Computes the greatest common divisor of two numbers",
            "template <class T = int>\nT greatest_divisor(T a, T b) {\n  while",
            "  return a;\n}",
        ),
        (
            "java",
            JAVA,
            "isBlank",
            "Checks whether the text is blank or null",
            "public static boolean isBlank(final String text) {\n    if",
            "\n    return text.trim().isEmpty();\n}",
        ),
        (
            "javascript",
            JAVASCRIPT,
            "clampNumber",
            "Clamps a number to the given range",
            "export const clampNumber = (value, low, high) => {\n",
            "high);\n};",
        ),
        (
            "javascript",
            JAVASCRIPT,
            "splitList",
            "Splits a list into parts of equal size",
            "function splitList(list, size = {}) {\n  const",
            "  return parts;\n}",
        ),
        (
            "go",
            GO,
            "ReverseString",
            "Returns its argument read from right to left",
            "func ReverseString(text string) string {\n\tresult",
            "\treturn string(result)\n}",
        ),
        (
            "rust",
            RUST,
            "largest_value",
            "Finds the largest value in a slice, if there is one",
            "pub fn largest_value<'a, T: Ord>(values: &'a [T]) -> Option<&'a T> {\n    let",
            "    Some(best)\n}",
        ),
    ],
)
def test_a_comment_and_its_function(language: str, text: str, name: str, intent: str, start: str, end: str) -> None:
    pair = mined(text, language)[name]
    assert pair.intents[0] == intent
    assert pair.intents[-1] == f"write a function that {intent[0].lower()}{intent[1:]}"
    assert pair.code.startswith(start)
    assert pair.code.endswith(end)


def test_declarations_constructors_and_methods_on_this_are_skipped() -> None:
    assert set(mined(CPP, "cpp")) == {"greatest_divisor"}
    assert set(mined(JAVA, "java")) == {"isBlank"}
    assert set(mined(JAVASCRIPT, "javascript")) == {"clampNumber", "splitList"}


@pytest.mark.parametrize(
    "body",
    [
        "\treturn this.other(value);\n",
        "\tthrow new UnsupportedOperationException();\n",
        "\treturn makeThing(value, 0);\n",
    ],
)
def test_bodies_that_do_nothing_themselves_are_skipped(body: str) -> None:
    text = f"/** Makes a thing from the value. */\nint makeThing(int value) {{\n{body}}}\n"
    assert not mined(text, "java")


def test_long_functions_are_skipped() -> None:
    lines = "\n".join(f"    total += {number}" for number in range(60))
    assert not mined(f'def big(total):\n    """Add many numbers to a total."""\n{lines}\n    return total\n', "python")


def test_text_that_does_not_parse_gives_nothing() -> None:
    assert not mined("def broken(:\n", "python")
    assert not mined("/** Opens a brace and stops. */\nint broken() {\n", "cpp")
    assert not mined("<p>text</p>", "html")


@pytest.mark.parametrize(
    "comment",
    ["TODO remove this one day", "Deprecated: use the other one", "Too short", "See the other function for more",
     "@param x the value of x", "a " * 40, "Gr\u00fc\u00dfe an die ganze Welt"],
)  # fmt: skip
def test_useless_comments_give_no_sentence(comment: str) -> None:
    assert sentence(comment) is None


@pytest.mark.parametrize(
    ("comment", "plain"),
    [
        ("Return ``True`` if :func:`f` is *pure*:", "Return True if f is pure"),
        ("Finds an item, e.g. a number. Then stops.", "Finds an item, e.g. a number"),
        ("This function computes the sum of squares.", "Computes the sum of squares"),
        ("See {@link Other}", None),
    ],
)
def test_markup_is_removed(comment: str, plain: str | None) -> None:
    assert sentence(comment) == plain


def test_third_person() -> None:
    assert third_person("Apply the rule") == "applies the rule"
    assert third_person("Searches the list") == "searches the list"
    assert third_person("Push one item") == "pushes one item"
    assert third_person("Number of items") is None


def test_words_of_a_name() -> None:
    assert name_words("parseHTTPHeader") == ("parse", "http", "header")
    assert name_words("to_snake_case") == ("to", "snake", "case")
    assert name_words("__init__") == ()
    assert name_words("get") == ()
