"""Keeps a benchmark's problems out of the exercises, and tells how near to one an exercise comes."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from codegeex.exercises.emit import EMITTERS
from codegeex.exercises.exercise import Exercise

WORDS = 3
"""Words in a row of a wording that say how near it is to a problem's."""

SIGNS = 5
"""Words and signs in a row of a solution that do."""


class Overlaps(Protocol):
    """What knows the texts of a benchmark: `codegeex.corpus.decontaminate.Benchmark`."""

    def overlap(self, text: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near an exercise is to a benchmark.

    Attributes:
        reason: why it must not be taken; "" if it may.
        share: how much of its wording or its solution the nearest problem has too, from 0 to 1.
        of: "wording" or "solution", whichever share is the greater.
        problem: the nearest one's name, or "".
    """

    reason: str
    share: float = 0.0
    of: str = "wording"
    problem: str = ""


class Guard:
    """Refuses an exercise that has a function's name, ten words in a row or a whole solution of a problem.

    Args:
        overlaps: finds ten words of the benchmark in a text.
        problems: each with its name and its texts; solutions are those that are Python together with the text before
            them, or alone.
    """

    def __init__(self, overlaps: Overlaps, problems: Iterable[tuple[str, Sequence[str]]]):
        self._overlaps = overlaps
        self._names: dict[str, str] = {}
        self._solutions: dict[str, str] = {}
        self._wordings: dict[tuple[str, ...], set[str]] = {}
        self._codes: dict[tuple[str, ...], set[str]] = {}
        for problem, texts in problems:
            for text in texts:
                for name in re.findall(r"^def (\w+)\(", text, re.MULTILINE):
                    self._names[_plain(name)] = problem
                for gram in _wording(text):
                    self._wordings.setdefault(gram, set()).add(problem)
            for before, text in zip(("", *texts), texts, strict=False):
                if solution := canonical(before + text) or canonical(text):
                    self._solutions[solution] = problem
                    for gram in _code(solution):
                        self._codes.setdefault(gram, set()).add(problem)

    def judge(self, one: Exercise) -> Likeness:
        """Whether an exercise may be taken."""
        units = {key: emit(one.function, one.helpers).unit(one.doc, one.examples) for key, emit in EMITTERS.items()}
        solution = canonical(units["python"].declaration + units["python"].body)
        if problem := self._names.get(_plain(one.function.name)):
            return Likeness(f"name of problem {problem}")
        if problem := self._solutions.get(solution):
            return Likeness(f"solution of problem {problem}")
        texts = (text for unit in units.values() for text in (unit.prompt, unit.declaration + unit.body))
        for text in (*one.intents, *texts):
            if problem := self._overlaps.overlap(text) or "":
                return Likeness(f"ten words of problem {problem}")
        wording = *_most(self._wordings, _wording(" ".join(one.doc))), "wording"
        code = *_most(self._codes, _code(solution)), "solution"
        share, problem, of = max(code, wording)
        return Likeness("", share, of, problem)


def canonical(code: str) -> str:
    """The last function of a Python text without docstring and annotations, its arguments and variables numbered.

    Two functions that differ in such things only are given the same text; "" is given where there is no function, or
    none that does anything.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of what a string of somebody's escapes
            functions = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
        if not functions:
            return ""
        function = functions[-1]
        if ast.get_docstring(function) is not None:
            del function.body[0]
        if not function.body or isinstance(function.body[0], ast.Pass):
            return ""
        order = {function.name: "f"}
        for node in ast.walk(function):
            if isinstance(node, ast.arg):
                order.setdefault(node.arg, f"v{len(order)}")
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                order.setdefault(node.id, f"v{len(order)}")
        return ast.unparse(_Numbered(order).visit(function))
    except (SyntaxError, ValueError, RecursionError):  # other languages, prompts that are no whole function, monsters
        return ""


class _Numbered(ast.NodeTransformer):
    """Replaces names, and leaves out what they are said to be."""

    def __init__(self, order: dict[str, str]):
        self._order = order

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self._order.get(node.name, node.name), None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._order[node.arg])

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._order.get(node.id, node.id), node.ctx)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return node
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _most(owners: dict[tuple[str, ...], set[str]], grams: Iterator[tuple[str, ...]]) -> tuple[float, str]:
    """The share of the grams that the problem with most of them has, and its name."""
    mine = set(grams)
    shared = Counter(problem for gram in mine for problem in owners.get(gram, ()))
    if not shared:
        return 0.0, ""
    problem, count = max(shared.items(), key=lambda item: (item[1], item[0]))
    return count / len(mine), problem


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _wording(text: str) -> Iterator[tuple[str, ...]]:
    return _grams(re.findall(r"\w+", text.lower()), WORDS)


def _code(solution: str) -> Iterator[tuple[str, ...]]:
    body = solution.partition(":\n")[2]  # a signature says little
    return _grams(re.findall(r"\w+|\S", body), SIGNS)


def _grams(words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[place : place + length]) for place in range(len(words) - length + 1))
