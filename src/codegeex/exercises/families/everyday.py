"""What people ask for first: small programs that everybody knows, in the words that everybody uses.

They are for training alone: a benchmark of them would measure memory. HumanEval has many of their kind, so there are no
primes, palindromes, Fibonacci numbers, vowels, greatest common divisors, sums of two numbers. What comes as near as the
length of a text, `--benchmark` refuses.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from codegeex.exercises.build import block, count_up, empty_map, let, loop, ret, var
from codegeex.exercises.exercise import Draft
from codegeex.exercises.families.pieces import args
from codegeex.exercises.families.registry import family
from codegeex.exercises.ir import Block, Expr, Function, Name
from codegeex.exercises.types import INT, Type, map_of


@dataclass(frozen=True, slots=True)
class Known:
    """One of these programs.

    Attributes:
        names: what its function may be called, with spaces between.
        tasks: ways to say what it does, each as `Draft.task`.
        params: for each parameter what it may be called, with spaces between, and its type.
        result: the function's type.
        bodies: ways to write it, given the parameters: statements, or the expression to return.
        inputs: arguments of the tests; the only one need not be in a list.
        asked: more ways to ask for it, which are no task: "factorial function".
    """

    names: str
    tasks: tuple[str, ...]
    params: tuple[tuple[str, Type], ...]
    result: Type
    bodies: Callable[..., Sequence[Expr | Block]]
    inputs: Sequence[Any]
    asked: tuple[str, ...] = ()

    def draw(self, rng: random.Random) -> Draft:
        """One way to ask for it, with one of its solutions."""
        params = tuple(Name(rng.choice(names.split()), type_) for names, type_ in self.params)
        body = rng.choice(self.bodies(*params))
        return Draft(
            Function(
                rng.choice(self.names.split()),
                params,
                self.result,
                body if isinstance(body, tuple) else block(ret(body)),
            ),
            rng.choice(self.tasks),
            args(self.inputs) if len(params) == 1 else self.inputs,
            asked=self.asked,
        )


def tallied(source: Name, one: Name) -> Block:
    """Count how often each thing occurs in a list or a text."""
    counts = var("counts", map_of(one.type, INT))
    return block(let(counts, empty_map(one.type, INT)), loop(one, source, [count_up(counts, one)]), ret(counts))


def everyday(name: str, level: int, programs: Sequence[Known]) -> None:
    """Enter a family that draws one of these programs."""

    @family(name, level, training_only=True)
    def draw(rng: random.Random) -> Draft:
        return rng.choice(programs).draw(rng)
