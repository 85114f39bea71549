"""Writing files so that nobody ever sees half of one: a temporary name, fsync, rename."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from codegeex.errors import CodeGeeXError, WorkFailed


@contextmanager
def atomic_file(path: Path, mode: str = "wb") -> Iterator[IO[bytes]]:
    """A binary file that appears as `path` when the block ends well, and not at all when it does not.

    Raises:
        WorkFailed: the file system refused, or something is there that is no file.
    """
    path = path.resolve()  # a link stays one
    if path.exists() and not path.is_file():
        raise WorkFailed(f"cannot write {path}: it is no file.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open(mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise WorkFailed(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def json_lines(path: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines with the numbers of their lines, unpacked where its name ends in .gz.

    Args:
        kind: what the file should be, for the error: "file of exercises".

    Raises:
        CodeGeeXError: no such file, a damaged one, a line that is no JSON object, or nothing in it.
    """
    number, empty = 0, True
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for line in file:
                number += 1
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("it holds no object")
                    empty = False
                    yield number, row
    except (ValueError, RecursionError) as error:
        raise CodeGeeXError(f"{path}, line {number}: no {kind} ({error}).") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CodeGeeXError(f"{path} is no {kind} that can be read: {reason}.") from None
    if empty:
        raise CodeGeeXError(f"{path} is empty.")


def write_text(path: Path, text: str) -> None:
    """Write a whole text file atomically, as UTF-8."""
    with atomic_file(path) as file:
        file.write(text.encode())


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which becomes `path` when the block ends well and is removed when it does not.

    Raises:
        CodeGeeXError: `path` exists already and is not an empty directory.
        WorkFailed: the file system refused (full, read-only).
    """
    path = path.resolve()  # "." has no name to put a temporary one beside
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        check_free(path)
        partial.mkdir(parents=True)
        yield partial
        publish(partial, path)
    except OSError as error:
        raise WorkFailed(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_free(path: Path) -> None:
    """
    Raises:
        CodeGeeXError: `path` exists already and is not an empty directory.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise CodeGeeXError(f"{path} exists already; choose another place or remove it first.")


def check_file(path: Path) -> None:
    """Make the folder of a file that is to be written after much work.

    Raises:
        CodeGeeXError: something else than a file is there, such as a folder or a device.
        WorkFailed: the folder cannot be made.
    """
    if path.exists() and not path.is_file():
        raise CodeGeeXError(f"{path} is no file that could be written; choose another place.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkFailed(f"cannot write {path}: {error.strerror or error}.") from None


def publish(directory: Path, path: Path) -> None:
    """Give a directory that is complete another name, once its files are on disk."""
    for file in directory.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    directory.rename(path)
