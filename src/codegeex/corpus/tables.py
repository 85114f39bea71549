"""Source files as rows of a table: JSONL, gzipped or not, and Parquet."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from codegeex.corpus import licences
from codegeex.corpus.members import DAMAGE, MAX_MEMBER_BYTES, check_expansion, opened
from codegeex.errors import CodeGeeXError, WorkFailed

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")

MAX_ROW_BYTES = 16 * MAX_MEMBER_BYTES
"""A longer line of JSONL is not read to its end: a text that may be taken fits, with every character escaped."""

_COLUMNS = {
    "text": ("content", "text", "code"),
    "path": ("path", "max_stars_repo_path", "file_path", "filename"),
    "language": ("language", "lang"),
    "licence": ("licence", "license", "licenses", "max_stars_repo_licenses", "detected_licenses"),
    "source": ("repository", "repo", "repo_name", "max_stars_repo_name"),
    "stars": ("stars", "star_events_count", "max_stars_count"),
    "size": ("repo_size", "repository_size"),
}
"""Names of columns, ours first, then The Stack's and its relatives'."""


class Row(NamedTuple):
    """A row; `path` is `row-N` where it has none, and texts may be "" where it does not say.

    Attributes:
        text: or None where the row has no text that could be read, as `problem` says.
    """

    path: str
    text: str | None = None
    problem: str = ""
    language: str = ""
    licence: str = ""
    source: str = ""
    stars: int | None = None
    size: int | None = None


def rows(path: str | Path) -> Iterator[Row]:
    """The rows of a table, in their order.

    Raises:
        CodeGeeXError: a row is no object, or the table has no text.
        WorkFailed: the table is damaged, or expands without end.
    """
    for number, row in enumerate(_read(path), 1):
        if row is None:
            yield Row(f"row-{number}", problem="too large")
            continue
        if not isinstance(row, dict):
            raise CodeGeeXError(f"{path}, row {number}: expected a JSON object.")
        values = {
            ours: next((row[name] for name in names if row.get(name) is not None), None)
            for ours, names in _COLUMNS.items()
        }
        text, licence = values["text"], values["licence"] or ""
        if text is None and any(column in row for column in _COLUMNS["text"]):
            yield Row(f"row-{number}", problem="no text")
            continue
        if not isinstance(text, str):
            raise CodeGeeXError(f"{path}, row {number}: no text; name the column {' or '.join(_COLUMNS['text'])}.")
        if isinstance(licence, list):  # all that were found; which of them holds is not told
            licence = licences.all_of([str(one) for one in licence])
        yield Row(
            path=_word(values["path"]) or f"row-{number}",
            text=text,
            language=_word(values["language"]),
            licence=_word(licence),
            source=_word(values["source"]),
            stars=_number(values["stars"]),
            size=_number(values["size"]),
        )


def _word(value: object) -> str:
    """A value as a text that can be written: JSON may name half a character."""
    return str(value or "").encode(errors="replace").decode()


def _number(value: object) -> int | None:
    """A value as a number of 64 bits, None for what is none."""
    known = isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 1 << 63
    return int(value) if known else None  # type: ignore[call-overload, no-any-return]


def _read(path: str | Path) -> Iterator[Any]:
    """The rows as dictionaries; None for one that is too long to be read."""
    try:
        with opened(path) as file:
            yield from _parquet_rows(file) if str(path).endswith(".parquet") else _lines(file, str(path))
    except DAMAGE as error:
        raise WorkFailed(f"cannot read {path}: {error}") from error


def _lines(file: IO[bytes], path: str) -> Iterator[Any]:
    packed = file.seek(0, os.SEEK_END)
    file.seek(0)
    is_packed = path.endswith(".gz")
    lines: Any = gzip.GzipFile(fileobj=file) if is_packed else file
    while line := lines.readline(MAX_ROW_BYTES):
        if is_packed:
            check_expansion(lines.tell(), packed)
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            while (rest := lines.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
                check_expansion(lines.tell(), packed)
            yield None
        elif line.strip():
            yield json.loads(line)


def _parquet_rows(file: IO[bytes]) -> Iterator[Any]:
    from pyarrow import ArrowException, parquet

    names = {name for columns in _COLUMNS.values() for name in columns}
    try:
        with parquet.ParquetFile(file) as table:
            columns = [name for name in table.schema_arrow.names if name in names]
            for batch in table.iter_batches(256, columns=columns):
                yield from batch.to_pylist()
    except ArrowException as error:
        raise OSError(str(error)) from error
