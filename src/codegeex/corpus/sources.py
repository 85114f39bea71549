"""Where the corpus comes from: released packages of public registries, read in memory without unpacking to disk.

A source is one package at one exact version. `load` reads the list of them, `fetch` downloads each archive once with
the registry's ordinary client, `read` yields an archive's source files as documents.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal, cast

import yaml

from codegeex import languages
from codegeex.corpus import licences
from codegeex.errors import CodeGeeXError, WorkFailed

Registry = Literal["debian", "pypi", "npm"]

MAX_MEMBER_BYTES = 100_000
_CLIENTS: dict[str, str] = {"debian": "apt-get", "pypi": "pip", "npm": "npm"}
_CPP_SUFFIXES = frozenset(languages.get("cpp").extensions) - {".h"}
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip", ".whl")


@dataclass(frozen=True, slots=True)
class Source:
    """One package at one exact version.

    Attributes:
        name: the package's name in its registry.
        registry: which registry has it.
        version: the exact version.
        licence: SPDX expression that `licences.allows`.
        languages: keys of the languages taken from it.
        only: where given, path patterns (fnmatch, below the archive's top folder) of the only files taken.
        skip: path patterns of files left out, for vendored code under another licence and built copies.
        validation: keep the whole package out of training, to measure the loss on.
    """

    name: str
    registry: Registry
    version: str
    licence: str
    languages: tuple[str, ...]
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    validation: bool = False

    def takes(self, path: str) -> bool:
        """Whether the file at `path`, as the archive names it, passes the patterns."""
        inner = self._inner(path)
        if self.only and not any(fnmatchcase(inner, pattern) for pattern in self.only):
            return False
        return not any(fnmatchcase(inner, pattern) for pattern in self.skip)

    def names_vendored(self, path: str) -> bool:
        """Whether a pattern of `only` names the vendored package that `path` belongs to, so that it is wanted."""
        inner = self._inner(path)
        return any(pattern.startswith("vendor/") and fnmatchcase(inner, pattern) for pattern in self.only)

    def _inner(self, path: str) -> str:
        return path if self.registry == "pypi" else path.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Document:
    """One source file: its text, the key of its language, and where it came from."""

    text: str
    language: str
    path: str
    source: str
    licence: str


def load(path: Path) -> tuple[Source, ...]:
    """The sources listed in the YAML file `path`, each one checked.

    Raises:
        CodeGeeXError: the file cannot be read, an entry lacks a field or has an unknown one, or a licence is not
            permitted.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CodeGeeXError(f"cannot read the source list {path}: {error}") from error
    sources = tuple(_source(entry) for entry in entries)
    names = [(source.registry, source.name) for source in sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CodeGeeXError(f"listed more than once in {path}: {', '.join(sorted(name for _, name in twice))}")
    return sources


def _source(entry: dict[str, object]) -> Source:
    try:
        lists = {key: tuple(map(str, cast("list[str]", entry.get(key) or ()))) for key in ("languages", "only", "skip")}
        words = {key: str(value) for key, value in entry.items() if key != "validation"}
        source = Source(**{**words, **lists}, validation=bool(entry.get("validation")))  # type: ignore[arg-type]
    except (TypeError, AttributeError) as error:
        raise CodeGeeXError(f"bad source entry {entry!r}: {error}") from error
    if source.registry not in _CLIENTS:
        raise CodeGeeXError(f"{source.name}: unknown registry {source.registry!r}; use {', '.join(_CLIENTS)}.")
    if not licences.allows(source.licence):
        raise CodeGeeXError(f"{source.name}: the licence {source.licence!r} is not one the corpus takes.")
    languages.named(source.languages)
    return source


def fetch(sources: Iterable[Source], cache_dir: Path) -> Iterator[tuple[Source, Path]]:
    """Every source with its archives below `cache_dir`, downloaded where they are not there yet.

    A package may come as several archives. Each package has a folder of its own, which appears only when complete.

    Raises:
        CodeGeeXError: the registry's client is not installed.
        WorkFailed: the client could not get the package.
    """
    for source in sources:
        folder = cache_dir / source.registry / f"{source.name.replace('/', '__')}-{source.version.replace(':', '%3a')}"
        if not folder.is_dir():
            _download(source, folder)
        for archive in sorted(folder.iterdir()):
            yield source, archive


def _download(source: Source, folder: Path) -> None:
    """Put the archives of `source` into `folder`, in one step at the end."""
    client = _CLIENTS[source.registry]
    if shutil.which(client) is None:
        raise CodeGeeXError(f"{client} is needed for {source.name} from {source.registry} but is not installed.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.parent))
    temporary.chmod(0o755)
    try:
        done = subprocess.run(
            _command(source), cwd=temporary, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            hint = " (apt-get needs a deb-src entry and an update first)" if source.registry == "debian" else ""
            raise WorkFailed(f"{client} cannot get {source.name} {source.version}: {last}{hint}")
        for path in temporary.iterdir():
            if not path.name.endswith(_ARCHIVE_SUFFIXES) or ".debian.tar." in path.name:
                path.unlink()
        if not any(temporary.iterdir()):
            raise WorkFailed(f"{client} got no archive for {source.name} {source.version} that can be read.")
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _command(source: Source) -> list[str]:
    """The command that downloads `source` into the current folder without building or running anything of it."""
    if source.registry == "debian":
        pinned = f"{source.name}={source.version}"
        return ["apt-get", "source", "--download-only", "--tar-only", "--only-source", pinned]
    if source.registry == "pypi":
        pinned = f"{source.name}=={source.version}"
        return ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", ".", pinned]
    return ["npm", "pack", "--silent", "--ignore-scripts", f"{source.name}@{source.version}"]


def read(archive: Path, source: Source) -> Iterator[Document]:
    """The files in `archive` that are in one of the source's languages, sorted by path.

    Links, files over `MAX_MEMBER_BYTES`, unsafe paths and text that is not UTF-8 are left out.

    Raises:
        WorkFailed: the archive is damaged or in an unknown format.
    """
    try:
        members = sorted(_zip_members(archive, source) if _is_zip(archive) else _tar_members(archive, source))
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise WorkFailed(f"cannot read {archive}: {error}") from error
    has_cpp = any(PurePosixPath(path).suffix.lower() in _CPP_SUFFIXES for path, _ in members)
    for path, data in members:
        language = _language(path, source, has_cpp)
        if language is None:
            continue
        try:
            text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            yield Document(text, language, path, source.name, source.licence)


def _is_zip(archive: Path) -> bool:
    return archive.suffix in (".whl", ".zip")


def _wanted(path: str, size: int, source: Source) -> bool:
    parts = PurePosixPath(path).parts
    safe = not path.startswith("/") and ".." not in parts and "\\" not in path
    return safe and 0 < size <= MAX_MEMBER_BYTES and bool(languages.for_path(path)) and source.takes(path)


def _zip_members(archive: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            if not info.is_dir() and not is_link and _wanted(info.filename, info.file_size, source):
                yield info.filename, opened.read(info)


def _tar_members(archive: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive, "r|*") as opened:
        for info in opened:
            path = info.name.removeprefix("./")
            if info.isfile() and _wanted(path, info.size, source):
                data = opened.extractfile(info)
                if data is not None:
                    yield path, data.read(MAX_MEMBER_BYTES)


def _language(path: str, source: Source, has_cpp: bool) -> str | None:
    """The key of the source's language that `path` is in; a .h file is C++ where the archive has C++ files."""
    keys = [language.key for language in languages.for_path(path)]
    if PurePosixPath(path).suffix.lower() == ".h":
        keys = ["cpp" if has_cpp else "c"]
    return next((key for key in keys if key in source.languages), None)
