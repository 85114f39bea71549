# mypy: disable-error-code="import-not-found,import-untyped,misc,no-untyped-def,no-untyped-call,untyped-decorator"
"""Attention of single new tokens over the pool of places, as a Triton kernel: nothing is gathered or read twice.

A long sequence is split over several programs, as one would not keep the memory busy; a second kernel adds up their
parts (Flash-Decoding, Dao et al. 2023). How many parts there are follows from the table's width, never from a length,
so that a captured graph stays valid while sequences grow.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

PART = 256
"""Attended tokens of one program."""


@triton.jit
def _attend_part(
    query, key, value, keys, values, places, table, positions, context, sums,
    attended, scale, query_stride, key_stride, value_stride,
    HEADS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr, PART: tl.constexpr,  # noqa: N803
    PADDED: tl.constexpr, PARTS: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One head of one sequence over one part of its tokens: Σ exp(score - greatest) · value, divided by Σ exp.

    The program whose part the new token is in stores its key and value, too; no other program reads them.
    """
    sequence = tl.program_id(0)
    head = tl.program_id(1)
    part = tl.program_id(2)
    position = tl.load(positions + sequence)
    d = tl.arange(0, PADDED)
    inside = d < SIZE
    asked = tl.load(query + sequence * query_stride + head * SIZE + d, mask=inside, other=0.0).to(tl.float32) * scale
    greatest = -float("inf")
    total = 0.0
    weighted = tl.zeros([PADDED], dtype=tl.float32)
    first = part * PART
    for start in range(first, tl.minimum(first + PART, position), BLOCK):
        token = start + tl.arange(0, BLOCK)
        stored = token < position
        place = tl.load(table + sequence * attended + token, mask=stored, other=0)
        offsets = place[:, None] * (HEADS * SIZE) + head * SIZE + d[None, :]
        mask = stored[:, None] & inside[None, :]
        k = tl.load(keys + offsets, mask=mask, other=0.0).to(tl.float32)
        v = tl.load(values + offsets, mask=mask, other=0.0).to(tl.float32)
        score = tl.where(stored, tl.sum(asked[None, :] * k, axis=1), -float("inf"))
        new_greatest = tl.maximum(greatest, tl.max(score, axis=0))
        share = tl.exp(score - new_greatest)
        shrink = tl.exp(greatest - new_greatest)
        total = total * shrink + tl.sum(share, axis=0)
        weighted = weighted * shrink + tl.sum(share[:, None] * v, axis=0)
        greatest = new_greatest
    if (first <= position) & (position < first + PART):
        k = tl.load(key + sequence * key_stride + head * SIZE + d, mask=inside, other=0.0)
        v = tl.load(value + sequence * value_stride + head * SIZE + d, mask=inside, other=0.0)
        offsets = tl.load(places + sequence) * (HEADS * SIZE) + head * SIZE + d
        tl.store(keys + offsets, k, mask=inside)
        tl.store(values + offsets, v, mask=inside)
        score = tl.sum(asked * k.to(tl.float32), axis=0)
        new_greatest = tl.maximum(greatest, score)
        share = tl.exp(score - new_greatest)
        shrink = tl.exp(greatest - new_greatest)
        total = total * shrink + share
        weighted = weighted * shrink + share * v.to(tl.float32)
        greatest = new_greatest
    row = (sequence * HEADS + head) * PARTS + part
    if first <= position:
        weighted = weighted / total
    tl.store(context + row * SIZE + d, weighted.to(context.dtype.element_ty), mask=inside)
    if PARTS > 1:
        tl.store(sums + row, greatest + tl.log(total))  # a part beyond the sequence's end: -infinity


@triton.jit
def _add_parts(
    parts, sums, context,
    SIZE: tl.constexpr, PADDED: tl.constexpr, PARTS: tl.constexpr, PADDED_PARTS: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """The parts [PARTS, D] of one head of one sequence, weighted by their shares of the softmax."""
    row = tl.program_id(0)
    part = tl.arange(0, PADDED_PARTS)
    d = tl.arange(0, PADDED)
    weight = tl.load(sums + row * PARTS + part, mask=part < PARTS, other=-float("inf"))
    weight = tl.exp(weight - tl.max(weight, axis=0))
    weight = weight / tl.sum(weight, axis=0)
    mask = (part < PARTS)[:, None] & (d < SIZE)[None, :]
    values = tl.load(parts + (row * PARTS + part[:, None]) * SIZE + d[None, :], mask=mask, other=0.0)
    total = tl.sum(values * weight[:, None], axis=0)
    tl.store(context + row * SIZE + d, total.to(context.dtype.element_ty), mask=d < SIZE)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys: Tensor,
    values: Tensor,
    places: Tensor,
    table: Tensor,
    positions: Tensor,
) -> Tensor:
    """Store the key and value of one new token of each sequence, and attend to them and to all before.

    Args:
        query, key, value: [G, N, D] of the new tokens; the last two dimensions lie together.
        keys, values: [places, N, D], contiguous.
        places: [G] where the new tokens are stored.
        table: [G, S] places of the sequences' tokens, contiguous.
        positions: [G, 1] position of the new token.

    Returns:
        [G, N, D].
    """
    sequences, heads, size = query.shape
    attended = table.shape[1]
    parts = triton.cdiv(attended, PART)
    padded = triton.next_power_of_2(size)
    context = torch.empty((sequences, heads, size), dtype=query.dtype, device=query.device)
    sums = partial = context
    if parts > 1:
        partial = torch.empty((sequences, heads, parts, size), dtype=torch.float32, device=query.device)
        sums = torch.empty((sequences, heads, parts), dtype=torch.float32, device=query.device)
    _attend_part[(sequences, heads, parts)](
        query, key, value, keys, values, places, table, positions, partial, sums,
        attended, 1 / math.sqrt(size), query.stride(0), key.stride(0), value.stride(0),
        HEADS=heads, SIZE=size, BLOCK=64, PART=PART, PADDED=padded, PARTS=parts, num_warps=4,
    )  # fmt: skip
    if parts > 1:
        _add_parts[(sequences * heads,)](
            partial, sums, context,
            SIZE=size, PADDED=padded, PARTS=parts, PADDED_PARTS=triton.next_power_of_2(parts), num_warps=4,
        )  # fmt: skip
    return context
