"""Examples to fine-tune on: prompts and their solutions, of which only the solutions are to be foretold.

A JSONL file, which may be gzipped, has one object a line:

    {"prompt": "# language: Python\n# add two numbers\n", "solution": "def add(a, b):\n    return a + b\n"}

`code` may stand for `solution` (the original's key), and `prompt` may be missing. With `"language": "python"` the
language's tag comes first, as in pretraining.

An example ends with end-of-text. One that is too long for a window becomes several, which overlap (the original cuts
one every 200 tokens, and a last one at the end); short ones share a window, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codegeex import languages
from codegeex.errors import CodeGeeXError
from codegeex.files import json_lines
from codegeex.shards import Windows
from codegeex.tokenizer import Tokenizer


class Examples(Windows):
    """The windows of a JSONL file, in memory.

    Args:
        path: the file.
        vocabulary: what it is encoded with.
        sequence_length: tokens of a window, less one.
        stride: tokens between the windows of an example that is too long for one.

    Attributes:
        count: examples that are there.

    Raises:
        CodeGeeXError: the file cannot be read, a line is no example, or there is nothing to learn.
    """

    def __init__(self, path: str | Path, vocabulary: Tokenizer, sequence_length: int, stride: int = 200):
        self.count = 0
        length = sequence_length + 1
        windows: list[list[int]] = []
        for ids in _read(Path(path), vocabulary):
            self.count += 1
            for piece in _cut(ids, length, min(stride, sequence_length)):
                # Only a piece that ends in end-of-text leaves room, and what follows is another document.
                if windows and len(windows[-1]) + len(piece) <= length:
                    windows[-1] += piece
                else:
                    windows.append(list(piece))
        # The first id of a window is not foretold, whatever it is.
        windows = [window for window in windows if max(window[1:], default=-1) >= 0]
        if not windows:
            raise CodeGeeXError(f"{path} holds no solution to learn.")
        self._windows = np.full((len(windows), length), ~vocabulary.end_of_text, dtype=np.int64)
        for row, window in zip(self._windows, windows, strict=True):
            row[: len(window)] = window

    def __len__(self) -> int:
        return len(self._windows)

    def window(self, index: int) -> NDArray[np.int64]:
        window: NDArray[np.int64] = self._windows[index]
        return window


def _read(path: Path, vocabulary: Tokenizer) -> Iterator[list[int]]:
    """The ids of every example, those of prompts as complements."""
    for number, example in json_lines(path, "file of examples"):
        try:
            prompt, solution = example.get("prompt", ""), example.get("solution", example.get("code"))
            if not isinstance(prompt, str) or not isinstance(solution, str):
                raise ValueError("it needs a text called solution, and may have one called prompt")
            if "language" in example:
                prompt = f"{languages.get(example['language']).tag}\n{prompt}"
            learned = [*vocabulary.encode(solution), vocabulary.end_of_text]
            yield [*(~token for token in vocabulary.encode(prompt)), *learned]
        except (ValueError, CodeGeeXError) as error:
            raise CodeGeeXError(f"{path}, line {number}: no file of examples ({error}).") from None


def _cut(ids: list[int], length: int, stride: int) -> Iterator[list[int]]:
    """The pieces of an example: all of it, or windows of full length."""
    last = len(ids) - length
    if last <= 0:
        yield ids
        return
    for start in range(0, last, stride):
        yield ids[start : start + length]
    yield ids[last:]
