"""Reading source files from where people have them: folders, git repositories, archives, tables of files.

Nothing is unpacked to disk, no link is followed, and nothing is read whose size says that it would be left out anyway.
What looks like a file that is wanted, but cannot be taken, is told all the same: by name, with the reason.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import math
import os
import re
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from codegeex import languages
from codegeex.corpus import licences
from codegeex.corpus.sources import Document, Source, is_url
from codegeex.errors import CodeGeeXError, WorkFailed

MAX_MEMBER_BYTES = 100_000
"""Larger files are left out (paper, section 3.1)."""

MAX_EXPANSION, ALWAYS_EXPANDS = 100, 1 << 30
"""An archive that unpacks to so many times its size, and to more than a gigabyte, is a bomb: source code packs four to
twenty times, test data with long runs of one byte up to sixty."""

MAX_ROW_BYTES = 16 * MAX_MEMBER_BYTES
"""A longer line of JSONL is not read to its end: a text that may be taken fits, with every character escaped."""

TABLES = (".jsonl", ".jsonl.gz", ".parquet")
ZIPS = (".zip", ".whl")

_CPP_SUFFIXES = frozenset(languages.get("cpp").extensions) - {".h"}
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

_OBJECTIVE_C = re.compile(r"^[ \t]*(?:#import|@(?:interface|implementation|protocol|class|end|import)\b)", re.MULTILINE)
_CPP = re.compile(
    r"^[ \t]*(?:class\s+\w+[^;]*[{:]|namespace\b|template\s*<|using\s+\w|public:|private:|protected:)"
    r"|\bstd::|\bconstexpr\b",
    re.MULTILINE,
)
_PROLOG = re.compile(r"^[ \t]*:-|^\w+(?:\([^)\n]*\))?\s*:-", re.MULTILINE)
_PERL = re.compile(r"^[ \t]*(?:use\s+\w|package\s+\w|sub\s+\w|my\s*[$@%(])|^#!.*perl", re.MULTILINE)

Wanted = Callable[[str, int], bool]
"""Whether a file of this path and this many bytes is to be read; one that is not may be told as a problem."""

Member = tuple[str, Callable[[], bytes] | None, str]
"""A file's path; what reads its content, or None and why it is not taken."""


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
    if str(path).endswith(TABLES):
        yield from _read_table(path, source)
        return
    try:
        with ExitStack() as stack:
            wanted = partial(_wanted, source=source)
            yield from _documents(sorted(_members(path, wanted, stack), key=lambda member: member[0]), source)
    except _DAMAGE as error:
        raise WorkFailed(f"cannot read {path}: {error}") from error


def _documents(members: list[Member], source: Source) -> Iterator[Document]:
    has_cpp = any(os.path.splitext(name)[1].lower() in _CPP_SUFFIXES for name, content, _ in members if content)
    texts: dict[str, set[str]] = {}
    for name, content, _ in members:
        if not source.licence and _is_licence(name):
            known = licences.classify(content().decode(errors="replace")) if content is not None else None
            # An unknown text counts as well: what is below it is not under the licence above.
            texts.setdefault(os.path.dirname(name) or ".", set()).add(known or "LicenseRef-unknown")
    found = {folder: licences.all_of(sorted(names)) for folder, names in texts.items()}
    for name, content, problem in members:
        if not languages.for_path(name):  # a licence
            continue
        text, data = None, b""
        if content is not None:
            data = content()
            text, problem = decode(data)
        language = tell(name, text or "", source, has_cpp)
        if language is not None:
            licence = source.licence or licences.nearest(name, found) or ""
            yield Document(
                text, language, name.encode(errors="replace").decode(), source.name, licence, source.stars,
                size=source.size, version=source.version, sha256=hashlib.sha256(data).hexdigest(),
                named=source.names_vendored(name), problem=problem,
            )  # fmt: skip


_DAMAGE = (
    OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError,
    NotImplementedError, RecursionError, ImportError,
)  # fmt: skip
"""What the readers of archives raise on damaged ones, and fsspec for a system whose package is not there."""


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


def _is_licence(path: str) -> bool:
    """Whether a file says what others may be used for; `license.py` is a program."""
    return bool(licences.LICENCE_FILE.search(os.path.basename(path))) and not languages.for_path(path)


def _wanted(path: str, size: int, source: Source) -> bool:
    if not source.licence and _is_licence(path):
        return True
    return size > 0 and bool(languages.for_path(path)) and source.takes(path)


def _taken(path: str, size: int, read: Callable[[], bytes], problem: str = "") -> Member:
    """A file that is wanted, if there is nothing against it."""
    if path.startswith("/") or ".." in PurePosixPath(path).parts or "\\" in path:
        problem = "unsafe path"
    elif size > MAX_MEMBER_BYTES:
        problem = "too large"
    return (path, None, problem) if problem else (path, read, "")


@contextmanager
def _opened(path: str | Path) -> Iterator[IO[bytes]]:
    if not is_url(str(path)):
        with open(path, "rb") as file:
            yield file
        return
    import fsspec

    with fsspec.open(str(path), "rb") as file:
        yield file


def _members(path: str | Path, wanted: Wanted, stack: ExitStack) -> Iterator[Member]:
    """The files that are wanted, by paths with slashes; they can be read until `stack` ends."""
    name = str(path)
    if is_url(name):
        import fsspec

        system, inner = fsspec.url_to_fs(name)
        if system.isdir(inner):
            yield from _remote_members(system, inner, wanted)
            return
    elif (folder := Path(path)).is_dir():
        bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
        inside = folder / ".git"
        # A file of this name leads to a repository elsewhere, as a link would.
        is_git = bare or (inside.is_dir() and not inside.is_symlink())
        yield from _git_members(folder if bare else inside, wanted) if is_git else _folder_members(name, wanted)
        return
    file = stack.enter_context(_opened(path))
    yield from _zip_members(file, wanted, stack) if name.endswith(ZIPS) else _tar_members(file, wanted)


def _folder_members(folder: str, wanted: Wanted) -> Iterator[Member]:
    for parent, _, names in os.walk(folder):  # which does not follow links
        above = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            inside = name if above == "." else f"{above}/{name}"
            path = os.path.join(parent, name)
            facts = os.lstat(path)
            if stat.S_ISLNK(facts.st_mode):
                if wanted(inside, 1):
                    yield inside, None, "link"
            elif stat.S_ISREG(facts.st_mode) and wanted(inside, facts.st_size):
                yield _taken(inside, facts.st_size, partial(_start_of, path))


def _start_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_MEMBER_BYTES)


def _remote_members(system: Any, folder: str, wanted: Wanted) -> Iterator[Member]:
    """The files below a folder of a file system of fsspec's."""
    for path, facts in system.find(folder, detail=True).items():
        inside = path.removeprefix(folder).lstrip("/")
        if wanted(inside, size := facts["size"] or 0):
            yield _taken(inside, size, partial(system.cat_file, path))


def _git_members(repository: Path, wanted: Wanted) -> Iterator[Member]:
    """What the last commit of a repository holds; with a work tree, too, as that may hold anything."""

    def git(*arguments: str, given: bytes = b"") -> bytes:
        # Nothing that the repository's own settings name may run, nor may a missing object be fetched from where they
        # say: that runs what they call an ssh command.
        command = ["git", "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]
        done = subprocess.run(
            [*command, f"--git-dir={repository}", *arguments],
            input=given,
            capture_output=True,
            check=False,
            env={**os.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"},
        )
        if done.returncode:
            raise OSError(done.stderr.decode(errors="replace").strip() or "git failed")
        return done.stdout

    chosen = []
    for entry in git("ls-tree", "-r", "-l", "-z", "HEAD").split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        path = name.decode(errors="replace")
        if facts.startswith(b"120000") and wanted(path, 1):
            yield path, None, "link"
        elif facts.startswith((b"100644", b"100755")):  # no submodules
            _, _, identity, length = facts.split()
            if wanted(path, size := int(length)):
                if size > MAX_MEMBER_BYTES:
                    yield path, None, "too large"
                else:
                    chosen.append((path, identity))
    content = git("cat-file", "--batch", given=b"".join(identity + b"\n" for _, identity in chosen)) if chosen else b""
    place = 0
    for path, _ in chosen:
        end = content.index(b"\n", place) + 1  # of the line that says how much follows
        size = int(content[place:end].split()[2])
        yield _taken(path, size, partial(bytes, content[end : end + size]))
        place = end + size + 1


def _zip_members(file: IO[bytes], wanted: Wanted, stack: ExitStack) -> Iterator[Member]:
    opened = stack.enter_context(zipfile.ZipFile(file))
    packed = file.seek(0, os.SEEK_END)
    _check_expansion(sum(info.file_size for info in opened.infolist()), packed)
    for info in opened.infolist():
        if not info.is_dir() and wanted(info.filename, info.file_size):
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            yield _taken(info.filename, info.file_size, partial(_unzip, opened, info), "link" if is_link else "")


def _unzip(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # The header may lie, so what is read is limited by itself.
    with opened.open(info) as file:
        return file.read(MAX_MEMBER_BYTES)


_UNPACKERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


def _tar_members(file: IO[bytes], wanted: Wanted) -> Iterator[Member]:
    packed = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if head.startswith(magic)), None)
    # An opened file of our own, as the library's streaming mode knows no limit for what it skips.
    with tarfile.open(fileobj=unpack(file) if unpack else file, mode="r|") as opened:
        for info in opened:
            _check_expansion(info.offset_data + info.size, packed)
            path = info.name.removeprefix("./")
            if info.issym() or info.islnk():
                if wanted(path, 1):
                    yield path, None, "link"
            elif info.isfile() and wanted(path, info.size):
                # A stream cannot be asked for it later.
                small = info.size <= MAX_MEMBER_BYTES and opened.extractfile(info)
                yield _taken(path, info.size, partial(bytes, small.read() if small else b""))


def _check_expansion(size: int, packed: int) -> None:
    if size > max(ALWAYS_EXPANDS, MAX_EXPANSION * packed):
        raise OSError(f"{packed:,} bytes that unpack to {size:,} or more")


def _read_table(path: str | Path, source: Source) -> Iterator[Document]:
    """Rows of JSONL or Parquet, in their order."""
    for number, row in enumerate(_rows(path), 1):
        if row is None:
            yield Document(None, "", f"row-{number}", source.name, "", problem="too large")
            continue
        if not isinstance(row, dict):
            raise CodeGeeXError(f"{path}, row {number}: expected a JSON object.")
        values = {
            ours: next((row[name] for name in names if row.get(name) is not None), None)
            for ours, names in _COLUMNS.items()
        }
        text, name = values["text"], values["path"]
        if text is None and any(column in row for column in _COLUMNS["text"]):
            yield Document(None, "", f"row-{number}", source.name, "", problem="no text")
            continue
        if not isinstance(text, str):
            raise CodeGeeXError(f"{path}, row {number}: no text; name the column {' or '.join(_COLUMNS['text'])}.")
        name = str(name) if name else f"row-{number}"
        language = _named_language(values["language"], source) or tell(name, text, source, has_cpp=False)
        if language is None or not text or not source.takes(name):
            continue
        name = name.encode(errors="replace").decode()
        data = text.encode(errors="surrogatepass")
        plain, problem = (None, "too large") if len(data) > MAX_MEMBER_BYTES else decode(data)
        licence = values["licence"] or ""
        if isinstance(licence, list):  # all that were found; which of them holds is not told
            licence = licences.all_of([str(one) for one in licence])
        yield Document(
            plain,
            language,
            name,
            # What is kept for validation is known by the name of its source.
            source.name if source.validation else str(values["source"] or source.name),
            source.licence or str(licence),
            _number(values["stars"], source.stars),
            size=_number(values["size"], source.size),
            version=source.version,
            sha256=hashlib.sha256(data).hexdigest(),
            problem=problem,
        )


def _number(value: object, otherwise: int | None) -> int | None:
    return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else otherwise


def _named_language(name: object, source: Source) -> str | None:
    try:
        key = languages.get(str(name)).key if name else None
    except CodeGeeXError:
        return None
    return key if key and source.takes_language(key) else None


def _rows(path: str | Path) -> Iterator[Any]:
    """The rows of a table as dictionaries; None for one that is too long to be read."""
    try:
        with _opened(path) as file:
            if str(path).endswith(".parquet"):
                yield from _parquet_rows(file)
                return
            packed = file.seek(0, os.SEEK_END)
            file.seek(0)
            is_packed = str(path).endswith(".gz")
            lines: Any = gzip.GzipFile(fileobj=file) if is_packed else file
            while line := lines.readline(MAX_ROW_BYTES):
                if is_packed:
                    _check_expansion(lines.tell(), packed)
                if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
                    while (rest := lines.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
                        _check_expansion(lines.tell(), packed)
                    yield None
                elif line.strip():
                    yield json.loads(line)
    except _DAMAGE as error:
        raise WorkFailed(f"cannot read {path}: {error}") from error


def _parquet_rows(file: IO[bytes]) -> Iterator[Any]:
    from pyarrow import ArrowException, parquet

    names = {name for columns in _COLUMNS.values() for name in columns}
    try:
        with parquet.ParquetFile(file) as opened:
            columns = [name for name in opened.schema_arrow.names if name in names]
            for batch in opened.iter_batches(256, columns=columns):
                yield from batch.to_pylist()
    except ArrowException as error:
        raise OSError(str(error)) from error
