"""The table of families, and how one draws an exercise."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from codegeex.errors import CodeGeeXError
from codegeex.exercises.exercise import Draft, Exercise, finished

ATTEMPTS = 50
"""Draws until the tests of one are telling; most are at once, a few in a hundred need several."""

Drawing = Callable[[random.Random], Draft]


@dataclass(frozen=True, slots=True)
class Family:
    """Problems of one kind.

    Attributes:
        name: unique.
        level: 1 (a line or two) to 3 (several steps).
        held_out: for the benchmark only: a model never trains on any of it.
        draw: draws a problem.
        training_only: no measure of anything: what it draws is known to everybody, like what another family draws, or
            younger than the benchmark.
    """

    name: str
    level: int
    held_out: bool
    draw: Drawing
    training_only: bool = False


FAMILIES: dict[str, Family] = {}


def family(
    name: str, level: int, *, held_out: bool = False, training_only: bool = False
) -> Callable[[Drawing], Drawing]:
    """Enters a function into the table."""

    def enter(draw: Drawing) -> Drawing:
        if name in FAMILIES:
            raise CodeGeeXError(f"two families are called {name!r}.")
        FAMILIES[name] = Family(name, level, held_out, draw, training_only)
        return draw

    return enter


def exercise(name: str, seed: int) -> Exercise:
    """The exercise that a family draws with a seed; always the same."""
    if name not in FAMILIES:
        raise CodeGeeXError(f"no family {name!r}; there are {', '.join(FAMILIES)}.")
    known = FAMILIES[name]
    for attempt in range(ATTEMPTS):
        rng = random.Random(int.from_bytes(hashlib.sha256(f"{name}/{seed}/{attempt}".encode()).digest()[:8]))
        made = finished(known.draw(rng), name, known.level, known.held_out, rng)
        if made.telling:
            return made
    raise CodeGeeXError(f"family {name!r} draws no tests that tell right from wrong; mend its inputs.")
