"""Reading source files from where people have them: folders, git repositories, archives, tables of files.

What looks like a file that is wanted, but cannot be taken, is told all the same: by name, with the reason.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from codegeex import languages
from codegeex.corpus import licences, tables
from codegeex.corpus.members import DAMAGE, LOST_FOLDER, MAX_MEMBER_BYTES, Member, members
from codegeex.corpus.sources import Document, Source, is_url
from codegeex.errors import CodeGeeXError, WorkFailed

_CPP_SUFFIXES = frozenset(languages.get("cpp").extensions) - {".h"}
_OBJECTIVE_C = re.compile(r"^[ \t]*(?:#import|@(?:interface|implementation|protocol|class|end|import)\b)", re.MULTILINE)
_CPP = re.compile(
    r"^[ \t]*(?:class\s+\w+[^;]*[{:]|namespace\b|template\s*<|using\s+\w|public:|private:|protected:)"
    r"|\bstd::|\bconstexpr\b",
    re.MULTILINE,
)
_PROLOG = re.compile(r"^[ \t]*:-|^\w+(?:\([^)\n]*\))?\s*:-", re.MULTILINE)
_PERL = re.compile(r"^[ \t]*(?:use\s+\w|package\s+\w|sub\s+\w|my\s*[$@%(])|^#!.*perl", re.MULTILINE)


def read(path: str | Path, source: Source) -> Iterator[Document]:
    """The files of a folder, git repository, archive or table that are in a source's languages, sorted by path.

    Links, files over `MAX_MEMBER_BYTES`, unsafe paths and what is not text in UTF-8 come without a text, with the
    reason as their `problem`. A file has its source's licence; where the source has none, that of the nearest licence
    file above it, all of them where there are several, and "" where there is none either. The wanted files of an
    archive that cannot be read twice, and of a repository, are held in memory.

    Args:
        path: on this machine, or any URL that fsspec knows; folders too.

    Raises:
        CodeGeeXError: a table lacks a column.
        WorkFailed: what is there is damaged, in an unknown format, or expands without end.
    """
    try:
        if str(path).endswith(tables.SUFFIXES):
            yield from _rows(path, source)
            return
        with ExitStack() as stack:
            wanted = partial(_wanted, source=source)
            yield from _documents(sorted(members(path, wanted, stack), key=lambda member: member[0]), source)
    except DAMAGE as error:
        raise WorkFailed(f"cannot read {path}: {error}") from error
    except CodeGeeXError:
        raise
    except Exception as error:
        if not is_url(str(path)):
            raise
        # Every system that fsspec knows has errors of its own.
        raise WorkFailed(f"cannot read {path}: {error}") from error


def _documents(members: list[Member], source: Source) -> Iterator[Document]:
    has_cpp = any(os.path.splitext(name)[1].lower() in _CPP_SUFFIXES for name, content, _ in members if content)
    texts: dict[str, set[str]] = {}
    for name, content, _ in members:
        if licences.is_text(name):
            data, _ = _content(content, "")
            known = licences.classify(data.decode(errors="replace"))
            # An unknown text counts as well: what is below it is not under the licence above.
            texts.setdefault(os.path.dirname(name) or ".", set()).add(known or "LicenseRef-unknown")
    found = {folder: licences.all_of(sorted(names)) for folder, names in texts.items()}
    for name, content, problem in members:
        if problem == LOST_FOLDER:
            yield Document(None, "", name, source.name, source.licence, problem=problem)
        if licences.is_text(name):
            continue
        data, problem = _content(content, problem)
        text, problem = (None, problem) if problem else decode(data)
        language = tell(name, text or "", source, has_cpp)
        if language is not None:
            licence = source.licence or licences.nearest(name, found) or ""
            yield Document(
                text, language, name.encode(errors="replace").decode(), source.name, licence, source.stars,
                size=source.size, version=source.version, sha256=hashlib.sha256(data).hexdigest(),
                named=source.names_vendored(name), problem=problem,
            )  # fmt: skip


def _content(read: Callable[[], bytes] | None, problem: str) -> tuple[bytes, str]:
    """What a file holds, or b"" and what is wrong with it."""
    if read is None:
        return b"", problem
    try:
        data = read()
    except (PermissionError, FileNotFoundError):  # which another file may not have: it is no damage of them all
        return b"", "unreadable"
    return (b"", "too large") if len(data) > MAX_MEMBER_BYTES else (data, "")


def decode(data: bytes) -> tuple[str | None, str]:
    """Text with plain line ends, or None and what is wrong with the bytes."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None, "not UTF-8"
    return (None, "NUL bytes") if "\0" in text else (text, "")


def tell(path: str, text: str, source: Source, has_cpp: bool) -> str | None:
    """The key of the language, among a source's, that a file is in; its content decides between those of its suffix.

    Args:
        has_cpp: whether there are C++ files beside it, which makes a header C++ that could be C as well.
    """
    keys = [language.key for language in languages.for_path(path)]
    match os.path.splitext(path)[1].lower():
        case ".h":
            plain = "cpp" if has_cpp or _CPP.search(text) else "c"
            keys = ["objectivec" if _OBJECTIVE_C.search(text) else plain]
        case ".m":
            keys = ["objectivec" if _OBJECTIVE_C.search(text) else "matlab"]
        case ".pl":
            keys = ["prolog" if _PROLOG.search(text) and not _PERL.search(text) else "perl"]
    return next((key for key in keys if source.takes_language(key)), None)


def _wanted(path: str, size: int, source: Source) -> bool:
    if licences.is_text(path):
        return not source.licence
    return size > 0 and bool(languages.for_path(path)) and source.takes(path)


def _rows(path: str | Path, source: Source) -> Iterator[Document]:
    """Rows of a table, in their order."""
    for row in tables.rows(path):
        if row.text is None:
            yield Document(None, "", row.path, source.name, "", problem=row.problem)
            continue
        language = _named_language(row.language, source) or tell(row.path, row.text, source, has_cpp=False)
        if language is None or not row.text or not source.takes(row.path):
            continue
        data = row.text.encode(errors="surrogatepass")
        text, problem = (None, "too large") if len(data) > MAX_MEMBER_BYTES else decode(data)
        yield Document(
            text,
            language,
            row.path,
            # What is kept for validation is known by the name of its source.
            source.name if source.validation else row.source or source.name,
            source.licence or row.licence,
            source.stars if row.stars is None else row.stars,
            size=source.size if row.size is None else row.size,
            version=source.version,
            sha256=hashlib.sha256(data).hexdigest(),
            problem=problem,
        )


def _named_language(name: str, source: Source) -> str | None:
    try:
        key = languages.get(name).key if name else None
    except CodeGeeXError:
        return None
    return key if key and source.takes_language(key) else None
