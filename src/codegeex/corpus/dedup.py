"""Near duplicates: MinHash signatures, locality-sensitive hashing, connected components.

The similarity of two texts is the Jaccard index of their sets of 5-grams of words: |A ∩ B| / |A ∪ B|. A hash function
puts both sets in a random order; that their least members are the same has exactly this probability. So a signature of
`HASHES` least hashes estimates it, with a standard deviation of √(s (1 − s) / HASHES), 0.034 at s = 0.85.

Comparing all pairs is quadratic. The signature is cut into `BANDS` bands of `ROWS` hashes instead, and only texts that
agree in a whole band are compared: two of similarity s meet with probability 1 − (1 − s^ROWS)^BANDS, which is 0.99 at
0.85, 0.56 at 0.7 and 0.05 at 0.5. Of each component of texts that are alike, one is kept.

The hashing is Daft's, in Rust, on one machine or many. What is left is 448 bytes a text, and is done here with numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import daft
import numpy as np
from daft import functions
from numpy.typing import NDArray

THRESHOLD = 0.85
"""Similarity from which texts count as duplicates (Lee et al. 2022 and The Stack use 0.7 to 0.85)."""

NGRAM = 5
"""Words of a shingle, as in The Stack."""

BANDS, ROWS = 14, 8
HASHES = BANDS * ROWS

COMPARED = 16
"""Members of a bucket that each text is compared with: buckets of boilerplate may hold thousands."""


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The MinHash signatures, [N, HASHES]; rows of texts with fewer than `NGRAM` words come from all their words."""
    words = functions.regexp_replace(daft.col("text"), r"\W+", " ")
    hashes = functions.minhash(functions.strip(words), num_hashes=HASHES, ngram_size=NGRAM)
    table = daft.from_pydict({"text": list(texts)}).select(hashes.alias("hashes")).to_arrow()
    column: Any = table["hashes"].combine_chunks()
    return np.asarray(column.flatten(), dtype=np.uint32).reshape(-1, HASHES)


def near_duplicates(texts: Sequence[str], preference: Sequence[Any]) -> list[int | None]:
    """Which texts another one stands for.

    Args:
        texts: N of them; empty ones are like nothing.
        preference: N values that can be ordered; of texts that are alike the one with the largest is kept, the first
            of several.

    Returns:
        For each text the index of the one that is kept in its place, or None if it is kept itself.
    """
    if not texts:
        return []
    found = signatures(texts)
    groups = Components(len(texts))
    filled = np.array([bool(text.strip()) for text in texts])
    for first, second in candidates(found, filled):
        alike = (found[first] == found[second]).mean(axis=1) >= THRESHOLD
        for one, other in zip(first[alike].tolist(), second[alike].tolist(), strict=True):
            groups.join(one, other)
    best: dict[int, int] = {}
    for index in range(len(texts)):
        root = groups.root(index)
        if root not in best or preference[index] > preference[best[root]]:
            best[root] = index
    kept = (best[groups.root(index)] for index in range(len(texts)))
    return [None if other == index else other for index, other in enumerate(kept)]


def candidates(found: NDArray[np.uint32], wanted: NDArray[np.bool_]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Pairs of texts that agree in a band, as two arrays of indices; each member of a bucket with some before it."""
    indices = np.flatnonzero(wanted)
    for band in range(BANDS):
        rows = np.ascontiguousarray(found[indices, band * ROWS : (band + 1) * ROWS])
        keys = rows.view([("", rows.dtype)] * ROWS).ravel()
        order = np.argsort(keys, kind="stable")
        same = keys[order][1:] == keys[order][:-1]
        # How far each place is into its bucket.
        places = np.arange(len(order))
        starts = np.maximum.accumulate(np.where(np.append(False, same), 0, places))
        for distance in range(1, COMPARED + 1):
            inside = places - starts >= distance
            if not inside.any():
                break
            yield indices[order[places[inside] - distance]], indices[order[places[inside]]]


class Components:
    """Connected components of N things (union-find)."""

    def __init__(self, count: int):
        self._parents = list(range(count))

    def root(self, index: int) -> int:
        """What stands for the component that `index` is in."""
        parents = self._parents
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    def join(self, one: int, other: int) -> None:
        """Make one component of two."""
        self._parents[self.root(other)] = self.root(one)
