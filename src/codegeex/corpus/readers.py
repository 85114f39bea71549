"""Reading source files from where people have them: folders, git repositories, archives, tables of files.

Nothing is unpacked to disk, no link is followed, and nothing is read whose size says that it would be left out anyway.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from codegeex import languages
from codegeex.corpus import licences
from codegeex.corpus.sources import Document, Source
from codegeex.errors import CodeGeeXError, WorkFailed

MAX_MEMBER_BYTES = 100_000
"""Larger files are left out (paper, section 3.1)."""

TABLES = (".jsonl", ".jsonl.gz", ".parquet")

_CPP_SUFFIXES = frozenset(languages.get("cpp").extensions) - {".h"}
_COLUMNS = {
    "text": ("content", "text", "code"),
    "path": ("path", "max_stars_repo_path", "file_path", "filename"),
    "language": ("language", "lang"),
    "licence": ("licence", "license", "licenses", "max_stars_repo_licenses", "detected_licenses"),
    "source": ("repository", "repo", "repo_name", "max_stars_repo_name"),
    "stars": ("stars", "star_events_count", "max_stars_count"),
}
"""Names of columns, ours first, then The Stack's and its relatives'."""

_OBJECTIVE_C = re.compile(r"^\s*(?:#import|@(?:interface|implementation|protocol|class|end|import)\b)", re.MULTILINE)
_CPP = re.compile(
    r"^\s*(?:class\s+\w+[^;]*[{:]|namespace\b|template\s*<|using\s+\w|public:|private:|protected:)|\bstd::|\bconstexpr\b",
    re.MULTILINE,
)
_PROLOG = re.compile(r"^\s*:-|^\w+(?:\([^)\n]*\))?\s*:-", re.MULTILINE)
_PERL = re.compile(r"^\s*(?:use\s+\w|package\s+\w|sub\s+\w|my\s*[$@%(])|^#!.*perl", re.MULTILINE)

Wanted = Callable[[str, int], bool]
"""Whether a file of this path and this many bytes is to be read."""


def read(path: Path, source: Source) -> Iterator[Document]:
    """The files of a folder, git repository, archive or table that are in a source's languages, sorted by path.

    Links, files over `MAX_MEMBER_BYTES`, unsafe paths and text that is not UTF-8 are left out. A file has its source's
    licence; where the source has none, that of the nearest licence file above it, and "" where there is none either.

    Raises:
        CodeGeeXError: a table lacks a column.
        WorkFailed: what is there is damaged or in an unknown format.
    """
    if path.name.endswith(TABLES):
        yield from _read_table(path, source)
        return
    try:
        members = sorted(_members(path, lambda name, size: _wanted(name, size, source)))
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise WorkFailed(f"cannot read {path}: {error}") from error
    has_cpp = any(PurePosixPath(name).suffix.lower() in _CPP_SUFFIXES for name, _ in members)
    found = {}
    for name, data in members:
        inside = PurePosixPath(name)
        if not source.licence and licences.LICENCE_FILE.search(inside.name):
            # An unknown text counts as well: what is below it is not under the licence above.
            known = licences.classify(data.decode(errors="replace")) or "LicenseRef-unknown"
            found[str(inside.parent)] = known
    for name, data in members:
        text = decode(data)
        language = None if text is None else tell(name, text, source, has_cpp)
        if text is not None and language is not None:
            licence = source.licence or licences.nearest(name, found) or ""
            yield Document(text, language, name, source.name, licence, source.stars)


def decode(data: bytes) -> str | None:
    """Text with plain line ends, or None for what is not text in UTF-8."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def tell(path: str, text: str, source: Source, has_cpp: bool) -> str | None:
    """The key of the language, among a source's, that a file is in; its content decides between those of its suffix.

    Args:
        has_cpp: whether there are C++ files beside it, which makes a header C++ that could be C as well.
    """
    keys = [language.key for language in languages.for_path(path)]
    match PurePosixPath(path).suffix.lower():
        case ".h":
            plain = "cpp" if has_cpp or _CPP.search(text) else "c"
            keys = ["objectivec" if _OBJECTIVE_C.search(text) else plain]
        case ".m":
            keys = ["objectivec" if _OBJECTIVE_C.search(text) else "matlab"]
        case ".pl":
            keys = ["prolog" if _PROLOG.search(text) and not _PERL.search(text) else "perl"]
    return next((key for key in keys if source.takes_language(key)), None)


def _wanted(path: str, size: int, source: Source) -> bool:
    safe = not path.startswith("/") and ".." not in PurePosixPath(path).parts and "\\" not in path
    if not safe or not 0 < size <= MAX_MEMBER_BYTES:
        return False
    if not source.licence and licences.LICENCE_FILE.search(PurePosixPath(path).name):
        return True
    return bool(languages.for_path(path)) and source.takes(path)


def _members(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """Paths, with slashes, and contents of the files that are wanted."""
    if path.is_dir():
        bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
        return _git_members(path, wanted) if bare or (path / ".git").exists() else _folder_members(path, wanted)
    return _zip_members(path, wanted) if path.suffix in (".whl", ".zip") else _tar_members(path, wanted)


def _folder_members(folder: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    for parent, _, names in os.walk(folder):  # which does not follow links
        for name in names:
            path = Path(parent, name)
            inside = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and wanted(inside, path.stat().st_size):
                yield inside, path.read_bytes()


def _git_members(repository: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """What the last commit of a repository holds; with a work tree, too, as that may hold anything."""

    def git(*arguments: str, given: bytes = b"") -> bytes:
        # Nothing that the repository's own settings name may run.
        command = ["git", "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]
        done = subprocess.run(
            [*command, "-C", str(repository), *arguments], input=given, capture_output=True, check=False
        )
        if done.returncode:
            raise OSError(done.stderr.decode(errors="replace").strip() or "git failed")
        return done.stdout

    chosen = []
    for entry in git("ls-tree", "-r", "-l", "-z", "HEAD").split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        path = name.decode(errors="replace")
        if facts.startswith((b"100644", b"100755")):  # neither links nor submodules
            _, _, identity, size = facts.split()
            if wanted(path, int(size)):
                chosen.append((path, identity))
    content = git("cat-file", "--batch", given=b"".join(identity + b"\n" for _, identity in chosen)) if chosen else b""
    place = 0
    for path, _ in chosen:
        end = content.index(b"\n", place) + 1  # of the line that says how much follows
        length = int(content[place:end].split()[2])
        yield path, content[end : end + length]
        place = end + length + 1


def _zip_members(archive: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            if not info.is_dir() and not is_link and wanted(info.filename, info.file_size):
                yield info.filename, opened.read(info)


def _tar_members(archive: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive, "r|*") as opened:
        for info in opened:
            path = info.name.removeprefix("./")
            if info.isfile() and wanted(path, info.size):
                data = opened.extractfile(info)
                if data is not None:
                    yield path, data.read(MAX_MEMBER_BYTES)


def _read_table(path: Path, source: Source) -> Iterator[Document]:
    """Rows of JSONL or Parquet, in their order."""
    for number, row in enumerate(_rows(path), 1):
        if not isinstance(row, dict):
            raise CodeGeeXError(f"{path}, row {number}: expected a JSON object.")
        values = {
            ours: next((row[name] for name in names if row.get(name) is not None), None)
            for ours, names in _COLUMNS.items()
        }
        text, name = values["text"], values["path"]
        if not isinstance(text, str):
            raise CodeGeeXError(f"{path}, row {number}: no text; name the column {' or '.join(_COLUMNS['text'])}.")
        name = str(name) if name else f"row-{number}"
        language = _named_language(values["language"], source) or tell(name, text, source, has_cpp=False)
        size = len(text.encode(errors="replace"))
        if language is None or "\0" in text or not 0 < size <= MAX_MEMBER_BYTES:
            continue
        licence = values["licence"] or ""
        if isinstance(licence, list):  # all that were found; which of them holds is not told
            licence = " AND ".join(map(str, licence))
        stars = values["stars"]
        yield Document(
            text.replace("\r\n", "\n").replace("\r", "\n"),
            language,
            name,
            str(values["source"] or source.name),
            source.licence or str(licence),
            int(stars) if isinstance(stars, (int, float)) else source.stars,
        )


def _named_language(name: object, source: Source) -> str | None:
    try:
        key = languages.get(str(name)).key if name else None
    except CodeGeeXError:
        return None
    return key if key and source.takes_language(key) else None


def _rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        from pyarrow import ArrowException, parquet

        names = {name for columns in _COLUMNS.values() for name in columns}
        try:
            with parquet.ParquetFile(path) as file:
                columns = [name for name in file.schema_arrow.names if name in names]
                for batch in file.iter_batches(1024, columns=columns):
                    yield from batch.to_pylist()
        except (ArrowException, OSError) as error:
            raise WorkFailed(f"cannot read {path}: {error}") from error
        return
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    yield json.loads(line)
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise WorkFailed(f"cannot read {path}: {error}") from error
