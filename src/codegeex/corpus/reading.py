"""The first stage: every source's files as rows of Parquet, one file for each archive, folder or table.

Daft hands out the sources, to the cores of a machine or of a cluster; a worker writes what it reads as it goes: a
folder, a zip or a table may be larger than memory. A source that is damaged gives one row that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
from daft import DataType, Series, col
from pyarrow import parquet

from codegeex.corpus import engine, readers
from codegeex.corpus.sources import Document, Source
from codegeex.corpus.work import Report
from codegeex.errors import CodeGeeXError, WorkFailed

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "text": pa.large_string(),
        "language": pa.string(),
        "path": pa.string(),
        "source": pa.string(),
        "licence": pa.string(),
        "stars": pa.int64(),
        "size": pa.int64(),
        "version": pa.string(),
        "sha256": pa.string(),
        "named": pa.bool_(),
        "problem": pa.string(),
    }
)
"""Rows of a file, as `sources.Document`; `id` is the number of its source and, below that, its own."""

assert [field.name for field in fields(Document)] == SCHEMA.names[1:]

SOURCE_BITS = 32
"""Of an `id` belong to the file: four billion in one source."""

GROUP_ROWS = 2_048
"""Most rows of a row group; its bytes are limited as well."""

_RESULT = DataType.struct({"files": DataType.int64(), "bytes": DataType.int64(), "damage": DataType.string()})


def read_sources(places: Sequence[tuple[Source, str]], folder: Path, progress: engine.Progress | None) -> Report:
    """Write the files of all sources into `folder`.

    Returns:
        The stage's report; `damaged` lists the sources that could not be read.
    """

    @daft.func.batch(return_dtype=_RESULT, use_process=False, batch_size=1)
    def read(number: Series) -> list[dict[str, Any]]:
        return [_read_one(index, places[index], folder) for index in number.to_pylist()]

    frame = engine.spread(daft.from_pydict({"number": list(range(len(places)))}), len(places))
    results = engine.collect(frame.select(read(col("number")).alias("result")), len(places), progress)
    found = [row["result"] for row in results.to_pylist()]
    damaged = [one["damage"] for one in found if one["damage"]]
    return {
        "kept": sum(one["files"] for one in found),
        "dropped": {"damaged source": len(damaged)} if damaged else {},
        "megabytes": sum(one["bytes"] for one in found) / 1e6,
        "damaged": damaged,
    }


def _read_one(number: int, origin: tuple[Source, str], folder: Path) -> dict[str, Any]:
    """Write the rows of one source; what was read before damage is met does not stay."""
    source, place = origin
    file = folder / f"{number:06}.parquet"
    try:
        return _write(file, number, readers.read(place, source))
    except WorkFailed as error:
        lost = Document(None, "", place.rpartition("/")[2], source.name, source.licence, problem="damaged source")
        return _write(file, number, iter([lost])) | {"files": 0, "damage": str(error)}
    except CodeGeeXError as error:  # bad input, which ends the build: plain data comes back from any worker
        raise CodeGeeXError(str(error)) from None


def _write(file: Path, number: int, documents: Iterator[Document]) -> dict[str, Any]:
    files = size = waiting = 0
    rows: list[dict[str, Any]] = []
    with parquet.ParquetWriter(file, SCHEMA, compression=engine.COMPRESSION) as writer:

        def flush() -> None:
            nonlocal waiting
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            rows.clear()
            waiting = 0

        for document in documents:
            rows.append({"id": (number << SOURCE_BITS) + files} | asdict(document))
            files += 1
            length = len(document.text or "")
            size += length
            waiting += length
            if waiting >= engine.ROW_GROUP_BYTES or len(rows) >= GROUP_ROWS:
                flush()
        flush()
    return {"files": files, "bytes": size, "damage": None}
