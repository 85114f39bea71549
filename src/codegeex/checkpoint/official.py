"""The official checkpoint: one `.pt` file or its tensor-parallel parts, under native names.

Released nesting: module / language_model / {embedding, topQueryEmbedding, transformer}, with the layers under flat
dotted names. Older and converted files differ in how much of a name is nested and how much is dotted, so names are
flattened and recognised by their end. Two further forms are undone on the way: the fused query_key_value of the
FasterTransformer variant ([Q; K; V] rows, and [K; V] in the top query layer), and the tensor-parallel split of
Megatron (facts of the original, section 2.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.source import DTYPES, TensorSpec, check_shapes, tensor_shapes
from codegeex.checkpoint.torch_file import StoredTensor, TorchFile, flatten
from codegeex.config import PRESETS, ModelConfig
from codegeex.errors import CodeGeeXError

_TABLES = {
    "word_embeddings": "word_embeddings",
    "position_embeddings": "position_embeddings",
    "top_query_embeddings": "query_embeddings",
}
_TABLE_NAME = re.compile(r"(?:^|\.)(word_embeddings|position_embeddings|top_query_embeddings)\.weight$")
_LAYER_NAME = re.compile(r"(?:^|\.)(layers\.\d+|topQueryLayer|final_layernorm)\.([\w.]+)$")
_FUSED = {"query_key_value": ("query", "key", "value"), "key_value": ("key", "value")}

# How tensor-parallel parts are joined: the dimension, by the end of the name. All others are the same in every part.
_SPLIT = (
    (re.compile(r"^(word|query)_embeddings\.weight$"), 0),
    (re.compile(r"\.attention\.(query|key|value)\.(weight|bias)$"), 0),
    (re.compile(r"\.mlp\.dense_h_to_4h\.(weight|bias)$"), 0),
    (re.compile(r"\.attention\.dense\.weight$"), 1),
    (re.compile(r"\.mlp\.dense_4h_to_h\.weight$"), 1),
)


class _Part:
    """One file, as native names: each a tensor, or a band of rows of a fused one."""

    def __init__(self, path: Path):
        self._file = TorchFile(path)
        self.tensors: dict[str, tuple[StoredTensor, slice, str]] = {}  # tensor, rows, name in the file
        content = self._file.content
        if isinstance(content, dict) and "module" in content:
            content = content["module"]
        for name, tensor in flatten(content).items():
            self._add(name, tensor)
        if not self.tensors:
            raise CodeGeeXError(f"{path} holds no CodeGeeX weights (no word_embeddings, no layers).")

    def _add(self, name: str, tensor: StoredTensor) -> None:
        everything = slice(0, tensor.shape[0] if tensor.shape else 0)
        if table := _TABLE_NAME.search(name):
            self._put(f"{_TABLES[table[1]]}.weight", tensor, everything, name)
        elif layer := _LAYER_NAME.search(name):
            place = layer[1].replace("topQueryLayer", "top_query_layer")
            rest = layer[2].replace("self_attention.", "attention.")
            *_, module, kind = f"{place}.{rest}".split(".")
            if module not in _FUSED:
                self._put(f"{place}.{rest}", tensor, everything, name)
                return
            pieces = _FUSED[module]
            rows, remainder = divmod(everything.stop, len(pieces))
            if remainder:
                raise CodeGeeXError(f"{self._file.path}: tensor {name} does not split into {len(pieces)} equal parts.")
            for index, piece in enumerate(pieces):
                band = slice(index * rows, (index + 1) * rows)
                self._put(f"{place}.attention.{piece}.{kind}", tensor, band, name)

    def _put(self, native: str, tensor: StoredTensor, rows: slice, name: str) -> None:
        if native in self.tensors:
            raise CodeGeeXError(
                f"{self._file.path}: tensor {native} is there twice, as {self.tensors[native][2]} and {name}."
            )
        self.tensors[native] = (tensor, rows, name)

    def spec(self, name: str) -> TensorSpec:
        tensor, rows, _ = self.tensors[name]
        return TensorSpec(tensor.storage.dtype, (rows.stop - rows.start, *tensor.shape[1:]))

    def read(self, name: str) -> NDArray[Any]:
        tensor, rows, original = self.tensors[name]
        return self._file.read(tensor, original)[rows]


class OfficialSource:
    """An official checkpoint as a tensor source.

    Args:
        path: a `.pt` file, or a directory with one, or with `mp_rank_00_model_states.pt`, `mp_rank_01_...`.
        config: values that the shapes do not tell, or that they must agree with: the content of the config JSON. A
            `vocab_size` below the table's rows keeps only the first ones, as the original loader does.

    Raises:
        CodeGeeXError: no checkpoint there, a damaged one, or shapes that disagree; the message names the tensor.
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any] | None = None):
        self.path = Path(path)
        self._parts = [_Part(file) for file in _files(self.path)]
        names = list(self._parts[0].tensors)
        for part in self._parts[1:]:
            if different := set(names) ^ set(part.tensors):
                raise CodeGeeXError(f"{self.path}: tensor {min(different)} is not in every tensor-parallel part.")
        found = {name: self._joined_spec(name) for name in names}
        self.config = _infer_config(found, dict(config or {}), str(self.path))
        table = found.get("word_embeddings.weight")
        if table is not None and len(table.shape) == 2 and self.config.vocab_size < table.shape[0]:
            found["word_embeddings.weight"] = TensorSpec(table.dtype, (self.config.vocab_size, table.shape[1]))
        check_shapes(found, self.config, str(self.path))
        self._specs = {name: found[name] for name in tensor_shapes(self.config)}

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return self._specs

    def read(self, name: str) -> NDArray[Any]:
        spec = self._specs[name]
        if len(self._parts) == 1 or _split_dim(name) is None:
            return self._parts[0].read(name)[: spec.shape[0]]
        dim = _split_dim(name)
        joined = np.empty(self._joined_spec(name).shape, dtype=DTYPES[spec.dtype])
        start = 0
        for part in self._parts:
            values = part.read(name)
            end = start + values.shape[dim or 0]
            joined[(slice(None),) * (dim or 0) + (slice(start, end),)] = values
            start = end
        return joined[: spec.shape[0]]

    def _joined_spec(self, name: str) -> TensorSpec:
        specs = [part.spec(name) for part in self._parts]
        dim = _split_dim(name)
        first = specs[0]
        for spec in specs:
            same = [size for index, size in enumerate(spec.shape) if index != dim]
            if spec.dtype != first.dtype or same != [size for index, size in enumerate(first.shape) if index != dim]:
                raise CodeGeeXError(f"{self.path}: tensor {name} has parts that do not fit together.")
        if dim is None or dim >= len(first.shape):
            return first
        shape = list(first.shape)
        shape[dim] = sum(spec.shape[dim] for spec in specs)
        return TensorSpec(first.dtype, tuple(shape))


def _split_dim(name: str) -> int | None:
    """The dimension along which tensor-parallel parts hold `name`; None where every part holds all of it."""
    return next((dim for pattern, dim in _SPLIT if pattern.search(name)), None)


def _files(path: Path) -> list[Path]:
    """The files of a checkpoint, in rank order."""
    if not path.is_dir():
        return [path]
    parts = sorted(path.glob("mp_rank_*_model_states.pt"))
    if not parts:
        parts = sorted(path.glob("*.pt"))
        if len(parts) != 1:
            raise CodeGeeXError(f"{path}: expected mp_rank_XX_model_states.pt files or a single .pt file.")
        return parts
    for rank, part in enumerate(parts):
        if part.name != f"mp_rank_{rank:02d}_model_states.pt":
            raise CodeGeeXError(f"{path}: the part of rank {rank} is missing.")
    return parts


def _infer_config(found: Mapping[str, TensorSpec], given: dict[str, Any], where: str) -> ModelConfig:
    """Fill the values that the config leaves out from the tensors' shapes."""

    def size(name: str, dim: int) -> int:
        if name not in found or dim >= len(found[name].shape):
            raise CodeGeeXError(f"{where}: tensor {name} is missing.")
        return found[name].shape[dim]

    layers = {match[1] for name in found if (match := re.match(r"layers\.(\d+)\.", name))}
    values: dict[str, Any] = {
        "hidden_size": size("word_embeddings.weight", 1),
        "vocab_size": size("word_embeddings.weight", 0),
        "max_position_embeddings": size("position_embeddings.weight", 0),
        "num_layers": len(layers),
        "ffn_hidden_size": size("top_query_layer.mlp.dense_h_to_4h.weight", 0),
    }
    values |= {key: value for key, value in given.items() if key != "quantization"}
    if "num_attention_heads" not in values:
        shape = (values["hidden_size"], values["num_layers"])
        heads = [
            preset.num_attention_heads
            for preset in PRESETS.values()
            if (preset.hidden_size, preset.num_layers) == shape
        ]
        if not heads:
            raise CodeGeeXError(
                f"{where}: the number of attention heads cannot be told from shapes; give it with --config FILE "
                'holding {"num_attention_heads": N}.'
            )
        values["num_attention_heads"] = heads[0]
    return ModelConfig.from_dict(values, where)
