"""The comments at the top of a file: who made it and under which licence, and what is left without them."""

from __future__ import annotations

import re

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Expression, Series, functions

from codegeex import languages
from codegeex.corpus.measures import Texts, array

LINES = 20
"""At the top of a file, in which it is said that a program wrote it, or which licence it has."""

HEAD_BYTES = 4096
"""Of a file, in which its header ends nearly always: only this much of it is seen by Python."""

_LICENCE_WORDS = re.compile(r"copyright|licen[cs]e|\bspdx\b|\(c\) *\d{4}|all rights reserved", re.IGNORECASE)

_OPENING = re.compile(r"<\?php[ \t]*\n|<!doctype[^>]{0,200}>[ \t]*\n", re.IGNORECASE)
"""What stands before every comment of PHP and HTML."""


def top(text: Expression) -> Expression:
    """The first `LINES` lines of a text."""
    return functions.substring_index(text, "\n", LINES)


@daft.func.batch(return_dtype=DataType.string(), use_process=False)
def without_licence(text: Series, language: Series) -> pa.Array:
    """`strip_licence_header` of each text; null for null."""
    column = array(text)
    texts = Texts(column.fill_null(""))
    whole = texts.data.data
    pieces: list[bytes | memoryview] = []
    ends = [0]
    for start, size, key in zip(texts.starts.tolist(), texts.sizes.tolist(), array(language).to_pylist(), strict=True):
        if not size:  # what cannot be taken may have no language either
            ends.append(ends[-1])
            continue
        row = languages.get(key)
        head = bytes(whole[start : start + min(size, HEAD_BYTES)]).decode(errors="ignore")
        kept, end = _split(head, row)
        # Whether a comment ends, and what follows it, may stand behind the head.
        if size > HEAD_BYTES and ("\n" not in head[end:] or head.startswith(row.block_comment[0] or "\n", end)):
            head = bytes(whole[start : start + size]).decode()
            kept, end = _split(head, row)
        first = kept.encode()
        rest = whole[start + len(head[:end].encode()) : start + size]
        pieces += (first, rest)
        ends.append(ends[-1] + len(first) + len(rest))
    joined = b"".join(pieces)
    mask = None if column.null_count == 0 else pc.is_valid(column).buffers()[1]
    buffers = [mask, pa.py_buffer(np.array(ends, np.int64)), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.large_string(), len(column), buffers, column.null_count)


def strip_licence_header(text: str, language: str) -> str:
    """The text without the comments at its top that speak of copyright or a licence.

    Only the comment blocks before the first line of code are looked at. A shebang or encoding line is dropped with
    them; other comments at the top (a description of the file) stay.
    """
    kept, end = _split(text, languages.get(language))
    return kept + text[end:]


def _split(text: str, row: languages.Language) -> tuple[str, int]:
    """What stays of the comments at the top of a text, and where the rest of it begins."""
    kept: list[str] = []
    start = _next_line(text, 0)
    if opening := _OPENING.match(text, start):
        kept.append(opening[0])
        start = _next_line(text, opening.end())
    while (end := _comment_end(text, start, row)) > start:
        after = _next_line(text, end)
        block = text[start:end]
        if not (_LICENCE_WORDS.search(block) or block.startswith("#!") or "-*-" in block):
            kept.append(text[start:after])
        start = after
    return "".join(kept), start


def _next_line(text: str, place: int) -> int:
    """Where the first line that is not empty begins, at `place` or behind it."""
    while text.startswith(("\n", "\ufeff"), place):
        place += 1
    return place


def _comment_end(text: str, start: int, row: languages.Language) -> int:
    """Where the comment block ends, with its line, that begins at `start`; `start` where none does."""
    opening, closing = row.block_comment
    if opening and text.startswith(opening, start):
        end = text.find(closing, start + len(opening))
        if end < 0:
            return start
        line_end = text.find("\n", end) + 1 or len(text)
        return start if text[end + len(closing) : line_end].strip() else line_end
    end = start
    while row.line_comment and text.startswith(row.line_comment, end):
        end = text.find("\n", end) + 1 or len(text)
    return end
