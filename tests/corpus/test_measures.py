"""Counting over many texts at once, against counting one."""

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.corpus import measures

texts = st.lists(st.text(st.sampled_from("ab1 \n\t\r\x1c\x0bé中😀·²\u2028\u00a0"), max_size=30) | st.text(max_size=20))


def plain(text):
    lines = text.removesuffix("\n").split("\n")
    size = max(1, len(text))
    return (
        len(text.encode()),
        len(text),
        sum(map(len, lines)) / len(lines),
        max(map(len, lines)),
        sum(map(str.isalpha, text)) / size,
        sum(map(str.isalnum, text)) / size,
        sum(map(str.isspace, text)) / size,
    )


@given(texts)
def test_shapes_are_those_of_each_text(many):
    found = measures.shapes(pyarrow.array(many, pyarrow.large_string()))
    for index, text in enumerate(many):
        assert [float(values[index]) for values in found] == pytest.approx(plain(text))


@given(texts, st.integers(0, 3))
def test_a_part_of_a_column_is_like_a_column(many, start):
    whole = pyarrow.array(["before"] * start + many, pyarrow.string())
    part = measures.shapes(whole.slice(start))
    for one, other in zip(part, measures.shapes(pyarrow.array(many, pyarrow.string())), strict=True):
        assert one.tolist() == other.tolist()


@given(st.text(max_size=30), st.text(st.sampled_from(" \n\t\r"), max_size=5))
def test_keys_do_not_see_white_space(text, white):
    spread = white.join(text)
    assert measures.text_key(spread) == measures.text_key(text)
    assert (measures.text_key(text + "x") == measures.text_key(text)) is False
