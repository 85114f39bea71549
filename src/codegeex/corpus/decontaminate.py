"""Keeping benchmarks out of the training data.

A text is contaminated when it shares ten consecutive words with a benchmark's prompt, description or reference
solution. Ten words found in several unrelated problems are an idiom (`for (int i = 0; i < n; i++) {`), not a solution,
and do not count.

Texts are searched many at a time, with numpy: a word is hashed by its size and its first and last eight bytes, ten
words by running sums over those hashes. Only where a hash is that of a problem are the words themselves compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import daft
import numpy as np
import pyarrow as pa
from daft import DataType, Expression, Series
from numpy.typing import NDArray

from codegeex.corpus.measures import Texts, blocks, filled
from codegeex.errors import CodeGeeXError
from codegeex.files import json_lines

WORDS = 10
"""Length of an overlap: shorter ones hit ordinary code, longer ones miss renamed variables."""

IDIOM_PROBLEMS = 3
"""Problems that must share an n-gram for it to be an idiom."""

BLOOM_BITS = 22
"""log₂ of the bits of a table that tells most other hashes from those of a benchmark: 10⁵ n-grams fill 2 % of it."""

TEXT_FIELDS = ("prompt", "canonical_solution", "text", "solution", "code", "question", "description", "reference")
"""Of a benchmark's problem in JSON: what a model must not have seen."""

_FACTOR, _FACTOR2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd, so that they have inverses modulo 2⁶⁴; their bits look random."""


class Benchmark:
    """The n-grams of one or more benchmarks.

    Args:
        problems: (problem's name, text) pairs; the texts are prompts, solutions and descriptions.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]):
        owners: dict[bytes, set[str]] = defaultdict(set)
        for name, text in problems:
            for ngram in _ngrams(text):
                owners[ngram].add(name)
        self._owner = {ngram: min(names) for ngram, names in owners.items() if len(names) < IDIOM_PROBLEMS}
        hashes, _ = _hashes(Texts(pa.array([ngram.decode() for ngram in self._owner], pa.large_string())))
        self._hashes = np.unique(hashes)
        self._bloom = np.zeros(1 << BLOOM_BITS, np.bool_)
        self._bloom[_bloom_places(self._hashes)] = True

    def __bool__(self) -> bool:
        return bool(self._owner)

    def overlap(self, text: str) -> str | None:
        """The name of a problem with which `text` shares an n-gram, or None."""
        return next((self._owner[ngram] for ngram in _ngrams(text) if ngram in self._owner), None)

    def overlaps(self, column: pa.Array) -> list[str | None]:
        """`overlap` of many texts."""
        answers: list[str | None] = []
        for block in blocks(column):
            found = set(self._candidates(Texts(block)).tolist())
            answers += [self.overlap(block[index].as_py()) if index in found else None for index in range(len(block))]
        return answers

    def found(self, text: Expression) -> Expression:
        """`overlaps` of a column, null where there is none."""

        @daft.func.batch(return_dtype=DataType.string(), use_process=False)
        def problem(text: Series) -> list[str | None]:
            return self.overlaps(filled(text))

        return problem(text)

    def _candidates(self, texts: Texts) -> NDArray[np.int64]:
        """Indices of the texts in which ten words have the hash of an n-gram."""
        hashes, owners = _hashes(texts)
        if not len(hashes) or not len(self._hashes):
            return np.empty(0, np.int64)
        likely = np.flatnonzero(self._bloom[_bloom_places(hashes)])
        slots = np.searchsorted(self._hashes, hashes[likely]).clip(max=len(self._hashes) - 1)
        return np.unique(owners[likely[self._hashes[slots] == hashes[likely]]])


def _ngrams(text: str) -> Iterator[bytes]:
    words = text.encode(errors="surrogatepass").split()  # at white space of ASCII
    for index in range(len(words) - WORDS + 1):
        yield b" ".join(words[index : index + WORDS])


def _hashes(texts: Texts) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hash of every `WORDS` words in a row of a text, and the index of the text."""
    data = texts.data
    is_word = ~((data - np.uint8(9) < 5) | (data == ord(" ")))  # as bytes.split has it
    is_word[-1] = False  # the byte behind the texts
    filled = texts.starts[texts.sizes > 0]
    begins = is_word & np.append(True, ~is_word[:-1])
    begins[filled] = is_word[filled]
    starts = np.flatnonzero(begins)
    ended = is_word[:-1] & ~is_word[1:]
    ended[filled[1:] - 1] = is_word[filled[1:] - 1]
    ends = np.flatnonzero(ended) + 1
    count = len(starts) - WORDS + 1
    if count < 1:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    words = _word_hashes(data, starts, ends - starts)
    powers, inverses = _powers(1 << max(12, len(words).bit_length()))
    sums = np.append(np.uint64(0), np.cumsum(words * powers[: len(words)]))
    hashes = (sums[WORDS:] - sums[:count]) * inverses[:count]
    owners = np.searchsorted(texts.starts, starts, side="right") - 1
    inside = owners[:count] == owners[WORDS - 1 :]
    return hashes[inside], owners[:count][inside]


def _word_hashes(data: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number of 64 bits for each word, equal for equal words."""
    padded = np.concatenate([data, np.zeros(8, np.uint8)])
    eight: NDArray[np.uint64] = np.ndarray(len(data), "<u8", buffer=padded.data, strides=(1,))  # from every byte on
    mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> (np.uint64(64) - np.uint64(8) * sizes.clip(max=8).astype(np.uint64))
    first = eight[starts] & mask
    last = np.where(sizes > 8, eight[starts + sizes.clip(min=8) - 8], 0)
    mixed = first * np.uint64(_FACTOR) ^ last * np.uint64(_FACTOR2) ^ sizes.astype(np.uint64)
    return (mixed ^ mixed >> np.uint64(29)) * np.uint64(_FACTOR2)


@cache
def _powers(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers of `_FACTOR` and of its inverse, [size] both, modulo 2⁶⁴."""
    inverse = pow(_FACTOR, -1, 1 << 64)
    return tuple(np.cumprod(np.full(size, base, np.uint64)) for base in (_FACTOR, inverse))  # type: ignore[return-value]


def _bloom_places(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (hashes >> np.uint64(64 - BLOOM_BITS)).astype(np.int64)


def read_benchmark(path: Path) -> Iterator[tuple[str, str]]:
    """The texts of a benchmark, each with its problem's name; see `read_problems`."""
    return ((name, text) for name, texts in read_problems(path) for text in texts)


def read_problems(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The problems of a benchmark: the name and the texts of each, in the order of `TEXT_FIELDS`.

    Args:
        path: a JSONL file, plain or gzipped, of problems with any of `TEXT_FIELDS`; or a folder with such files of
            HumanEval-X (`humaneval_*.jsonl.gz`) in or below it.

    Raises:
        CodeGeeXError: no such files there, or damaged ones.
    """
    files = sorted(path.rglob("humaneval_*.jsonl.gz")) if path.is_dir() else [path]
    if not files:
        raise CodeGeeXError(f"no humaneval_*.jsonl.gz in {path}.")
    for file in files:
        for number, problem in json_lines(file, "benchmark of problems"):
            # The same problem in six languages is one problem.
            name = str(problem.get("task_id") or problem.get("name") or f"{file.name}/{number}").rpartition("/")[2]
            found = [problem[field] for field in TEXT_FIELDS if isinstance(problem.get(field), str)]
            texts = [text.encode(errors="replace").decode() for text in found]
            if not texts:
                fields = ", ".join(TEXT_FIELDS[:3])
                raise CodeGeeXError(f"{file}, line {number}: no benchmark of problems (no {fields} or the like).")
            yield name, texts
