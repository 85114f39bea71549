"""How documents come into windows: three packings behind one call (`codegeex.shards` says what each is)."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegeex.shards import Packing

Origin = dict[str, Any]
Emit = Callable[[NDArray[Any], Origin, int], None]
"""Takes a document, or a part of one, in the order of the shard: its ids, where it is from, how much is padding."""

WAITING = 1024
"""Documents among which the one that fits best is looked for: windows of 2,048 tokens are then 99 % full."""


class Packer:
    """Hands documents to `emit`, cut and filled up as a packing wants them.

    Args:
        packing: which.
        segment: ids of a window, inputs and labels.
        end_of_text: what fills up windows.
    """

    def __init__(self, packing: Packing, segment: int, end_of_text: int, emit: Emit):
        self._add = {"dense": self._dense, "file": self._file, "fit": self._fit}[packing]
        self._segment, self._end_of_text, self._emit = segment, end_of_text, emit
        # Documents that wait for a window, shortest first: (length, -number, ids, origin).
        self._waiting: list[tuple[int, int, NDArray[Any], Origin]] = []
        self._number = 0

    def add(self, ids: NDArray[Any], origin: Origin) -> None:
        """Take one document, end-of-text included."""
        self._add(ids, origin)

    def close(self) -> None:
        """Hand over what still waits."""
        while self._waiting:
            self._fill()

    def _dense(self, ids: NDArray[Any], origin: Origin) -> None:
        self._emit(ids, origin, 0)

    def _file(self, ids: NDArray[Any], origin: Origin) -> None:
        self._emit_last(ids[: self._segment], origin, self._segment)

    def _fit(self, ids: NDArray[Any], origin: Origin) -> None:
        for start in range(0, len(ids), self._segment):
            part = ids[start : start + self._segment]
            if len(part) == self._segment:
                self._emit(part, origin, 0)
            else:
                self._number += 1
                insort(self._waiting, (len(part), -self._number, part, origin), key=lambda item: item[:2])
        if len(self._waiting) >= WAITING:
            self._fill()

    def _fill(self) -> None:
        """One window: the longest document that waits, then always the longest that still fits."""
        room = self._segment
        chosen = []
        while place := bisect_right(self._waiting, room, key=lambda item: item[0]):
            chosen.append(self._waiting.pop(place - 1))
            room -= chosen[-1][0]
        for _, _, ids, origin in chosen[:-1]:
            self._emit(ids, origin, 0)
        _, _, ids, origin = chosen[-1]
        self._emit_last(ids, origin, len(ids) + room)

    def _emit_last(self, ids: NDArray[Any], origin: Origin, size: int) -> None:
        """Hand over the last document of a window, filled up to `size`."""
        padding = size - len(ids)
        self._emit(np.append(ids, np.full(padding, self._end_of_text, ids.dtype)), origin, padding)
