"""Draws exercises by the thousand: no two alike, none like a benchmark's, and every language of each in a row."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codegeex.errors import CodeGeeXError
from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.exercise import Exercise
from codegeex.exercises.families import FAMILIES, exercise
from codegeex.exercises.guard import Guard, Likeness
from codegeex.exercises.narration import narrated
from codegeex.exercises.programs import hidden_tests
from codegeex.files import atomic_file, json_lines

PATIENCE = 60
"""Draws in a row that may give nothing new before a family counts as used up."""

NEAREST = 20
"""Pairs of exercise and benchmark problem that a report names, of each kind."""


@dataclass(slots=True)
class Made:
    """What was drawn.

    Attributes:
        exercises: all different.
        duplicates: draws that gave what was there already.
        shapes: how many of each shape, see `Exercise.shape`.
        refused: how many were too near to the benchmark, for each reason.
        nearest: those that were taken and come nearest to it, see `nearest`.
    """

    exercises: list[Exercise] = field(default_factory=list)
    duplicates: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    nearest: list[tuple[Likeness, Exercise]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The figures, for people and JSON."""
        return {
            "exercises": len(self.exercises),
            "families": len({one.family for one in self.exercises}),
            "tasks": len({one.task for one in self.exercises}),
            "solutions": len({one.meaning for one in self.exercises}),
            "duplicates": self.duplicates,
            "near_duplicates": len(self.exercises) - len(self.shapes),
            "refused": dict(self.refused),
            "nearest": [
                {"share": round(like.share, 3), "of": like.of, "problem": like.problem}
                | {"family": one.family, "name": one.function.name, "wording": " ".join(one.doc)}
                for like, one in self.nearest
            ],
        }


def make(
    count: int,
    seed: int,
    families: Sequence[str],
    *,
    guard: Guard | None = None,
    taken: Iterable[str] = (),
    one_wording: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Made:
    """Draw exercises, the families in turn.

    Args:
        count: how many; fewer come only where all families are used up.
        seed: another seed gives other exercises.
        families: names in the table.
        guard: refuses what is too near to a benchmark.
        taken: tasks and meanings (see `Exercise`) that must not be drawn.
        one_wording: whether every task is drawn once, in whatever way it is solved.
        tell: hears how many there are.

    Raises:
        CodeGeeXError: no such family.
    """
    made = Made()
    held_out = frozenset(taken)
    seen, forbidden = set[str](), set(held_out)
    if unknown := [name for name in families if name not in FAMILIES]:
        raise CodeGeeXError(f"no family {unknown[0]!r}; there are {', '.join(FAMILIES)}.")
    barren = dict.fromkeys(families, 0)
    numbers = {name: random.Random(f"{seed}/{name}") for name in families}
    while barren and len(made.exercises) < count:
        for name in list(barren):
            one = exercise(name, numbers[name].getrandbits(48))
            if one.id in seen or one.task in forbidden or one.meaning in forbidden:
                if one.task in held_out or one.meaning in held_out:
                    made.refused["a problem of the built-in benchmark"] += 1
                else:
                    made.duplicates += 1
                barren[name] += 1
                if barren[name] >= PATIENCE:
                    del barren[name]
                continue
            barren[name] = 0
            seen.add(one.id)
            if one_wording:
                forbidden.add(one.task)
            if guard:
                like = guard.judge(one)
                if like.reason:
                    made.refused[like.reason] += 1
                    continue
                made.nearest.append((like, one))
            made.exercises.append(one)
            made.shapes[one.shape] += 1
            tell(len(made.exercises), count)
            if len(made.exercises) == count:
                break
    made.nearest = nearest(made.nearest)
    return made


def nearest(found: Sequence[tuple[Likeness, Exercise]]) -> list[tuple[Likeness, Exercise]]:
    """The `NEAREST` that come nearest to the benchmark in wording, and as many in solution; every problem once."""
    chosen = []
    for of in ("solution", "wording"):
        best = sorted((pair for pair in found if pair[0].of == of and pair[0].problem), key=lambda pair: -pair[0].share)
        firsts = {pair[0].problem: pair for pair in reversed(best)}
        chosen += sorted(firsts.values(), key=lambda pair: -pair[0].share)[:NEAREST]
    return chosen


def rows(one: Exercise) -> Iterator[dict[str, Any]]:
    """An exercise as rows of a file, one a language; they share their id."""
    told = narrated(one.function)
    for language, emitter in EMITTERS.items():
        unit = emitter(one.function, one.helpers).unit(one.doc, one.examples)
        yield {
            "id": one.id,
            "family": one.family,
            "level": one.level,
            "language": language,
            "name": unit.name,
            "prompt": unit.prompt,
            "declaration": unit.declaration,
            "solution": unit.body,
            "explained": emitter(told, one.helpers, comments=True).unit(one.doc, one.examples).body,
            "intents": list(one.intents),
            "tests": hidden_tests(one, language),
        }


def write(path: Path, all_rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON lines, gzipped where the name says so; how many there were.

    Raises:
        WorkFailed: the file system refused.
    """
    count = 0
    with atomic_file(path) as file:
        # no time stamp: the same rows make the same file
        target = gzip.GzipFile("", "wb", 9, file, mtime=0) if path.suffix == ".gz" else file
        for row in all_rows:
            target.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
            count += 1
        if target is not file:
            target.close()
    return count


_KEYS = frozenset({
    "id", "family", "language", "name", "prompt", "declaration", "solution", "intents", "tests",
})  # fmt: skip
"""What every row has; explanations and levels are of use where they are."""


def stream(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that `write` wrote, one after the other.

    Raises:
        CodeGeeXError: no such file, or another kind of file.
    """
    for number, row in json_lines(path, "file of exercises"):
        if missing := _KEYS - row.keys():
            raise CodeGeeXError(f"{path}, line {number}: no file of exercises (no {', '.join(sorted(missing))}).")
        yield row


def read(path: Path) -> list[dict[str, Any]]:
    """All rows of a file, see `stream`."""
    return list(stream(path))
