"""Reading a PyTorch `.pt` file without PyTorch, one tensor at a time, and without trusting it.

A `.pt` file is a zip archive: `data.pkl` is a pickle of the object, in which a tensor is a storage's key with shape
and strides, and `data/KEY` holds that storage's bytes, uncompressed. `torch.load` needs PyTorch, and its memory map
counts every page it has touched as resident; here a tensor is read when it is asked for and then forgotten.

A pickle can name any function to be called. This unpickler knows the few names that tensors are made of, and hands
out an inert stand-in for some more that training frameworks leave beside the weights. Any other name is refused,
nothing is ever imported, and what stands for tensors cannot be altered once it has been checked.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.source import DTYPES, TensorSpec
from codegeex.errors import CodeGeeXError

MAX_PICKLE_BYTES = 64 << 20
"""The released 13B file's pickle has under 100 KB; a huge one is an attack or another kind of file."""

_STORAGES = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "CharStorage": "I8",
    "DoubleStorage": "F64",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
_DAMAGE = (zipfile.BadZipFile, struct.error, ValueError, RuntimeError)
"""What zipfile raises on damaged archives (RuntimeError: a bit flipped to "encrypted")."""

_ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}

MAX_NAME_LENGTH = 1000
"""Longer dotted names come from dicts nested without end, not from weights."""

_INERT = {
    ("argparse", "Namespace"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("torch", "device"),
    ("torch", "Size"),
    ("torch", "bfloat16"),
    ("torch", "float16"),
    ("torch", "float32"),
    ("_codecs", "encode"),
}
"""Arguments, random states and counters that training frameworks save beside the weights."""


class _Inert:
    """Stands for an object that we do not need: takes anything, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Dict(dict[Any, Any]):
    """Stands for an OrderedDict; the attributes that PyTorch gives a state dict are dropped."""

    def __setstate__(self, state: Any) -> None:
        pass


# Named tuples, because a pickle's BUILD opcode could alter a checked dataclass, even a frozen one.
class _Storage(NamedTuple):
    key: str
    dtype: str
    items: int


class StoredTensor(NamedTuple):
    """Where a tensor is in a `TorchFile`: `spec` tells its type and shape."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.storage.dtype, self.shape)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    """Stands in for torch._utils._rebuild_tensor_v2; refuses a tensor that reaches outside its storage."""
    shape, strides = tuple(shape), tuple(strides)
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor's description is damaged")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.items:
        raise pickle.UnpicklingError(f"a tensor reaches beyond its storage {storage.key}")
    if math.prod(shape) > storage.items:  # strides of 0 would let a small file fill any disk
        raise pickle.UnpicklingError(f"a tensor is larger than its storage {storage.key}")
    return StoredTensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler written in Python: the one in C allocates whatever memo size a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if (module, name) == ("collections", "OrderedDict"):
            return _Dict
        if (module, name) in _INERT:
            return _Inert
        raise pickle.UnpicklingError(f"it asks to import {module}.{name}, which weights never need")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str() as dtype, str() as key, _, int() as items):
                return _Storage(key, dtype, items)
        raise pickle.UnpicklingError("a storage's description is damaged")


class TorchFile:
    """A `.pt` file: `content` is what it holds, with a `StoredTensor` for each tensor.

    Raises:
        CodeGeeXError: missing, cut short, damaged, of the format before PyTorch 1.6, or asking to run code.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except OSError as error:
            raise CodeGeeXError(f"cannot read {self.path}: {error.strerror}.") from None
        except _DAMAGE:
            raise CodeGeeXError(self._why_no_zip()) from None
        pickles = [name for name in self._zip.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CodeGeeXError(f"{self.path} is a zip archive, but not a PyTorch checkpoint.")
        self._folder = pickles[0].removesuffix("data.pkl")
        if self._zip.getinfo(pickles[0]).file_size > MAX_PICKLE_BYTES:
            raise CodeGeeXError(f"{self.path}: its index is too large to be one of weights.")
        order = f"{self._folder}byteorder"
        if order in self._zip.namelist() and self._read(order, "its byte order") != b"little":
            raise CodeGeeXError(f"{self.path} was written on a big-endian machine, which is not supported.")
        self.content: Any = self._unpickle(self._read(pickles[0], "its index"))

    def read(self, tensor: StoredTensor, name: str) -> NDArray[Any]:
        """A tensor's values; bfloat16 as uint16 bits. Every storage's checksum is verified.

        Args:
            tensor: from `content`.
            name: for the error message.

        Raises:
            CodeGeeXError: the data is missing or damaged, or of a type that weights do not have.
        """
        dtype = tensor.storage.dtype
        if dtype not in DTYPES:
            raise CodeGeeXError(f"{self.path}: tensor {name} has the unsupported type {dtype}.")
        data = self._read(f"{self._folder}data/{tensor.storage.key}", f"tensor {name}")
        item = DTYPES[dtype].itemsize
        if len(data) < tensor.storage.items * item:
            raise CodeGeeXError(f"{self.path}: tensor {name} is cut short.")
        flat = np.frombuffer(data, dtype=DTYPES[dtype], count=tensor.storage.items)
        return np.lib.stride_tricks.as_strided(
            flat[tensor.offset :], tensor.shape, [stride * item for stride in tensor.strides], writeable=False
        )

    def _read(self, record: str, what: str) -> bytes:
        """The bytes of a record, their checksum verified; `what` says in error messages what they are."""
        try:
            info = self._zip.getinfo(record)
            data = self._zip.read(info) if info.compress_type == zipfile.ZIP_STORED else None
        except KeyError:
            raise CodeGeeXError(f"{self.path}: {what} is missing from the file; copy it again.") from None
        except (*_DAMAGE, OSError, EOFError):
            raise CodeGeeXError(
                f"{self.path}: {what} is damaged (its checksum is wrong); copy the file again."
            ) from None
        if data is None:
            raise CodeGeeXError(f"{self.path}: {what} is compressed, as PyTorch never does; it is not loaded.")
        return data

    def _unpickle(self, data: bytes) -> Any:
        try:
            return _Unpickler(BytesIO(data)).load()
        except pickle.UnpicklingError as error:
            raise CodeGeeXError(f"{self.path} is not loaded: {error}.") from None
        except Exception as error:  # a damaged pickle can raise anything
            raise CodeGeeXError(f"{self.path} has a damaged index: {type(error).__name__}.") from None

    def _why_no_zip(self) -> str:
        """What is wrong with a file that is no zip archive: mostly, that its end is missing."""
        with self.path.open("rb") as file:
            start = file.read(2)
        if start == b"PK":
            tensor = _first_cut_tensor(self.path)
            return f"{self.path} is cut short: {tensor or 'its end'} is missing; copy the file again."
        if start[:1] == b"\x80":
            return (
                f"{self.path} is in the format of PyTorch before 1.6; load and save it once with a newer PyTorch: "
                "torch.save(torch.load(path, weights_only=True), new_path)."
            )
        return f"{self.path} is not a PyTorch checkpoint."


def _first_cut_tensor(path: Path) -> str:
    """In a `.pt` file whose end is missing: the name of the first tensor that is not whole, or "".

    The directory of a zip archive is its end, so the records are walked from the start: the pickle comes first and
    tells how long every storage is.
    """
    size = path.stat().st_size
    names: dict[str, tuple[str, int]] = {}  # storage key: tensor name, bytes
    with path.open("rb") as file:
        while (header := file.read(30)).startswith(b"PK\x03\x04") and len(header) == 30:
            stored, name_length, extra_length = struct.unpack("<18xI4xHH", header)
            record = file.read(name_length).decode(errors="replace")
            file.seek(extra_length, 1)
            if record.endswith("/data.pkl"):
                # Sizes may follow the data; a pickle knows its own end.
                try:
                    content = _Unpickler(file).load()
                except Exception:
                    return ""
                names = _storages(content)
                file.seek(-min(file.tell(), 4), 1)
            elif "/data/" in record and record.rpartition("/")[2] in names:
                name, length = names[record.rpartition("/")[2]]
                if file.tell() + length > size:
                    return f"tensor {name}"
                file.seek(length, 1)
            else:
                file.seek(stored, 1)
            if not _seek_record(file):
                break
    return ""


def _seek_record(file: IO[bytes]) -> bool:
    """Move to the next local header, at most a few bytes of data descriptor and padding away."""
    start = file.tell()
    ahead = file.read(1 << 16)
    place = ahead.find(b"PK\x03\x04")
    file.seek(start + max(0, place))
    return place >= 0


def _storages(content: Any) -> dict[str, tuple[str, int]]:
    return {
        tensor.storage.key: (name, tensor.storage.items * _ITEM_BYTES.get(tensor.storage.dtype, 1))
        for name, tensor in flatten(content).items()
    }


def flatten(content: Any) -> dict[str, StoredTensor]:
    """The tensors of nested dicts under dotted names. A dict met again, as in a cycle, is not entered again."""
    found: dict[str, StoredTensor] = {}
    entered: set[int] = set()
    pending = [("", content)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, StoredTensor):
            found[name] = value
        elif isinstance(value, dict) and id(value) not in entered and len(name) <= MAX_NAME_LENGTH:
            entered.add(id(value))
            inner = [(f"{name}.{key}" if name else key, value[key]) for key in value if isinstance(key, str)]
            pending += reversed(inner)
    return found
