"""An exercise: a problem with its solution, its wordings and its tests."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from codegeex.errors import CodeGeeXError
from codegeex.exercises import ir
from codegeex.exercises.emit.base import Case
from codegeex.exercises.interpreter import evaluate
from codegeex.exercises.ir import Function
from codegeex.exercises.lowering import lowered, substituted
from codegeex.exercises.types import INTS, Type, Value

EXAMPLES = 2
"""Calls that a docstring shows; they are among the tests."""

LOOPS = 0.3
"""Share of the solutions that are written with loops where a language could say it in one expression."""

MOST_ALIKE = 2 / 3
"""Share of the tests that may have one and the same answer."""

EDGE = 100
"""Largest number of a solution whose neighbours are tested: a greater one is a limit of something else."""

_WORDS = (ir.Sorted, ir.Keys, ir.Extreme)
"""What nobody writes as a loop."""

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "result": ("output", "answer", "res"), "total": ("acc", "running", "total_so_far"),
    "count": ("counter", "tally", "hits"), "best": ("record", "top", "winner"), "i": ("index", "pos", "idx"),
    "j": ("k", "other_index"), "chosen": ("selected", "kept", "matching"), "row": ("line",),
    "counts": ("frequency", "tallies", "occurrences"), "merged": ("combined", "output"), "steps": ("rounds", "moves"),
    "value": ("current", "v"), "ranked": ("ordered",), "stack": ("pile", "open_items"), "parts": ("pieces", "fields"),
    "rest": ("remaining", "left_over"), "place": ("position", "spot"), "size": ("shorter", "common_length"),
    "names": ("labels", "choices"),
}  # fmt: skip
"""What else a local variable may be called."""

_QUESTIONS = ("How do I {}?", "How can I {}?", "What is a good way to {}?", "Can you show me how to {}?")
_REQUESTS = (
    "Write a function to {}.",
    "Write a function that can {}.",
    "Implement a function to {}.",
    "I need a function to {}.",
    "Please write code to {}.",
    "Create a function to {}.",
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a family draws.

    Attributes:
        function: the solution.
        task: what it does, as an imperative without a full stop: "count the even numbers of a list".
        inputs: arguments of the tests, the most telling first.
        helpers: functions that the solution calls; they are given with the problem.
        note: whole sentences about special cases, or "".
        asked: more ways to ask for it, in whatever form: "factorial function".
    """

    function: Function
    task: str
    inputs: Sequence[Sequence[Value]]
    helpers: tuple[Function, ...] = ()
    note: str = ""
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exercise:
    """A problem.

    Attributes:
        family: the name of what drew it.
        level: 1 (a line or two) to 3 (several steps).
        held_out: whether its family is for the benchmark only.
        function, helpers: the solution.
        intents: wordings, from terse to whole sentences.
        doc: lines of the docstring, without examples.
        tests: arguments and answers; the first `EXAMPLES` are shown.
    """

    family: str
    level: int
    held_out: bool
    function: Function
    helpers: tuple[Function, ...]
    intents: tuple[str, ...]
    doc: tuple[str, ...]
    tests: tuple[Case, ...]

    @property
    def examples(self) -> tuple[Case, ...]:
        return self.tests[:EXAMPLES]

    @property
    def telling(self) -> bool:
        """Whether a body that always answers the same fails at least a third of the tests."""
        answers = Counter(repr(answer) for _, answer in self.tests)
        return max(answers.values()) <= len(self.tests) * MOST_ALIKE

    @property
    def task(self) -> str:
        """The problem without its solution: exercises with the same one are the same to whoever solves them."""
        return _digest(f"{self.family}/{' '.join(self.doc)}")

    @property
    def id(self) -> str:
        """The same for the same solution and wording, whatever drew it."""
        return _digest(f"{self.function!r}{self.helpers!r}{self.doc!r}")

    @property
    def shape(self) -> str:
        """The same for solutions that differ in names and literals only."""
        return _digest("".join(_tree(function, literals=False) for function in (self.function, *self.helpers)))

    @property
    def meaning(self) -> str:
        """The same for solutions that differ in names only, and in whether they are written with loops."""
        return _digest("".join(_tree(_with_loops(function)) for function in (self.function, *self.helpers)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_loops(function: Function) -> Function:
    """The function with loops for all that some programmers would write as loops."""
    return lowered(function, lambda bulk, _: isinstance(bulk, _WORDS), lambda _: False)


def _tree(function: Function, literals: bool = True) -> str:
    """The tree without names, perhaps without literals; which name is which still counts."""
    order: dict[str, int] = {}

    def written(part: Any) -> str:
        match part:
            case ir.Name(name, type_):
                return f"v{order.setdefault(name, len(order))}:{type_.name}"
            case ir.Lit(value, type_):
                return f"{value if literals else 'lit'!r}:{type_.name}"
            case ir.Call(called, args):
                return f"f{order.setdefault(called, len(order))}{written(args)}"
            case Function(name, params, result, body):
                return f"f{order.setdefault(name, len(order))}{written(params)}{result.name}{written(body)}"
            case ir.Expr() | ir.Statement():
                inside = ",".join(written(getattr(part, one.name)) for one in fields(part))  # type: ignore[arg-type]
                return f"{type(part).__name__}({inside})"
            case tuple():
                return f"[{';'.join(written(one) for one in part if not isinstance(one, ir.Comment))}]"
            case Type():
                return part.name
        return repr(part)  # an operation, a direction, a step

    return written(function)


def finished(draft: Draft, family: str, level: int, held_out: bool, rng: random.Random) -> Exercise:
    """The exercise of a draft: answers computed, wordings drawn.

    Raises:
        Refused: an input does what languages disagree about.
        CodeGeeXError: inputs of two kinds of arguments, or too few.
    """
    function = draft.function
    if rng.random() < LOOPS:
        function = _with_loops(function)
    function = _renamed(function, rng)
    tests: list[Case] = []
    for arguments in [*draft.inputs, *_edges(draft)]:
        if len(arguments) != len(draft.function.params):
            raise CodeGeeXError(f"{family}: {len(arguments)} arguments for {draft.function.name}.")
        case = (tuple(arguments), evaluate(function, arguments, draft.helpers))
        if case not in tests:
            tests.append(case)
    if len(tests) <= EXAMPLES:
        raise CodeGeeXError(f"{family}: {len(tests)} different tests are too few.")
    return Exercise(
        family=family,
        level=level,
        held_out=held_out,
        function=function,
        helpers=draft.helpers,
        intents=_intents(draft, rng),
        doc=tuple(_wrapped(f"{draft.task[0].upper()}{draft.task[1:]}. {draft.note}".strip())),
        tests=tuple(_examples_first(tests)),
    )


def _edges(draft: Draft) -> list[list[Value]]:
    """A list of the numbers at which the solution may decide otherwise: those that it names, and their neighbours.

    Only for functions of one list about which the family's own inputs show no rule: one is empty, one has negative
    numbers, one is in no order.
    """
    lists = [arguments[0] for arguments in draft.inputs if isinstance(arguments[0], list)]
    if [param.type for param in draft.function.params] != [INTS] or [] not in lists:
        return []
    numbers: list[list[Any]] = lists
    if not any(min(one) < 0 for one in numbers if one) or all(
        one in (sorted(one), sorted(one)[::-1]) for one in numbers
    ):
        return []
    named = {
        node.literal
        for node in ir.walk(draft.function)
        if isinstance(node, ir.Lit) and type(node.literal) is int and abs(node.literal) <= EDGE
    }
    return [[sorted({near for value in {0, *named} for near in (value - 1, value, value + 1)})]]  # type: ignore[list-item]


def _renamed(function: Function, rng: random.Random) -> Function:
    """The function with other names for its local variables: programmers differ in little else so much."""
    taken = {node.name for node in ir.walk(function) if isinstance(node, ir.Name)}
    body = function.body
    for name in sorted({node for node in ir.walk(function) if isinstance(node, ir.Name)}, key=lambda one: one.name):
        wanted = rng.choice((name.name, *_SYNONYMS.get(name.name, ())))
        if wanted not in taken and name not in function.params:
            taken.add(wanted)
            body = tuple(substituted(statement, name, ir.Name(wanted, name.type)) for statement in body)
    return replace(function, body=body)


def _examples_first(tests: Sequence[Case]) -> list[Case]:
    """The tests, beginning with one whose answer says something, if there is any, and one with another answer."""
    telling = [case for case in tests if case[1]]
    first = next((case for case in telling if case[1] not in case[0]), (telling or tests)[0])
    second = next((case for case in tests if case[1] != first[1]), tests[-1])
    return [first, second, *(case for case in tests if case is not first and case is not second)]


def _intents(draft: Draft, rng: random.Random) -> tuple[str, ...]:
    task = draft.task
    words = draft.function.name.replace("_", " ")
    sentence = f"{task[0].upper()}{task[1:]}."
    request = rng.choice(_REQUESTS).format(task)
    made = [words, task, sentence, rng.choice(_QUESTIONS).format(task), request, *draft.asked]
    if draft.note:
        made.append(f"{sentence} {draft.note}")
    return tuple(dict.fromkeys(made))


def _wrapped(text: str, width: int = 90) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
