"""The files inside folders, git repositories and archives, on this machine or at a URL; nothing is unpacked to disk.

No link is followed, and nothing is read whose size says that it would be left out anyway. What an archive or repository
unpacks to is limited before it is held in memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from codegeex.corpus.sources import is_url

MAX_MEMBER_BYTES = 100_000
"""Larger files are left out (paper, section 3.1)."""

MAX_EXPANSION, ALWAYS_EXPANDS = 100, 1 << 30
"""An archive that unpacks to so many times its size, and to more than a gigabyte, is a bomb: source code packs four to
twenty times, test data with long runs of one byte up to sixty."""

MAX_HEADERS = 1 << 20
"""Bytes between two files of a tar: their names, sizes and comments, which its reader holds in memory."""

ZIPS = (".zip", ".whl")

LOST_FOLDER = "unreadable folder"

DAMAGE = (
    OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError,
    NotImplementedError, RecursionError, ImportError,
)  # fmt: skip
"""What the readers of archives raise on damaged ones, and fsspec for a system whose package is not there."""

Wanted = Callable[[str, int], bool]
"""Whether a file of this path and this many bytes is to be read; one that is not may be told as a problem."""

Member = tuple[str, Callable[[], bytes] | None, str]
"""A file's path; what reads its content, of at most a byte more than `MAX_MEMBER_BYTES`, or None and why not."""


def members(path: str | Path, wanted: Wanted, stack: ExitStack) -> Iterator[Member]:
    """The files that are wanted, by paths with slashes; they can be read until `stack` ends."""
    name = str(path)
    if is_url(name):
        import fsspec

        system, inner = fsspec.url_to_fs(name)
        if system.isdir(inner):
            yield from _remote_members(system, inner, wanted)
            return
    elif Path(path).is_dir():
        yield from _git_members(found, wanted) if (found := repository(path)) else _folder_members(name, wanted)
        return
    file = stack.enter_context(opened(path))
    yield from _zip_members(file, wanted, stack) if name.endswith(ZIPS) else _tar_members(file, wanted)


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """The bytes of a file or URL."""
    if not is_url(str(path)):
        with open(path, "rb") as file:
            yield file
        return
    import fsspec

    with fsspec.open(str(path), "rb") as file:
        yield file


def check_expansion(size: int, packed: int) -> None:
    """Raises:
    OSError: something of `packed` bytes unpacks to so many that it is a bomb.
    """
    if size > _most(packed):
        raise OSError(f"{packed:,} bytes that unpack to {size:,} or more")


def _most(packed: int) -> int:
    return max(ALWAYS_EXPANDS, MAX_EXPANSION * packed)


def _taken(path: str, size: int, read: Callable[[], bytes], problem: str = "") -> Member:
    """A file that is wanted, if there is nothing against it."""
    if path.startswith("/") or ".." in PurePosixPath(path).parts or "\\" in path:
        problem = "unsafe path"
    elif size > MAX_MEMBER_BYTES:
        problem = "too large"
    return (path, None, problem) if problem else (path, read, "")


def _folder_members(folder: str, wanted: Wanted) -> Iterator[Member]:
    lost: list[str] = []
    for parent, _, names in os.walk(folder, onerror=lambda error: lost.append(error.filename)):  # follows no links
        above = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            inside = name if above == "." else f"{above}/{name}"
            path = os.path.join(parent, name)
            try:
                facts = os.lstat(path)
            except FileNotFoundError:  # removed meanwhile
                continue
            if stat.S_ISLNK(facts.st_mode):
                if wanted(inside, 1):
                    yield inside, None, "link"
            elif stat.S_ISREG(facts.st_mode) and wanted(inside, facts.st_size):
                yield _taken(inside, facts.st_size, partial(_start_of, path))
    for path in lost:
        yield os.path.relpath(path, folder).replace(os.sep, "/"), None, LOST_FOLDER


def _start_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_MEMBER_BYTES + 1)


def _remote_members(system: Any, folder: str, wanted: Wanted) -> Iterator[Member]:
    """The files below a folder of a file system of fsspec's."""
    for path, facts in system.find(folder, detail=True).items():
        inside = path.removeprefix(folder).lstrip("/")
        size = 1 if facts["size"] is None else facts["size"]  # a web server's lists do not tell
        if wanted(inside, size):
            yield _taken(inside, size, partial(system.cat_file, path, end=MAX_MEMBER_BYTES + 1))


def repository(path: str | Path) -> Path | None:
    """The git directory of a folder that is a repository, bare or with a work tree."""
    folder = Path(path)
    if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
        return folder
    inside = folder / ".git"
    # A file of this name leads to a repository elsewhere, as a link would.
    return inside if inside.is_dir() and not inside.is_symlink() else None


def last_commit(repository: Path) -> str:
    """The name of the commit whose files `members` yields, "" where there is none."""
    try:
        return _git(repository, "rev-parse", "HEAD").decode().strip()
    except OSError:
        return ""


def _git(repository: Path, *arguments: str, given: bytes = b"", most: int = ALWAYS_EXPANDS) -> bytes:
    """What git answers, at most so many bytes.

    Nothing that the repository's own settings name may run, nor may a missing object be fetched from where they say:
    that runs what they call an ssh command.
    """
    command = ["git", "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as errors:
        asked.write(given)
        asked.seek(0)
        with subprocess.Popen(
            [*command, f"--git-dir={repository}", *arguments],
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"},
        ) as process:
            assert process.stdout is not None
            answer = process.stdout.read(most + 1)
            if len(answer) > most:
                process.kill()
                raise OSError(f"git {arguments[0]} tells more than {most:,} bytes")
        if process.returncode:
            errors.seek(0)
            raise OSError(errors.read().decode(errors="replace").strip() or "git failed")
    return answer


def _git_members(repository: Path, wanted: Wanted) -> Iterator[Member]:
    """What the last commit of a repository holds; with a work tree, too, as that may hold anything."""
    packed = sum(path.lstat().st_size for path in (repository / "objects").rglob("*"))
    chosen, size = [], 0
    # A tree may hold another one many times: a few kilobytes of them name as many files as one likes.
    for entry in _git(repository, "ls-tree", "-r", "-l", "-z", "HEAD", most=_most(packed)).split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        path = name.decode(errors="replace")
        if facts.startswith(b"120000") and wanted(path, 1):
            yield path, None, "link"
        elif facts.startswith((b"100644", b"100755")):  # no submodules
            _, _, identity, length = facts.split()
            if wanted(path, int(length)):
                if int(length) > MAX_MEMBER_BYTES:
                    yield path, None, "too large"
                else:
                    chosen.append((path, identity))
                    size += int(length)
                    check_expansion(size, packed)
    if not chosen:
        return
    lines = b"".join(identity + b"\n" for _, identity in chosen)
    content = _git(repository, "cat-file", "--batch", given=lines, most=2 * _most(packed))
    place = 0
    for path, _ in chosen:
        begin = content.index(b"\n", place) + 1  # behind the line that says how much follows
        end = begin + int(content[place:begin].split()[2])
        yield _taken(path, end - begin, partial(bytes, content[begin:end]))
        place = end + 1


def _zip_members(file: IO[bytes], wanted: Wanted, stack: ExitStack) -> Iterator[Member]:
    archive = stack.enter_context(zipfile.ZipFile(file))
    packed = file.seek(0, os.SEEK_END)
    check_expansion(sum(info.file_size for info in archive.infolist()), packed)
    for info in archive.infolist():
        if not info.is_dir() and wanted(info.filename, info.file_size):
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            yield _taken(info.filename, info.file_size, partial(_unzip, archive, info), "link" if is_link else "")


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # The header may lie, so what is read is limited by itself.
    with archive.open(info) as file:
        return file.read(MAX_MEMBER_BYTES + 1)


_UNPACKERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


class _Metered:
    """A stream of which only `allowed` more bytes may be read."""

    def __init__(self, file: Any):
        self._file = file
        self.allowed = MAX_HEADERS

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        self.allowed -= len(data)
        if self.allowed < 0:
            raise OSError(f"more than {MAX_HEADERS:,} bytes between two files")
        return data


def _tar_members(file: IO[bytes], wanted: Wanted) -> Iterator[Member]:
    packed = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if head.startswith(magic)), None)
    # An opened file of our own, as the library's streaming mode knows no limit for what it skips.
    stream: Any = _Metered(unpack(file) if unpack else file)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            check_expansion(info.offset_data + info.size, packed)
            stream.allowed = info.size + MAX_HEADERS
            path = info.name.removeprefix("./")
            if info.issym() or info.islnk():
                if wanted(path, 1):
                    yield path, None, "link"
            elif info.isfile() and wanted(path, info.size):
                # A stream cannot be asked for it later.
                small = info.size <= MAX_MEMBER_BYTES and archive.extractfile(info)
                yield _taken(path, info.size, partial(bytes, small.read() if small else b""))
