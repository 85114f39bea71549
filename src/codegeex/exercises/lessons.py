"""Exercises as documents to train on: one solution, asked for in all the ways that the assistant is asked.

Each language of an exercise gives documents in the forms of the prompts of `codegeex`:
    described     the declaration with its docstring, then the body: what HumanEval-X and the built-in benchmark ask
    intent        one of the wordings as a comment, then the whole function: what `generate` asks
    translated    another language's solution, then this one: what `translate` asks
    explained     the solution, then the solution with comments: what `explain` asks
The last two are the longest, so only some solutions are translated to and explained.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import numpy as np

import codegeex
from codegeex import languages, prompts
from codegeex.corpus import output
from codegeex.corpus.encoding import Encoder
from codegeex.languages import Language

FORMS = "described", "intent", "translated", "explained"

TRANSLATED = 0.5
"""Share of the solutions that are translated to."""

LAID_OUT = 0.6
"""Share of the described functions, Python's left out, whose comment is laid out as other people do it. A model that
knows one layout takes a comment in a body, where HumanEval-X has it in Rust, for the head of another function."""

EXPLAINED = 0.15
"""Share of the solutions that are explained; a third of the prompt is the same for all."""

MOST_REPEATS = 16
"""Of an exercise in one file: enough for a family of thirty exercises to be heard beside families of five hundred."""

TOGETHER = 512
"""Exercises encoded at a time."""

LICENCE = "Apache-2.0"
"""Of what the exercises of this package say."""

Row = Mapping[str, Any]


def lessons(rows: Sequence[Row], chance: random.Random, forms: Sequence[str] = FORMS) -> Iterator[tuple[str, str, str]]:
    """The documents of one exercise as (language, what a prompt gives, what follows it).

    Args:
        rows: the exercise in every language, see `codegeex.exercises.make.rows`.
        chance: what decides about wordings, layouts and about the language that is translated from.
        forms: those to give.
    """
    for row in rows:
        language = languages.get(row["language"])
        code = _code(row)
        if "described" in forms:
            laid_out = language.blocks == "braces" and chance.random() < LAID_OUT
            described = _laid_out(row, language, chance) if laid_out else row["prompt"]
            yield language.key, prompts.completion(described, language), _ended(row["solution"])
        if "intent" in forms:
            yield language.key, prompts.generation(_wording(row["intents"], chance), language), code
        others = [other for other in rows if other["language"] != language.key]
        if "translated" in forms and others and chance.random() < TRANSLATED:
            source = chance.choice(others)
            yield language.key, prompts.translation(_code(source), languages.get(source["language"]), language), code
        if "explained" in forms and chance.random() < EXPLAINED and "explained" in row:
            asked, first_line = prompts.explanation(code, language)
            yield language.key, asked, _ended(f"{row['declaration']}{row['explained']}").removeprefix(first_line)


def repeated(
    rows: Iterable[Row], times: Mapping[str, int], seed: int, forms: Sequence[str] = FORMS
) -> Iterator[tuple[Row, list[tuple[str, str, str]]]]:
    """Each exercise's first row with its documents, see `lessons`, of as many repeats as `times` has for its family."""
    for exercise in exercises(rows):
        chance = random.Random(f"{seed} {exercise[0]['id']}")
        repeats = range(times[exercise[0]["family"]])
        yield exercise[0], [lesson for _ in repeats for lesson in lessons(exercise, chance, forms)]


def exercises(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows of a file by exercise: its languages stand one after the other."""
    return (list(group) for _, group in groupby(rows, lambda row: row["id"]))


def repeats(families: Mapping[str, int]) -> dict[str, int]:
    """How often each exercise of a family is written, so that families have about the same share of the documents.

    Some families have a few dozen exercises in all. A model that sees each of these as often as it sees those of large
    families learns nothing of them (docs/log.md, 2026-11-28). No two repeats are alike: wordings, languages that are
    translated from and the pieces of fill-in-the-middle are drawn anew.

    Args:
        families: how many exercises each has.
    """
    mean = sum(families.values()) / len(families)
    return {name: min(MOST_REPEATS, max(1, round(mean / count))) for name, count in families.items()}


def _laid_out(row: Row, language: Language, chance: random.Random) -> str:
    """A declaration with its comment before everything, above it or in its body, in some style, examples or none."""
    lines, code = row["prompt"].splitlines(), row["declaration"].splitlines()
    start = next((place for place, (a, b) in enumerate(zip(lines, code, strict=False)) if a != b), len(code))
    comment = lines[start : start + len(lines) - len(code)]
    words = [re.sub(r"^\s*(/\*\*|\*/|///? ?|\* ?)", "", line) for line in comment]
    words = [line for line in words if line]
    if chance.random() < 0.5:
        words = list(takewhile(lambda line: not line.startswith(">>>"), words))
    if chance.random() < 0.3:
        comment = language.comment("\n".join(words)).splitlines()
    else:
        indent = " " * chance.choice((0, 1, 2, 4))
        words = [f"{indent}{line}" for line in words]
        opening = ["/*", *words] if chance.random() < 0.5 else [f"/* {words[0].lstrip()}", *words[1:]]
        comment = [*opening, f"{indent}*/" if chance.random() < 0.5 else "*/"]
    match chance.randrange(3):
        case 0:
            laid_out = [*comment, *code]
        case 1:
            laid_out = [*code[:start], *comment, *code[start:]]
        case _:
            laid_out = [*code, *[""] * chance.randrange(3), *comment, *[""] * chance.randrange(2)]
    return "\n".join(laid_out) + "\n"


def _origin(row: Row, language: str) -> dict[str, str]:
    """What the ledger says of a document: the exercise that it is of."""
    return {
        "language": language,
        "path": f"{row['family']}/{row['id']}",
        "source": "exercises",
        "version": codegeex.__version__,
        "licence": LICENCE,
        "sha256": "",
    }


def _code(row: Row) -> str:
    return _ended(f"{row['declaration']}{row['solution']}")


def _ended(code: str) -> str:
    return code.rstrip() + "\n"


def _wording(intents: Sequence[str], chance: random.Random) -> str:
    """One of the wordings; people begin a request with a capital letter or not."""
    wording = chance.choice(intents)
    return wording[0].swapcase() + wording[1:] if chance.random() < 1 / 3 else wording


def write(
    rows: Iterable[Row],
    folder: Path,
    encoder: Encoder,
    times: Mapping[str, int],
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Write the lessons of exercises as a shard directory, with its ledger.

    Args:
        rows: of a file of exercises, the languages of each one after the other.
        folder: the directory; must not exist.
        encoder: tokenizer, windows, share of fill-in-the-middle.
        times: how often each family's exercises are written, see `repeats`.
        tell: hears how many exercises are done.

    Returns:
        `exercises`, `documents`, `tokens`, and the tokens of each of the `languages`.
    """
    done = documents = 0
    tokens: Counter[str] = Counter()
    with output.packer(folder, encoder) as packer:
        waiting: list[tuple[str, str, str, Row]] = []

        def flush() -> None:
            nonlocal documents
            texts = [(head, text) for _, head, text, _ in waiting]
            chances = [encoder.chance("lesson", documents + place, "exercises") for place in range(len(waiting))]
            for (language, _, _, row), encoded in zip(waiting, encoder.encode(texts, chances), strict=True):
                ids = np.frombuffer(encoded, encoder.dtype)
                packer.add(ids, _origin(row, language))
                tokens[language] += len(ids)
            documents += len(waiting)
            waiting.clear()

        for row, written in repeated(rows, times, encoder.settings.seed):
            waiting += [(language, head, text, row) for language, head, text in written]
            done += 1
            if done % TOGETHER == 0:
                flush()
                tell(done)
        flush()
        tell(done)
    return {
        "exercises": done,
        "documents": documents,
        "tokens": sum(tokens.values()),
        "languages": dict(sorted(tokens.items())),
    }
