"""The key-value cache of the torch backend: a pool of places, each for one token of any sequence.

A sequence is a list of places. Forks share the places of their common tokens, because a stored token never changes;
a place is free again when the last sequence that has it lets go. The lists are numpy arrays on the host. Before a step
they are packed with the token ids into one array of numbers, which goes to the device in one copy: a step asks the
device for nothing until its logits are done.

Memory: 2 * (num_layers + 1) * h numbers a token; 0.78 MiB for the 13B model in half precision.

Shapes: R new tokens of all sequences; G sequences of a group with T new tokens each and S in all; N heads, D head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Numbers = NDArray[np.int32]

SCRATCH = 0
"""The place of tokens that only fill a batch up, and of what a table has beyond a sequence's end. Its keys and values
are finite but mean nothing."""

SHORTEST_TABLE = 128
"""Columns of the tables of one-token steps: this times a power of two, so that few shapes occur."""


class Places:
    """Which places are free, and how many sequences share each of the others.

    Args:
        count: places that can be taken; they are numbered from 1.
    """

    def __init__(self, count: int):
        self._sharers = np.zeros(count + 1, dtype=np.int32)
        self._stack = np.arange(count, 0, -1, dtype=np.int32)
        self.free = count

    def take(self, count: int) -> Numbers:
        """`count` free places, for one sequence.

        Raises:
            MemoryError: so many are not free.
        """
        if count > self.free:
            raise MemoryError(f"the key-value cache is full: {count} more tokens, room for {self.free}")
        self.free -= count
        taken = self._stack[self.free : self.free + count].copy()
        self._sharers[taken] = 1
        return taken

    def share(self, places: Numbers) -> None:
        """One more sequence has these, all different."""
        self._sharers[places] += 1

    def release(self, places: Numbers) -> None:
        """One sequence less has these, all different."""
        self._sharers[places] -= 1
        freed = places[self._sharers[places] == 0]
        self._stack[self.free : self.free + len(freed)] = freed
        self.free += len(freed)


class Group(NamedTuple):
    """Sequences that attention handles together.

    Attributes:
        sequences: how many, G.
        new: new tokens of each, T.
        attended: columns S of the table of their places; 0 where all are new, and attend to nothing else.
    """

    sequences: int
    new: int
    attended: int


class Shape(NamedTuple):
    """All about a step that is not in its numbers; equal shapes run the same kernels.

    Attributes:
        groups: one after the other they make up the new tokens.
        wanted: rows of logits.
    """

    groups: tuple[Group, ...]
    wanted: int

    @property
    def rows(self) -> int:
        return sum(group.sequences * group.new for group in self.groups)


class Entry(NamedTuple):
    """What a step does to one sequence: `ids` are appended, whose places are the last of `places`."""

    ids: Sequence[int]
    places: Numbers
    wanted: int


def pack(entries: Sequence[Entry], longest: int) -> tuple[Shape, Numbers]:
    """The shape and the numbers of a step: ids, positions and places [R], tables [G, S], rows whose logits are wanted.

    A step of single tokens is filled up to a power of two of sequences and of attended tokens, and has logits for all.
    """
    if all(len(entry.ids) == 1 for entry in entries):
        return _pack_decode(entries, longest)
    members: dict[tuple[int, bool], list[int]] = {}
    for index, entry in enumerate(entries):
        new = len(entry.ids)
        members.setdefault((new, new == len(entry.places) and new > 1), []).append(index)
    groups, order, tables = [], [], []
    for (new, fresh), indices in members.items():
        attended = 0 if fresh else max(len(entries[index].places) for index in indices)
        groups.append(Group(len(indices), new, attended))
        order += indices
        tables.append(_table([entries[index].places for index in indices], len(indices), attended))
    ordered = [entries[index] for index in order]
    ends = np.zeros(len(entries), dtype=np.int32)
    ends[order] = np.cumsum([len(entry.ids) for entry in ordered])
    parts: list[NDArray[np.integer[Any]]] = [np.asarray(entry.ids) for entry in ordered]
    parts += [np.arange(len(entry.places) - len(entry.ids), len(entry.places)) for entry in ordered]
    parts += [entry.places[-len(entry.ids) :] for entry in ordered]
    parts += tables
    parts += [np.arange(end - entry.wanted, end) for end, entry in zip(ends, entries, strict=True)]
    shape = Shape(tuple(groups), sum(entry.wanted for entry in entries))
    return shape, np.concatenate(parts, dtype=np.int32)


def _pack_decode(entries: Sequence[Entry], longest: int) -> tuple[Shape, Numbers]:
    count = 1 << (len(entries) - 1).bit_length()
    attended = SHORTEST_TABLE
    while attended < max(len(entry.places) for entry in entries):
        attended *= 2
    attended = min(attended, longest)
    heads = np.zeros((3, count), dtype=np.int32)  # ids, positions, places; a filler is a first token in SCRATCH
    for index, entry in enumerate(entries):
        heads[:, index] = entry.ids[0], len(entry.places) - 1, entry.places[-1]
    table = _table([entry.places for entry in entries], count, attended)
    return Shape((Group(count, 1, attended),), count), np.concatenate(
        [heads.ravel(), table, np.arange(count, dtype=np.int32)]
    )


def _table(rows: Sequence[Numbers], count: int, columns: int) -> Numbers:
    """[count * columns]: the places of each row, then SCRATCH."""
    table = np.full((count, columns), SCRATCH, dtype=np.int32)
    if columns:
        for line, places in zip(table, rows, strict=False):
            line[: len(places)] = places
    return table.ravel()


class Pool:
    """Keys and values on the device, each [L + 1, places + 1, N, D]; they never move.

    Args:
        layers: L + 1, the top query layer included.
        places: tokens there is room for.
        heads, head_size: N and D.
    """

    def __init__(self, layers: int, places: int, heads: int, head_size: int, dtype: torch.dtype, device: torch.device):
        shape = (layers, places + 1, heads, head_size)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.keys[:, SCRATCH] = 0
        self.values[:, SCRATCH] = 0


class PoolStep:
    """One step over a pool: the `Memory` of the model's forward pass.

    Args:
        pool: keys and values.
        shape: of the step.
        numbers: [n] on the pool's device, as `pack` lays them out.
    """

    def __init__(self, pool: Pool, shape: Shape, numbers: Tensor):
        self._pool, self._groups = pool, shape.groups
        rows = shape.rows
        tables = [group.sequences * group.attended for group in shape.groups]
        parts = torch.split(numbers.long(), [rows, rows, rows, *tables, shape.wanted])
        self.ids, self.positions, self.places = parts[:3]  # [R]
        self.wanted = parts[-1]
        self._tables = [
            part.view(group.sequences, group.attended) for group, part in zip(shape.groups, parts[3:-1], strict=True)
        ]
        positions = torch.split(self.positions, [group.sequences * group.new for group in shape.groups])
        self._positions = [
            part.view(group.sequences, group.new) for group, part in zip(shape.groups, positions, strict=True)
        ]
        self._masks: dict[int, Tensor] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `Memory.attend`; all arguments are [1, R, N, D]."""
        keys, values = self._pool.keys[layer], self._pool.values[layer]
        contexts, start = [], 0
        for index, group in enumerate(self._groups):
            rows = slice(start, start := start + group.sequences * group.new)
            places, table = self.places[rows], self._tables[index]
            q, k, v = query[0, rows], key[0, rows], value[0, rows]  # [G * T, N, D]
            if group.new == 1 and query.is_cuda and (kernels := _kernels()) is not None:
                contexts.append(kernels.attend(q, k, v, keys, values, places, table, self._positions[index]))
                continue
            keys.index_copy_(0, places, k)
            values.index_copy_(0, places, v)
            shape = (group.sequences, group.new, *q.shape[1:])
            if group.attended:
                # A table leads to stored tokens and to SCRATCH alone, so no uninitialised number is ever read.
                context = _attend(q.view(shape), keys[table], values[table], self._mask(index))
            else:
                context = _attend(q.view(shape), k.view(shape), v.view(shape), None)
            contexts.append(context.reshape(q.shape))
        return (contexts[0] if len(contexts) == 1 else torch.cat(contexts))[None]

    def _mask(self, index: int) -> Tensor:
        """[G, 1, T, S] True where the new tokens of a group may attend."""
        if index not in self._masks:
            stored = torch.arange(self._groups[index].attended, device=self.ids.device)
            self._masks[index] = (stored <= self._positions[index][:, :, None])[:, None]
        return self._masks[index]


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """[G, T, N, D] over [G, S, N, D]; causal without a mask. Returns [G, T, N, D]."""
    return F.scaled_dot_product_attention(
        query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), attn_mask=mask, is_causal=mask is None
    ).transpose(1, 2)


@cache
def _kernels() -> ModuleType | None:
    """The Triton kernel for single tokens, where Triton is installed."""
    try:
        from codegeex.engine import torch_attention
    except ImportError as error:
        if (error.name or "").split(".")[0] != "triton":
            raise
        return None
    return torch_attention
