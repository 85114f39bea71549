"""How many gaps of one line the embedded model fills: fill-in-the-middle in functions of the kinds that it knows.

    python benchmarks/gaps.py

The functions are new exercises, drawn with a seed of their own; of each, one line of the solution is left out. The
answer, without the space around it, has to be that line.
"""

from __future__ import annotations

import random

import codegeex
from codegeex.exercises import builtin
from codegeex.exercises.families import FAMILIES
from codegeex.exercises.make import make, rows
from codegeex.exercises.programs import LANGUAGES

SEED, DRAWN, GAPS = 977, 400, 60


def main() -> None:
    families = [name for name, family in FAMILIES.items() if not family.held_out]
    exercises = make(DRAWN, SEED, families, taken=builtin.known()).exercises
    model, choice, total = codegeex.load(), random.Random(0), 0
    for language in LANGUAGES:
        choice.shuffle(exercises)
        programs = (next(row for row in rows(one) if row["language"] == language) for one in exercises)
        chosen = [program for program in programs if program["solution"].count("\n") >= 3][:GAPS]
        right = 0
        for program in chosen:
            lines = program["solution"].splitlines(keepends=True)
            gap = choice.randrange(len(lines) - 1)
            before, after = program["prompt"] + "".join(lines[:gap]), "".join(lines[gap + 1 :])
            answer = model.complete(before, after, language=language, temperature=0, max_tokens=64)
            right += answer.text.strip() == lines[gap].strip()
        total += right
        print(f"{language:<11} {right} of {len(chosen)} gaps")
    print(f"{'all':<11} {total / (GAPS * len(LANGUAGES)):.0%}")


if __name__ == "__main__":
    main()
