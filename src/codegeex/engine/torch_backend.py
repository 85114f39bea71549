"""The PyTorch module as a backend: any device that PyTorch knows, full or half precision or int8, one GPU or several.

A step packs its tokens into one array of numbers (`pack`), runs the model over them as one long row of tokens, and
brings the wanted logits to the host. Steps that give every sequence one token have few shapes; on CUDA they run as
recorded graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.distributed.device_mesh import DeviceMesh

from codegeex.engine.backend import CACHE_SHARE, Backend, Handle
from codegeex.engine.machine import free_memory
from codegeex.engine.torch_cache import Entry, Numbers, Places, Pool, PoolStep, Shape, pack
from codegeex.engine.torch_graphs import Graphs
from codegeex.model import CodeGeeX, load
from codegeex.model.int8 import join_projections

MOST_CONTEXTS = 256
"""Full contexts that the cache has room for at most: a small model leaves the rest of a large memory to others."""


@dataclass(slots=True)
class _Sequence:
    """The places of a sequence's tokens, [positions]; the first `length` are in use."""

    places: Numbers
    length: int = 0


class TorchBackend(Backend):
    """A `Backend` over a `CodeGeeX` module.

    Args:
        model: the module, in evaluation mode, on its device and in its type. The backend takes it over: its projections
            are joined, or its weights shared out over the mesh.
        cache_bytes: most memory for keys and values on each device, taken at once; by default half of what is free
            there. One full context always has room.
        mesh: processes, in one dimension, that share the model (tensor parallelism). Each makes a backend of the same
            whole model, calls the same methods with the same arguments, and gets the same results.

    Raises:
        CodeGeeXError: the model cannot be shared among so many processes.
    """

    name = "torch"

    def __init__(self, model: CodeGeeX, cache_bytes: int | None = None, mesh: DeviceMesh | None = None):
        self.model, self.config = model, model.config
        degree = 1
        if mesh is not None:
            from codegeex.model.parallel import parallelize  # which imports much that one process does not need

            parallelize(model, mesh)
            degree = mesh.size()
        join_projections(model)
        weight = model.word_embeddings.weight
        self._device = weight.device
        # Only steps of one token for each sequence are recorded as graphs, several times faster than others.
        self.cheap_tokens = 0 if self._device.type == "cuda" else 5
        layers, heads, size = (
            self.config.num_layers + 1,
            self.config.num_attention_heads // degree,
            self.config.head_size,
        )
        longest = self.config.max_position_embeddings
        if cache_bytes is None:
            cache_bytes = int(CACHE_SHARE * free_device_memory(self._device))
        room = cache_bytes // (2 * layers * heads * size * weight.element_size())
        room = min(max(room, longest), MOST_CONTEXTS * longest)
        if mesh is not None:  # all processes must run out of room in the same step
            least = torch.tensor(room, device=self._device)
            distributed.all_reduce(least, distributed.ReduceOp.MIN, mesh.get_group())
            room = int(least)
        self._places = Places(room)
        self._pool = Pool(layers, room, heads, size, weight.dtype, self._device)
        self._sequences: dict[Handle, _Sequence] = {}
        self._handles = count()
        self._graphs = Graphs(self._compute) if self._device.type == "cuda" else None

    @classmethod
    def load(
        cls,
        directory: str | Path,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        cache_bytes: int | None = None,
        mesh: DeviceMesh | None = None,
    ) -> TorchBackend:
        """The model of a directory; int8 weights stay int8.

        Args:
            directory: a native model directory.
            device: by default the accelerator where there is one, else the CPU.
            dtype: of activations, and of weights that are not int8; by default float16 on an accelerator, else float32.
            cache_bytes, mesh: as above.
        """
        if device is None:
            device = (torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None) or "cpu"
        device = torch.device(device)
        if dtype is None:
            dtype = torch.float32 if device.type == "cpu" else torch.float16
        return cls(load(directory, dtype, device, keep_int8=True), cache_bytes, mesh)

    def open(self) -> Handle:
        handle = next(self._handles)
        self._sequences[handle] = _Sequence(np.empty(self.config.max_position_embeddings, dtype=np.int32))
        return handle

    def fork(self, sequence: Handle) -> Handle:
        """A new sequence with the same tokens; it shares their places, so there is always room."""
        original = self._sequence(sequence)
        handle = next(self._handles)
        self._sequences[handle] = _Sequence(original.places.copy(), original.length)
        self._places.share(original.places[: original.length])
        return handle

    def truncate(self, sequence: Handle, length: int) -> None:
        """Forget all but the first `length` tokens of a sequence.

        Raises:
            ValueError: it is not open, or has fewer.
        """
        one = self._sequence(sequence)
        if not 0 <= length <= one.length:
            raise ValueError(f"a sequence of {one.length} tokens cannot be cut to {length}")
        self._places.release(one.places[length : one.length])
        one.length = length

    def free(self, sequence: Handle) -> None:
        one = self._sequence(sequence)
        self._places.release(one.places[: one.length])
        del self._sequences[sequence]

    @torch.inference_mode()
    def step(
        self, sequences: Sequence[Handle], ids: Sequence[Sequence[int]], wanted: Sequence[int]
    ) -> NDArray[np.float32]:
        """As the protocol says.

        Raises:
            ValueError: a sequence that is not open or comes twice, an id or length out of range. Nothing has changed.
            MemoryError: the cache is full, or the device's memory. Nothing has changed.
        """
        members = [self._sequence(handle) for handle in sequences]
        self._check(sequences, members, ids, wanted)
        taken = self._places.take(sum(len(new) for new in ids))
        try:
            entries, start = [], 0
            for one, new, rows in zip(members, ids, wanted, strict=True):
                end = one.length + len(new)
                one.places[one.length : end] = taken[start : start + len(new)]
                entries.append(Entry(new, one.places[:end], rows))
                start += len(new)
            with torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext():
                logits = self._run(entries)
        except BaseException as error:
            self._places.release(taken)
            if isinstance(error, torch.OutOfMemoryError):
                raise MemoryError(f"the step does not fit in the device's memory: {error}") from None
            raise
        for one, new in zip(members, ids, strict=True):
            one.length += len(new)
        return logits

    def _run(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        if not entries:
            return np.empty((0, self.config.vocab_size), dtype=np.float32)
        shape, packed = pack(entries, self.config.max_position_embeddings)
        numbers = torch.from_numpy(packed)
        single = all(len(entry.ids) == 1 for entry in entries)
        if self._graphs is not None:
            numbers = numbers.pin_memory()
        if self._graphs is not None and single:
            logits = self._graphs(shape, numbers)
        else:
            logits = self._compute(shape, numbers.to(self._device, non_blocking=True))
        if single:  # one row for every sequence, and some that fill up
            logits = logits[: len(entries)]
        result = self._to_host(logits)
        if single and not all(entry.wanted for entry in entries):
            result = result[[index for index, entry in enumerate(entries) if entry.wanted]]
        return result

    def _compute(self, shape: Shape, numbers: Tensor) -> Tensor:
        """The logits [wanted, V] of a step. Whatever differs between steps of one shape is in `numbers`."""
        step = PoolStep(self._pool, shape, numbers)
        hidden = self.model.hidden(step.ids[None], step.positions[None], memory=step)[0]  # [R, h]
        return self.model.logits(hidden[step.wanted])

    def _to_host(self, logits: Tensor) -> NDArray[np.float32]:
        """The one place where the host waits for the device."""
        if self._graphs is None:
            array: NDArray[np.float32] = logits.cpu().numpy()
            return array
        host = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
        host.copy_(logits, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        filled: NDArray[np.float32] = host.numpy()
        return filled  # page-locked memory goes back to PyTorch with the array

    def _check(
        self,
        sequences: Sequence[Handle],
        members: Sequence[_Sequence],
        ids: Sequence[Sequence[int]],
        wanted: Sequence[int],
    ) -> None:
        if len(set(sequences)) < len(sequences):
            raise ValueError("a sequence comes twice in a step")
        longest, vocabulary = self.config.max_position_embeddings, self.config.vocab_size
        for one, new, rows in zip(members, ids, wanted, strict=True):
            if not 0 <= rows <= len(new) or not len(new):
                raise ValueError(f"{rows} rows of logits are wanted of {len(new)} new tokens")
            if one.length + len(new) > longest:
                raise ValueError(f"{one.length + len(new)} tokens exceed the model's {longest} positions")
            if min(new) < 0 or max(new) >= vocabulary:
                raise ValueError(f"ids must be from 0 to {vocabulary - 1}")

    def _sequence(self, handle: Handle) -> _Sequence:
        try:
            return self._sequences[handle]
        except KeyError:
            raise ValueError(f"no open sequence {handle}") from None


def free_device_memory(device: torch.device) -> int:
    """Bytes that can be taken on a device; of main memory where the device has none of its own, or does not tell."""
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return free_memory()
    module.empty_cache()
    free: int = module.mem_get_info(device)[0]
    return free
