"""The safetensors file format, read as a memory map and written as a stream.

A file is: the header's length (8 bytes, little-endian), a JSON header {name: {dtype, shape, data_offsets}}, the data.
The `safetensors` library writes only what is in memory whole, and reads no bfloat16 without PyTorch; both matter for
a 13B checkpoint on a small machine, so this module does the two things that it does not. The tests read and write the
same files with the library.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.source import DTYPES, TensorSpec
from codegeex.errors import CodeGeeXError

MAX_HEADER_BYTES = 100 << 20
"""The library's own limit: a longer header is a damaged file."""


def write_header(file: IO[bytes], specs: Mapping[str, TensorSpec]) -> None:
    """Write the head of a file; the tensors' bytes follow in the order of `specs`."""
    entries: dict[str, Any] = {"__metadata__": {"format": "codegeex"}}
    offset = 0
    for name, spec in specs.items():
        end = offset + spec.nbytes
        entries[name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of 8 bytes
    file.write(struct.pack("<Q", len(text)) + text)


class SafetensorsFile:
    """A file's tensors, memory-mapped: a tensor's pages are read when its values are.

    Raises:
        CodeGeeXError: missing, cut short or damaged; the message names the first tensor that suffers.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                prefix = file.read(8)
                length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
                if not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
                    raise CodeGeeXError(f"{path} is cut short or is not a safetensors file.")
                header = json.loads(file.read(length))
        except OSError as error:
            raise CodeGeeXError(f"cannot read {path}: {error.strerror}.") from None
        except (ValueError, RecursionError):
            raise CodeGeeXError(f"{path} has a damaged header.") from None
        if not isinstance(header, dict):
            raise CodeGeeXError(f"{path} has a damaged header.")
        data_bytes = size - 8 - length
        self.specs: dict[str, TensorSpec] = {}
        self._offsets: dict[str, int] = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            try:
                spec = TensorSpec(str(entry["dtype"]), tuple(int(size) for size in entry["shape"]))
                begin, end = (int(offset) for offset in entry["data_offsets"])
            except (KeyError, TypeError, ValueError, OverflowError):
                raise CodeGeeXError(f"{path} has a damaged header: tensor {name}.") from None
            if spec.dtype not in DTYPES:
                raise CodeGeeXError(f"{path}: tensor {name} has the unsupported type {spec.dtype}.")
            if min(spec.shape, default=0) < 0 or begin < 0 or end - begin != spec.nbytes:
                raise CodeGeeXError(f"{path} has a damaged header: tensor {name}.")
            if end > data_bytes:
                raise CodeGeeXError(f"{path} is cut short: tensor {name} is not whole; copy the file again.")
            self.specs[name] = spec
            self._offsets[name] = 8 + length + begin
        self._map = np.memmap(path, dtype=np.uint8, mode="r")

    def read(self, name: str) -> NDArray[Any]:
        """A read-only view of one tensor; bfloat16 as uint16 bits."""
        spec = self.specs[name]
        start = self._offsets[name]
        view: NDArray[Any] = self._map[start : start + spec.nbytes].view(DTYPES[spec.dtype]).reshape(spec.shape)
        return view


def release_pages(values: NDArray[Any]) -> None:
    """Give the pages under a tensor from a `SafetensorsFile` back to the system. Nothing happens to any other array.

    A page of a mapped file counts as this process's memory from its first reading on. Who has taken what it needs from
    a tensor says so here; read again, its pages come from the file again.
    """
    if (
        not isinstance(values, np.memmap)
        or values.mode != "r"
        or values.size == 0
        or not hasattr(mmap, "MADV_DONTNEED")
    ):
        return
    mapped: mmap.mmap = values._mmap  # type: ignore[attr-defined]
    begin = values.ctypes.data - np.frombuffer(mapped, dtype=np.uint8).ctypes.data
    page = begin // mmap.PAGESIZE * mmap.PAGESIZE  # whatever else is in the first and the last page is read again, too
    mapped.madvise(mmap.MADV_DONTNEED, page, begin + values.nbytes - page)
