"""Keeping benchmarks out of the training data.

A text is contaminated when it shares ten consecutive words with a benchmark's reference solution or task description.
Ten words found in the solutions of several unrelated problems are an idiom (`for (int i = 0; i < n; i++) {`), not a
solution, and do not count.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from codegeex.errors import CodeGeeXError

WORDS = 10
"""Length of an overlap: shorter ones hit ordinary code, longer ones miss renamed variables."""

IDIOM_PROBLEMS = 3
"""Problems that must share an n-gram for it to be an idiom."""


class Benchmark:
    """The n-grams of one or more benchmarks.

    Args:
        problems: (problem's name, text) pairs; the texts are solutions and descriptions.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]):
        owners: dict[str, set[str]] = defaultdict(set)
        for name, text in problems:
            for ngram in _ngrams(text.split()):
                owners[ngram].add(name)
        self._ngrams = {ngram for ngram, names in owners.items() if len(names) < IDIOM_PROBLEMS}
        self._first_words = {ngram.partition(" ")[0] for ngram in self._ngrams}

    def overlaps(self, text: str) -> bool:
        """Whether `text` shares an n-gram with a benchmark."""
        words = text.split()
        return any(
            word in self._first_words and " ".join(words[index : index + WORDS]) in self._ngrams
            for index, word in enumerate(words)
        )


def _ngrams(words: list[str]) -> Iterator[str]:
    for index in range(len(words) - WORDS + 1):
        yield " ".join(words[index : index + WORDS])


def read_humaneval_x(directory: Path) -> Iterator[tuple[str, str]]:
    """The solutions and descriptions of HumanEval-X, from its `*.jsonl.gz` files in or below `directory`.

    Raises:
        CodeGeeXError: no such files there, or damaged ones.
    """
    files = sorted(directory.rglob("humaneval_*.jsonl.gz"))
    if not files:
        raise CodeGeeXError(f"no humaneval_*.jsonl.gz in {directory}.")
    for path in files:
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    problem = json.loads(line)
                    # The same problem in six languages is one problem.
                    name = problem["task_id"].partition("/")[2]
                    yield name, problem["canonical_solution"]
                    yield name, problem.get("text", "")
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise CodeGeeXError(f"{path} is not a HumanEval-X file: {error}.") from None
