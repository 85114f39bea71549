"""The built-in benchmark: a fixed set of exercises, half of them of families that no training data has.

The file inside the package is what counts; this module says how it was made, and who must not draw the same again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from codegeex.errors import CodeGeeXError
from codegeex.exercises.families import FAMILIES
from codegeex.exercises.guard import Guard
from codegeex.exercises.make import Made, make, nearest, read, rows

VERSION = 4
"""Of the problems: scores of different versions do not compare."""

HALF = 108
"""Problems of seen and of held-out families each."""

_SEED = 20_261_128
"""Of the draws; training files have other seeds, and leave out what is drawn here all the same."""

FILE = Path(__file__).parents[1] / "assets/builtin/problems.jsonl.gz"


def families(held_out: bool) -> list[str]:
    """The families that a model can be measured with, of one half."""
    return [name for name, one in FAMILIES.items() if one.held_out == held_out and not one.training_only]


def build(guard: Guard | None = None) -> tuple[Made, Iterator[dict[str, Any]]]:
    """Draw the benchmark: what was drawn, and its rows.

    Every row says its number, whether its family is held out, the version, and what it is known by: its task and its
    meaning (see `Exercise`).

    Raises:
        CodeGeeXError: the guard leaves too few problems.
    """
    seen, held = (make(HALF, _SEED, families(half), guard=guard, one_wording=True) for half in (False, True))
    if (fewer := min(len(seen.exercises), len(held.exercises))) < HALF:
        raise CodeGeeXError(f"only {fewer} of {HALF} problems of a half are unlike the benchmark to keep out.")
    both = Made(
        exercises=[one for pair in zip(seen.exercises, held.exercises, strict=True) for one in pair],
        duplicates=seen.duplicates + held.duplicates,
        shapes=seen.shapes + held.shapes,
        refused=seen.refused + held.refused,
        nearest=nearest(seen.nearest + held.nearest),
    )

    def numbered() -> Iterator[dict[str, Any]]:
        for number, one in enumerate(both.exercises):
            known_by = {"task": one.task, "meaning": one.meaning}
            extra = {"number": number, "held_out": one.held_out, "version": VERSION} | known_by
            for row in rows(one):
                del row["explained"]
                yield row | extra | {"intents": list(one.intents[2:3])}

    return both, numbered()


@cache
def problems() -> list[dict[str, Any]]:
    """The rows of the file inside the package.

    Raises:
        CodeGeeXError: it is missing or damaged.
    """
    return read(FILE)


def known() -> frozenset[str]:
    """Tasks and meanings of the benchmark, which training data must not have. None where the file is not there yet."""
    return frozenset(row[key] for row in problems() for key in ("task", "meaning")) if FILE.exists() else frozenset()
