"""Token shards: the files between the corpus and training.

A shard directory holds
    tokens.bin      every document's ids one after another, each document ended by end-of-text; little-endian uint16,
                    or uint32 for vocabularies above 65,536 ids
    documents.bin   where every document begins in tokens.bin, then its end; little-endian uint64
    meta.json       format version, type, counts, the tokenizer's fingerprint, tokens per language

A reader cuts the stream into windows of `sequence_length + 1` ids (inputs and labels overlap by one). Documents come
into windows in one of three ways:
    dense           one after another, over the ends of windows; windows overlap by one id
    file            each in a window of its own, cut at its end or filled up with end-of-text (paper, section 3.1)
    fit             several whole ones in a window, which is filled up with end-of-text; only longer ones are cut
The windows of the last two are written as they are read: `meta.json` has their length as `segment`.

Windows are addressed by a global index whose order is fixed by the seed alone, so any number of workers sees the same
order and any step can be resumed.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codegeex.config import read_json
from codegeex.errors import CodeGeeXError
from codegeex.files import atomic_directory

SHARDS_VERSION = 1

Packing = Literal["dense", "file", "fit"]


class ShardWriter:
    """Appends documents to a shard directory; made by `create`."""

    def __init__(self, directory: Path, vocab_size: int, fingerprint: str, segment: int = 0):
        self.directory, self._segment = directory, segment
        self._dtype = np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")
        self._fingerprint = fingerprint
        self._tokens = (directory / "tokens.bin").open("wb")
        self._starts = [0]
        self._languages: Counter[str] = Counter()
        self._padding = 0

    def add(self, ids: ArrayLike, language: str, padding: int = 0) -> None:
        """Append one document.

        Args:
            ids: [N] its tokens, end-of-text included.
            language: its key.
            padding: how many of the ids, at the end, only fill up a window.
        """
        array = np.asarray(ids, dtype=self._dtype)
        self._tokens.write(array.tobytes())
        self._starts.append(self._starts[-1] + len(array))
        self._languages[language] += len(array) - padding
        self._padding += padding

    def _close(self) -> None:
        self._tokens.close()
        np.asarray(self._starts, dtype="<u8").tofile(self.directory / "documents.bin")
        meta = {
            "format_version": SHARDS_VERSION,
            "dtype": self._dtype.name,
            "tokens": self._starts[-1],
            "documents": len(self._starts) - 1,
            "tokenizer": self._fingerprint,
            "tokens_per_language": dict(sorted(self._languages.items())),
        }
        if self._segment:
            meta |= {"segment": self._segment, "padding": self._padding}
        (self.directory / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


@contextmanager
def create(directory: str | Path, vocab_size: int, fingerprint: str, segment: int = 0) -> Iterator[ShardWriter]:
    """A writer of a new shard directory, which appears whole when the block ends well.

    Args:
        directory: where; must not exist.
        vocab_size: ids of the tokenizer.
        fingerprint: the tokenizer's `fingerprint`.
        segment: ids of a window, where documents are packed into windows before they are written.
    """
    with atomic_directory(Path(directory)) as partial:
        writer = ShardWriter(partial, vocab_size, fingerprint, segment)
        try:
            yield writer
        finally:
            writer._close()


class Windows(ABC):
    """Training windows by index: `sequence_length + 1` ids each, so that inputs and labels overlap by one.

    An id that is there to be read but not to be foretold, as those of a prompt, stands as its complement `~id`, which
    is negative.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Windows in one epoch."""

    @abstractmethod
    def window(self, index: int) -> NDArray[np.int64]:
        """Window `index`, [sequence_length + 1]."""

    def spread(self, count: int) -> list[int]:
        """The indices of at most `count` windows, spread evenly over all."""
        count = min(count, len(self))
        return [place * len(self) // count for place in range(count)]

    def shuffled(self, index: int, seed: int) -> NDArray[np.int64]:
        """Window `index` of an endless stream in which every epoch is a fresh permutation drawn from `seed`."""
        epoch, place = divmod(index, len(self))
        return self.window(int(self._permutation(epoch, seed)[place]))

    def _permutation(self, epoch: int, seed: int) -> NDArray[np.int64]:
        key = (epoch, seed)
        if getattr(self, "_permuted", None) != key:
            self._permuted, self._order = key, np.random.default_rng([seed, epoch]).permutation(len(self))
        return self._order


class Shards(Windows):
    """A shard directory, memory-mapped, read as windows of `sequence_length + 1` ids.

    Raises:
        CodeGeeXError: the directory is not a shard directory of this version, or holds less than one window.
    """

    def __init__(self, directory: str | Path, sequence_length: int):
        self.directory = Path(directory)
        self.meta = read_json(self.directory / "meta.json")
        if not isinstance(self.meta, dict) or self.meta.get("format_version") != SHARDS_VERSION:
            raise CodeGeeXError(f"{self.directory}: not a token shard directory of version {SHARDS_VERSION}.")
        try:
            dtype = np.dtype(self.meta["dtype"]).newbyteorder("<")
            self.tokens: NDArray[np.unsignedinteger] = np.memmap(self.directory / "tokens.bin", dtype, mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CodeGeeXError(f"{self.directory}: tokens.bin or its description is damaged: {error}.") from None
        if len(self.tokens) != self.meta.get("tokens"):
            raise CodeGeeXError(
                f"{self.directory}: tokens.bin holds {len(self.tokens)} ids, not {self.meta.get('tokens')}."
            )
        self.sequence_length = sequence_length
        segment = self.meta.get("segment", 0)
        if segment not in (0, sequence_length + 1):
            raise CodeGeeXError(
                f"{self.directory} is packed for windows of {segment - 1} tokens, not {sequence_length}."
            )
        # Packed segments stand side by side; windows of a stream overlap by one id.
        self._stride = segment or sequence_length
        self._windows = len(self.tokens) // segment if segment else (len(self.tokens) - 1) // sequence_length
        if self._windows < 1:
            raise CodeGeeXError(f"{self.directory}: fewer than one window of {sequence_length + 1} tokens.")

    def __len__(self) -> int:
        """Windows in one epoch."""
        return self._windows

    def documents(self, index: int) -> range:
        """The numbers of the documents that window `index` has tokens of."""
        starts = np.fromfile(self.directory / "documents.bin", "<u8")
        first, end = index * self._stride, index * self._stride + self.sequence_length + 1
        return range(
            int(np.searchsorted(starts, first, side="right")) - 1, int(np.searchsorted(starts[:-1], end, side="left"))
        )

    def window(self, index: int) -> NDArray[np.int64]:
        """Window `index` of the stream; every id of it is to be foretold."""
        start = index * self._stride
        return self.tokens[start : start + self.sequence_length + 1].astype(np.int64)


def summarize(directory: Path) -> dict[str, Any]:
    """What the shard directories in or below a folder hold together.

    Returns:
        "tokens" (without padding), "documents", "languages" (tokens by key) and "shards" (their paths).

    Raises:
        CodeGeeXError: there is none, or a damaged one.
    """
    languages: Counter[str] = Counter()
    found: dict[str, Any] = {"tokens": 0, "documents": 0, "shards": []}
    for path in sorted(directory.rglob("meta.json")):
        meta = read_json(path)
        if not isinstance(meta, dict) or "tokens_per_language" not in meta:
            continue
        if not {"tokens", "documents"} <= meta.keys():
            raise CodeGeeXError(f"{path} is damaged: it does not say how many tokens and documents there are.")
        found["tokens"] += meta["tokens"] - meta.get("padding", 0)
        found["documents"] += meta["documents"]
        found["shards"].append(str(path.parent))
        languages.update(meta["tokens_per_language"])
    if not found["shards"]:
        raise CodeGeeXError(f"no token shards in {directory}.")
    return found | {"languages": dict(languages)}
