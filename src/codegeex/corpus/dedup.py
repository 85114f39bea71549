"""Duplicates: equal texts by their keys, near ones by MinHash, locality-sensitive hashing and connected components.

The similarity of two texts is the Jaccard index of their sets of 5-grams of words: |A ∩ B| / |A ∪ B|. A hash function
puts both sets in a random order; that their least members are the same has exactly this probability. So a signature of
`HASHES` least hashes estimates it, with a standard deviation of √(s (1 − s) / HASHES), 0.034 at s = 0.85.

Comparing all pairs is quadratic. The signature is cut into `BANDS` bands of `ROWS` hashes instead, and only texts that
agree in a whole band are compared: two of similarity s meet with probability 1 − (1 − s^ROWS)^BANDS, which is 0.99 at
0.85, 0.56 at 0.7 and 0.05 at 0.5. Of each component of texts that are alike, one is kept.

The hashing is Daft's, in Rust, on one machine or many. What is left is 448 bytes a text, and is done here with numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from daft import Expression, functions
from numpy.typing import NDArray

NGRAM = 5
"""Words of a shingle, as in The Stack."""

BANDS, ROWS = 14, 8
HASHES = BANDS * ROWS

COMPARED = 16
"""Members of a bucket that each text is compared with: buckets of boilerplate may hold thousands."""


def signature(text: Expression) -> Expression:
    """The MinHash signature of a text, [HASHES] uint32; one with fewer than `NGRAM` words is hashed as a whole."""
    words = functions.strip(functions.regexp_replace(text, r"\W+", " "))
    return functions.minhash(words, num_hashes=HASHES, ngram_size=NGRAM)


def near_duplicates(found: NDArray[np.uint32], filled: NDArray[np.bool_], threshold: float) -> NDArray[np.int64]:
    """Which texts are alike, directly or through others.

    Args:
        found: [N, HASHES] their signatures.
        filled: [N] whether they have words at all; those that do not are like nothing.
        threshold: similarity from which two texts are alike.

    Returns:
        [N] for each text the least index of its component.
    """
    groups = Components(len(found))
    for first, second in candidates(found, filled):
        alike = (found[first] == found[second]).mean(axis=1) >= threshold
        for one, other in zip(first[alike].tolist(), second[alike].tolist(), strict=True):
            groups.join(one, other)
    return groups.roots()


def chosen(components: NDArray[np.int64], rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] for each text the index of the one of its component that is kept: that of the lowest rank.

    Args:
        components: [N] equal for texts of one component.
        rank: [N] all different.
    """
    order = np.argsort(rank)
    _, first, inverse = np.unique(components[order], return_index=True, return_inverse=True)
    answer = np.empty(len(components), np.int64)
    answer[order] = order[first[inverse]]
    return answer


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
        """The least thing of the component that `index` is in."""
        parents = self._parents
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    def join(self, one: int, other: int) -> None:
        """Make one component of two."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parents[second] = first

    def roots(self) -> NDArray[np.int64]:
        """[N] the root of each."""
        return np.fromiter(map(self.root, range(len(self._parents))), np.int64, len(self._parents))
