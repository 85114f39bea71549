"""The native model directory: config.json, safetensors weights in one file or several, tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegeex.checkpoint.safetensors_file import SafetensorsFile, write_header
from codegeex.checkpoint.source import TensorSource, TensorSpec, check_shapes
from codegeex.config import ModelConfig, read_json
from codegeex.errors import CodeGeeXError
from codegeex.files import atomic_directory
from codegeex.tokenizer import Tokenizer

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

MAX_FILE_BYTES = 4 << 30
"""Weights above this are split over several files, so that one can be sent again on its own."""


def write_model(
    directory: str | Path,
    source: TensorSource,
    tokenizer: Tokenizer | None = None,
    extras: Mapping[str, str] = MappingProxyType({}),
    progress: Callable[[int, int], None] = lambda done, total: None,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> None:
    """Write a model directory, tensor by tensor; it appears whole or not at all.

    Args:
        directory: where; must not exist, or be empty.
        source: the tensors. At most one of them is in memory at a time.
        tokenizer: saved beside them when given.
        extras: further text files by name, for example the model card as README.md.
        progress: called with bytes written and bytes in total.
        max_file_bytes: a file grows to about this size before the next one begins.

    Raises:
        CodeGeeXError: the place is taken, or the source has a fault.
        WorkFailed: the file system refused.
    """
    check_shapes(source.specs, source.config, "the model to write")
    groups = _split(source.specs, max_file_bytes)
    total = sum(spec.nbytes for spec in source.specs.values())
    done = 0
    with atomic_directory(Path(directory)) as partial:
        weight_map: dict[str, str] = {}
        for number, names in enumerate(groups, start=1):
            file_name = SINGLE_FILE if len(groups) == 1 else f"model-{number:05d}-of-{len(groups):05d}.safetensors"
            with (partial / file_name).open("wb") as file:
                write_header(file, {name: source.specs[name] for name in names})
                for name in names:
                    file.write(np.ascontiguousarray(source.read(name)).data.cast("B"))
                    weight_map[name] = file_name
                    done += source.specs[name].nbytes
                    progress(done, total)
        if len(groups) > 1:
            index = {"metadata": {"total_size": total}, "weight_map": weight_map}
            (partial / INDEX_FILE).write_text(json.dumps(index, indent=1) + "\n")
        config = json.dumps(source.config.to_dict(), indent=2) + "\n"
        (partial / "config.json").write_text(config)
        if tokenizer is not None:
            tokenizer.save(partial)
        for name, text in extras.items():
            (partial / name).write_text(text, encoding="utf-8")


def _split(specs: Mapping[str, TensorSpec], max_file_bytes: int) -> list[list[str]]:
    """Names grouped into files, in order."""
    groups: list[list[str]] = [[]]
    size = 0
    for name, spec in specs.items():
        if groups[-1] and size + spec.nbytes > max_file_bytes:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += spec.nbytes
    return groups


class NativeSource:
    """The tensors of a model directory.

    Raises:
        CodeGeeXError: no model there, another format version, damaged files, or tensors that do not fit the config.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise CodeGeeXError(f"no model directory at {self.directory}.")
        self.config = ModelConfig.load(self.directory)
        self._files: dict[str, SafetensorsFile] = {}
        self._specs: dict[str, TensorSpec] = {}
        for path in self._weight_files():
            file = SafetensorsFile(path)
            self._specs |= file.specs
            self._files |= dict.fromkeys(file.specs, file)
        check_shapes(self._specs, self.config, str(self.directory))

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return self._specs

    def read(self, name: str) -> NDArray[Any]:
        """A memory-mapped, read-only view of one tensor."""
        return self._files[name].read(name)

    def _weight_files(self) -> list[Path]:
        index_path = self.directory / INDEX_FILE
        if not index_path.is_file():
            return [self.directory / SINGLE_FILE]
        index = read_json(index_path)
        try:
            names = sorted(set(index["weight_map"].values()))
        except (KeyError, TypeError, AttributeError):
            raise CodeGeeXError(f"{index_path}: no weight_map.") from None
        if any(not isinstance(name, str) or Path(name).name != name for name in names):
            raise CodeGeeXError(f"{index_path}: weight files must be in the model directory itself.")
        return [self.directory / name for name in names]
