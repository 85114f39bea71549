"""Samples and results on disk: JSON lines that survive whatever ends a run, and the files of other projects."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codegeex import languages
from codegeex.errors import CodeGeeXError

Key = tuple[str, float, int]
"""Task, temperature, number of the sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion.

    Attributes:
        task_id: of the problem it answers.
        language: key of the language it is in.
        index: which of the problem's samples at this temperature it is, from 0.
        temperature: what it was drawn at.
        prompt: what the model continued.
        completion: what the model wrote, as it was when generation stopped.
        seed: of its random numbers; None where it is not known.
    """

    task_id: str
    language: str
    index: int
    temperature: float
    prompt: str
    completion: str
    seed: int | None = None

    @property
    def key(self) -> Key:
        return self.task_id, self.temperature, self.index


class Journal:
    """A file of JSON lines that grows, each line whole or not there.

    A line that a crash tore is cut away when the file is opened again.

    Args:
        path: the file; made if need be.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._file = path.open("ab+")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def append(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=True).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        with self._lock:
            os.fsync(self._file.fileno())
            self._file.close()


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal; nothing if there is none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                raise CodeGeeXError(f"{path}, line {number}: not JSON; remove the line to go on.") from None


def sample_row(sample: Sample) -> dict[str, Any]:
    return asdict(sample)


def sample_of(row: Mapping[str, Any]) -> Sample:
    names = ("task_id", "language", "index", "temperature", "prompt", "completion", "seed")
    return Sample(**{name: row[name] for name in names})


def read_foreign(path: Path, language: str | None, prompts: Mapping[str, str]) -> Iterator[Sample]:
    """The samples of a file made elsewhere.

    Args:
        path: our own samples, the original's (task_id, generation), evalplus' (task_id, completion or solution) as JSON
            lines, or bigcode's (one JSON list of lists of programs).
        language: where the file does not say.
        prompts: of the tasks that are wanted, by name; programs (evalplus' solutions, bigcode's) begin with them.

    Raises:
        CodeGeeXError: none of these, a program that begins otherwise, a task of another benchmark, or no task.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CodeGeeXError(f"cannot read samples from {path}: {error}.") from None
    counts: dict[str, int] = {}
    for task, code, temperature, whole in _parsed(path, text, language):
        prefix, _, number = task.rpartition("/")
        key = LANGUAGES.get(prefix) or language
        if prefix not in ("", "HumanEval", *LANGUAGES):
            raise CodeGeeXError(f"{path}: the task {task!r} is not one of HumanEval or HumanEval-X.")
        if key is None:
            raise CodeGeeXError(f"{path}: which language is task {task!r} in? Say so with --langs.")
        name = f"{PREFIXES[key]}/{number}"
        if name not in prompts:
            continue
        index = counts.get(name, 0)
        counts[name] = index + 1
        if whole:
            begin = prompts[name].strip()
            if not code.lstrip().startswith(begin):
                raise CodeGeeXError(
                    f"{path}: the program for {name} does not begin with the problem's prompt; give what follows it as "
                    "a completion."
                )
            code = code.lstrip()[len(begin) :].removeprefix("\n")
        yield Sample(name, key, index, temperature, "", code)
    if not counts:
        raise CodeGeeXError(f"{path} has no sample for any of the problems; see --langs.")


PREFIXES = {
    "python": "Python",
    "cpp": "CPP",
    "java": "Java",
    "javascript": "JavaScript",
    "go": "Go",
    "rust": "Rust",
}
LANGUAGES = {prefix: key for key, prefix in PREFIXES.items()}


def _parsed(path: Path, text: str, language: str | None) -> Iterator[tuple[str, str, float, bool]]:
    """(task, text, temperature, whether it is a whole program) of every sample in a file."""
    if text.lstrip().startswith("["):
        if language is None:
            raise CodeGeeXError(f"{path} does not say which language it is in: name one with --langs.")
        name = PREFIXES[languages.get(language).key]
        try:
            lists = json.loads(text)
        except ValueError as error:
            raise CodeGeeXError(f"{path} is no list of lists of programs: {error}.") from None
        for number, programs in enumerate(lists):
            if not isinstance(programs, list) or not all(isinstance(one, str) for one in programs):
                raise CodeGeeXError(f"{path} is no list of lists of programs: see problem {number}.")
            yield from ((f"{name}/{number}", one, 0.0, True) for one in programs)
        return
    for number, line in enumerate(text.split("\n"), 1):  # a text may hold other line separators
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            kind = next(name for name in ("completion", "generation", "solution") if name in row)
            sample = str(row["task_id"]), str(row[kind]), float(row.get("temperature") or 0.0), kind == "solution"
        except (ValueError, TypeError, KeyError, StopIteration):
            raise CodeGeeXError(
                f"{path}, line {number}: a sample needs a task_id and a completion, and may have a temperature."
            ) from None
        yield sample
