"""A half-precision checkpoint in the official layout, of any size, with random weights; needs PyTorch for its names.

    python benchmarks/large/make_official.py --preset 13b --output official.pt [--layers N]

`torch.save` holds the whole model. Here the archive is written record by record as PyTorch writes it, a pickle that
describes the tensors and then each tensor's bytes, so that 26 GB take 0.3 GB of memory (PyTorch's own). The file is
one that `torch.load` reads. Values are slices of one random block.
"""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_random_model import add_shape, shape

from codegeex.checkpoint.source import tensor_shapes
from codegeex.cli.progress import byte_progress
from codegeex.config import ModelConfig
from codegeex.files import atomic_file

BLOCK = 1 << 22
"""Values in the random block: 8 MB."""
TABLES = {
    "word_embeddings.weight": ("embedding", "word_embeddings"),
    "position_embeddings.weight": ("embedding", "position_embeddings"),
    "query_embeddings.weight": ("topQueryEmbedding", "top_query_embeddings"),
}


@dataclass(frozen=True)
class Storage:
    key: str
    items: int


@dataclass(frozen=True)
class Tensor:
    """Pickled as PyTorch pickles a contiguous tensor with a storage of its own."""

    storage: Storage
    shape: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(prod(self.shape[dim + 1 :]) for dim in range(len(self.shape)))
        return torch._utils._rebuild_tensor_v2, (self.storage, 0, self.shape, strides, False, OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Storage):
            return "storage", torch.HalfStorage, value.key, "cpu", value.items
        return None


def nested(config: ModelConfig) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The checkpoint's content, and its tensors by their native names."""
    tensors = {
        name: Tensor(Storage(str(key), prod(size)), size)
        for key, (name, size) in enumerate(tensor_shapes(config).items())
    }
    model: dict[str, Any] = {"embedding": {}, "topQueryEmbedding": {}, "transformer": {}}
    for name, tensor in tensors.items():
        if name in TABLES:
            module, table = TABLES[name]
            model[module][table] = {"weight": tensor}
        else:
            model["transformer"][name.replace("top_query_layer", "topQueryLayer")] = tensor
    return {"module": {"language_model": model}}, tensors


def write(path: Path, config: ModelConfig) -> None:
    content, tensors = nested(config)
    pickled = BytesIO()
    Pickler(pickled, protocol=2).dump(content)
    block = np.random.default_rng(0).standard_normal(BLOCK, dtype=np.float32) * np.float32(0.02)
    linear, norm = block.astype("<f2").data.cast("B"), (block + 1).astype("<f2").data.cast("B")
    total = 2 * sum(tensor.storage.items for tensor in tensors.values())
    done = 0
    with (
        byte_progress(f"writing {path}") as progress,
        atomic_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.writestr("archive/data.pkl", pickled.getvalue())
        archive.writestr("archive/byteorder", "little")
        for name, tensor in tensors.items():
            values = norm if name.endswith("layernorm.weight") else linear
            with archive.open(f"archive/data/{tensor.storage.key}", "w", force_zip64=True) as record:
                left = 2 * tensor.storage.items
                while left:
                    left -= record.write(values[: min(left, len(values))])
            done += 2 * tensor.storage.items
            progress(done, total)
        archive.writestr("archive/version", "3\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_shape(parser)
    parser.add_argument("--output", type=Path, required=True, help="the .pt file")
    options = parser.parse_args()
    write(options.output, shape(options))


if __name__ == "__main__":
    main()
