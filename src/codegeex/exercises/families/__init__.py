"""The grammar of problems: families in themed files, each with parameters of its own."""

from __future__ import annotations

from codegeex.exercises.families import (
    arithmetic,
    composed,
    counting,
    dates,
    everyday_lists,
    everyday_numbers,
    everyday_texts,
    grids,
    lists,
    ranking,
    recursion,
    selecting,
    sequences,
    simulation,
    structures,
    texts,
    words,
)
from codegeex.exercises.families.registry import FAMILIES, Family, exercise

__all__ = [
    "FAMILIES", "Family", "arithmetic", "composed", "counting", "dates", "everyday_lists", "everyday_numbers",
    "everyday_texts", "exercise", "grids", "lists", "ranking", "recursion", "selecting", "sequences", "simulation",
    "structures", "texts", "words",
]  # fmt: skip
