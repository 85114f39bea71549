# mypy: disable-error-code="import-not-found,import-untyped,misc,no-untyped-def,no-untyped-call,untyped-decorator"
"""Triton kernels for few rows times an int8 matrix. Their time is that of reading the matrix, once, in long runs.

Sums are float32. The scale of an output is applied once to its sum, not to every weight.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _finish(total, columns, scale, bias, outputs, HAS_BIAS: tl.constexpr, GELU: tl.constexpr):  # noqa: N803
    """Scale, bias and activation of sums whose last dimension is `columns`."""
    inside = columns < outputs
    y = total * tl.load(scale + columns, mask=inside, other=0.0)
    if HAS_BIAS:
        y += tl.load(bias + columns, mask=inside, other=0.0).to(tl.float32)
    if GELU:
        y = y * tl.sigmoid(1.702 * y)
    return y


@triton.jit
def _one_row(
    x, weight, scale, bias, y, inputs, outputs,
    HAS_BIAS: tl.constexpr, GELU: tl.constexpr, BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """y [out] from x [in]. A program makes BLOCK_OUT outputs; enough run at once to keep the memory busy."""
    columns = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    lines = weight + columns[:, None].to(tl.int64) * inputs
    total = tl.zeros([BLOCK_OUT, BLOCK_IN], dtype=tl.float32)
    for start in range(0, inputs, BLOCK_IN):
        places = start + tl.arange(0, BLOCK_IN)
        inside = places < inputs
        part = tl.load(x + places, mask=inside, other=0.0).to(tl.float32)
        w = tl.load(
            lines + places[None, :],
            mask=(columns < outputs)[:, None] & inside[None, :],
            other=0,
            eviction_policy="evict_first",
        )
        total += part[None, :] * w.to(tl.float32)
    result = _finish(tl.sum(total, axis=1), columns, scale, bias, outputs, HAS_BIAS, GELU)
    tl.store(y + columns, result.to(y.dtype.element_ty), mask=columns < outputs)


@triton.jit
def _few_rows(
    x, weight, scale, bias, y, rows, inputs, outputs,
    HAS_BIAS: tl.constexpr, GELU: tl.constexpr,  # noqa: N803
    ROWS: tl.constexpr, BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """y [R, out] from x [R, in], R at most ROWS, on the matrix units. int8 is exact in every float type."""
    row = tl.arange(0, ROWS)
    columns = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    total = tl.zeros([ROWS, BLOCK_OUT], dtype=tl.float32)
    for start in range(0, inputs, BLOCK_IN):
        places = start + tl.arange(0, BLOCK_IN)
        inside = (places < inputs)[None, :]
        part = tl.load(x + row[:, None] * inputs + places[None, :], mask=(row < rows)[:, None] & inside, other=0.0)
        w = tl.load(
            weight + columns[:, None].to(tl.int64) * inputs + places[None, :],
            mask=(columns < outputs)[:, None] & inside,
            other=0,
            eviction_policy="evict_first",
        )
        total = tl.dot(part, tl.trans(w.to(part.dtype)), total, input_precision="ieee")
    result = _finish(total, columns[None, :], scale, bias, outputs, HAS_BIAS, GELU)
    inside = (row < rows)[:, None] & (columns < outputs)[None, :]
    tl.store(y + row[:, None] * outputs + columns[None, :], result.to(y.dtype.element_ty), mask=inside)


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    """As `codegeex.model.int8.int8_linear`, for x [R, in] with R at most `FEW_ROWS`."""
    x = x.contiguous()
    rows, inputs = x.shape
    outputs = len(weight)
    y = torch.empty((rows, outputs), dtype=x.dtype, device=x.device)
    offsets = scale if bias is None else bias  # a kernel takes a pointer in any case
    if rows == 1:
        block = 8
        _one_row[(triton.cdiv(outputs, block),)](
            x, weight, scale, offsets, y, inputs, outputs,
            HAS_BIAS=bias is not None, GELU=gelu, BLOCK_OUT=block, BLOCK_IN=1024, num_warps=4,
        )  # fmt: skip
    else:
        block = 32
        # What is on its way from memory must fit in a processor's own memory, for several programs at once.
        block_in = 64 if x.element_size() > 2 else 256 if rows <= 32 else 128
        _few_rows[(triton.cdiv(outputs, block),)](
            x, weight, scale, offsets, y, rows, inputs, outputs,
            HAS_BIAS=bias is not None, GELU=gelu, ROWS=max(16, triton.next_power_of_2(rows)), BLOCK_OUT=block,
            BLOCK_IN=block_in, num_warps=4, num_stages=4,
        )  # fmt: skip
    return y
