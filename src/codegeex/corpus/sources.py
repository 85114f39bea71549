"""Where the corpus comes from: released packages of public registries, and what people have themselves.

A source is one package at one exact version, or a path. `load` reads the list of them, `fetch` downloads each package
once with its registry's ordinary client; `readers.read` yields the source files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from codegeex import languages
from codegeex.errors import CodeGeeXError, WorkFailed

Registry = Literal["debian", "pypi", "npm", "local"]

_CLIENTS: dict[str, str] = {"debian": "apt-get", "pypi": "pip", "npm": "npm"}
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip", ".whl")


@dataclass(frozen=True, slots=True)
class Source:
    """One package at one exact version, or a path.

    Attributes:
        name: the package's name in its registry.
        registry: which registry has it; "local" for a path.
        version: the exact version; of a path, none.
        licence: SPDX expression; may be empty for a path, whose files then need their own.
        languages: keys of the languages taken from it; none for the 23 of the paper.
        only: where given, path patterns (fnmatch, below the archive's top folder) of the only files taken.
        skip: path patterns of files left out, for vendored code under another licence and built copies.
        validation: keep the whole package out of training, to measure the loss on.
        path: of a local source: a folder, git repository, archive, or table of files; or a URL that fsspec knows.
        stars: that its repository has, where somebody knows.
        size: bytes of its repository, where somebody knows.
    """

    name: str
    registry: Registry
    version: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    validation: bool = False
    path: str = ""
    stars: int | None = None
    size: int | None = None

    def takes_language(self, key: str) -> bool:
        """Whether files in a language are taken."""
        return key in self.languages if self.languages else languages.get(key).in_paper

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
        return path if self.registry in ("pypi", "local") else path.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Document:
    """One source file: its text, the key of its language, and where it came from.

    Attributes:
        text: or None where the file cannot be taken, as `problem` says.
        language: key, "" where nobody knows.
        path: as its source names it.
        source: name of the source, or of the repository that a row of a table names.
        licence: SPDX expression, "" where nobody knows.
        stars, size: of its repository, None where nobody knows.
        version: of its source.
        sha256: of the file's bytes, in hexadecimal digits.
        named: whether the recipe names the vendored folder it is in.
        problem: "" or why it has no text.
    """

    text: str | None
    language: str
    path: str
    source: str
    licence: str
    stars: int | None = None
    size: int | None = None
    version: str = ""
    sha256: str = ""
    named: bool = False
    problem: str = ""


def is_url(path: str) -> bool:
    """Whether a path is a URL, to be opened with fsspec."""
    return "://" in path


def parse(content: dict[str, Any], path: Path) -> tuple[Source, ...]:
    """The sources listed in a recipe, each one checked.

    Args:
        content: of the recipe, whose `sources` these are.
        path: of the recipe: paths of local sources are relative to its folder.

    Raises:
        CodeGeeXError: an entry lacks a field, or has an unknown or impossible one.
    """
    entries = content.get("sources")
    if not isinstance(entries, list):
        raise CodeGeeXError(f"{path} has no list of sources.")
    sources = tuple(_source(entry, path.parent) for entry in entries)
    names = [(source.registry, source.name) for source in sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CodeGeeXError(f"listed more than once in {path}: {', '.join(sorted(name for _, name in twice))}")
    return sources


def local(path: str) -> Source:
    """A source that is a path or a URL, whose files need licences of their own.

    Raises:
        CodeGeeXError: there is nothing.
    """
    if is_url(path):
        return Source(path.rstrip("/").rpartition("/")[2] or path, "local", path=path)
    if not Path(path).exists():
        raise CodeGeeXError(f"{path} does not exist.")
    return Source(Path(path).resolve().name, "local", path=path)


def _source(entry: dict[str, object], folder: Path) -> Source:
    if not isinstance(entry, dict):
        raise CodeGeeXError(f"bad source entry {entry!r}: it must hold keys and values.")
    checked = {key: _checked(entry, str(key), value) for key, value in entry.items()}
    try:
        source = Source(**checked)
    except TypeError as error:
        raise CodeGeeXError(f"bad source entry {entry!r}: {error}") from error
    if source.registry == "local" and not is_url(source.path):
        source = replace(source, path=str(folder / source.path))
        if not Path(source.path).exists():
            raise CodeGeeXError(f"{source.name}: a local source needs a path that exists, not {source.path!r}.")
    elif source.registry not in (*_CLIENTS, "local"):
        raise CodeGeeXError(f"{source.name}: unknown registry {source.registry!r}; use {', '.join(_CLIENTS)} or local.")
    elif source.registry != "local" and not (source.version and source.languages):
        raise CodeGeeXError(f"{source.name}: bad source entry: a package needs its version and languages.")
    languages.named(source.languages)
    return source


_KINDS: dict[str, tuple[type, str]] = {
    "validation": (bool, "true or false"), "stars": (int, "a whole number"), "size": (int, "a whole number"),
}  # fmt: skip


def _checked(entry: dict[str, object], key: str, value: object) -> Any:
    """A value of an entry, if it is of the kind that its key wants: YAML reads 1.10 as the number 1.1."""
    if key in ("languages", "only", "skip"):
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise CodeGeeXError(f"bad source entry {entry!r}: {key} must be a list of texts.")
    kind, words = _KINDS.get(key, (str, "a text, in quotes where it looks like a number"))
    if type(value) is not kind and not (kind is int and value is None):
        raise CodeGeeXError(f"bad source entry {entry!r}: {key} must be {words}.")
    return value


def fetch(sources: Iterable[Source], cache_dir: Path) -> Iterator[tuple[Source, str]]:
    """Every source with where it is: packages' archives below `cache_dir`, downloaded where they are not there yet.

    A package may come as several archives. Each package has a folder of its own, which appears only when complete.

    Raises:
        CodeGeeXError: the registry's client is not installed.
        WorkFailed: the client could not get the package.
    """
    for source in sources:
        if source.registry == "local":
            yield source, source.path
            continue
        folder = cache_dir / source.registry / f"{source.name.replace('/', '__')}-{source.version.replace(':', '%3a')}"
        if not folder.is_dir():
            _download(source, folder)
        for archive in sorted(folder.iterdir()):
            yield source, str(archive)


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
