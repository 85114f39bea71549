"""The provenance ledger: from a window of tokens back to its files, with repository, licence and hash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from codegeex.corpus import engine
from codegeex.corpus.cleaning import CARRIED
from codegeex.errors import CodeGeeXError
from codegeex.shards import Shards

FILE = "ledger.parquet"
"""In a shard directory: a row for each document, in the order of `documents.bin`."""

SCHEMA = pa.schema({name: pa.string() for name in CARRIED})

GROUP_ROWS = 16_384
"""Rows written together."""


class Ledger:
    """Where the documents of a shard directory come from, written as they are."""

    def __init__(self, writer: parquet.ParquetWriter):
        self._writer = writer
        self._rows: list[dict[str, Any]] = []

    def add(self, origin: dict[str, Any]) -> None:
        """The next document's origin."""
        self._rows.append(origin)
        if len(self._rows) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._writer.write_table(pa.Table.from_pylist(self._rows, SCHEMA))
        self._rows = []


@contextmanager
def create(directory: Path) -> Iterator[Ledger]:
    """The ledger of a new shard directory."""
    with parquet.ParquetWriter(directory / FILE, SCHEMA, compression=engine.COMPRESSION) as writer:
        ledger = Ledger(writer)
        yield ledger
        ledger.flush()


def origins(directory: Path, window: int, sequence_length: int) -> list[dict[str, Any]]:
    """What window number `window` of a shard directory was made of: a dictionary of `CARRIED` for each document.

    Raises:
        CodeGeeXError: no such window, or no ledger.
    """
    shards = Shards(directory, sequence_length)
    if not 0 <= window < len(shards):
        raise CodeGeeXError(f"{directory} has windows 0 to {len(shards) - 1}, no {window}.")
    if not (directory / FILE).is_file():
        raise CodeGeeXError(f"{directory} has no {FILE}: it was not made by codegeex corpus build.")
    documents = shards.documents(window)
    try:
        table = parquet.read_table(directory / FILE)
    except (OSError, pa.ArrowException) as error:
        raise CodeGeeXError(f"{directory / FILE} is damaged: {error}") from None
    rows: list[dict[str, Any]] = table.slice(documents.start, len(documents)).to_pylist()
    return rows
