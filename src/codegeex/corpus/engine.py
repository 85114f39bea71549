"""Running Daft dataframes: on this machine or a Ray cluster, from Parquet to Parquet, in an order that never changes.

Every row of a build has an `id` that says where it stands. However many workers write the files of a stage, and in
whatever order, `ordered` reads them back by id, and holds a small part of them in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pyarrow as pa
from daft.exceptions import DaftCoreException
from daft.subscribers import Subscriber
from daft.subscribers.events import Stats
from pyarrow import parquet

from codegeex.errors import CodeGeeXError, WorkFailed

ROW_GROUP_BYTES = 16_000_000
"""Of a Parquet file, uncompressed: what one worker holds at a time, a few times over."""

COMPRESSION = "zstd"

READ_ROWS = 512
"""Of a file, read together by `ordered`."""

BUCKET_BYTES, MOST_BUCKETS = 64_000_000, 256
"""Of rows that `ordered` sorts together in memory, and files that it writes at once."""

Progress = Callable[[int, int], None]
"""Called with rows done, and rows in total."""


def use_ray(address: str) -> None:
    """Run all dataframes of this process on a Ray cluster; its workers need this package and the folders of the build.

    Args:
        address: of the cluster, as `ray.init` takes it: "auto", "host:port", "ray://host:port", or "local".

    Raises:
        CodeGeeXError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError:
        raise CodeGeeXError("--ray needs Ray: pip install 'codegeex[ray]'.") from None
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
        daft.set_runner_ray(noop_if_initialized=True)
    except (ConnectionError, RuntimeError, ValueError, DaftCoreException) as error:
        raise CodeGeeXError(f"cannot use the Ray cluster {address!r}: {first_line(error)}") from None


class _Watcher(Subscriber):
    """Tells how many rows have reached the end of a query."""

    def __init__(self, total: int, progress: Progress):
        self._total, self._progress = total, progress

    def on_event(self, event: Any) -> None:
        if isinstance(event, Stats) and event.stats:
            last = event.stats[max(event.stats)]
            # What is written goes out as names of files.
            rows = last.get("rows.in" if "rows.written" in last else "rows.out", (None, 0))
            self._progress(int(rows[1]), self._total)


@contextmanager
def _watched(total: int, progress: Progress | None) -> Iterator[None]:
    if progress is None:
        yield
        return
    with daft.with_subscriber("codegeex", _Watcher(total, progress)):
        yield


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Errors of Daft and Arrow as one line: our own that were raised in a worker, the system's, and theirs."""
    try:
        yield
    except CodeGeeXError:
        raise
    except OSError as error:
        raise WorkFailed(f"{what}: {error.strerror or first_line(error)}") from error
    except (DaftCoreException, pa.ArrowException, RuntimeError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, CodeGeeXError):
                raise type(cause)(str(cause)) from None
            if isinstance(cause, OSError):
                raise WorkFailed(f"{what}: {cause.strerror or first_line(cause)}") from error
            cause = cause.__cause__ or cause.__context__
        raise WorkFailed(f"{what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What an error says, without what follows."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def write(frame: daft.DataFrame, directory: Path, total: int = 0, progress: Progress | None = None) -> None:
    """Compute `frame` and write its rows into Parquet files in `directory`.

    Args:
        total: rows that are read, for the progress.
    """
    limits = daft.execution_config_ctx(maintain_order=True, parquet_target_row_group_size=ROW_GROUP_BYTES)
    with plain_errors("cannot write " + str(directory)), limits, _watched(total, progress):
        frame.write_parquet(str(directory), compression=COMPRESSION)


def collect(frame: daft.DataFrame, total: int = 0, progress: Progress | None = None) -> pa.Table:
    """Compute `frame`, whose result is small, as an Arrow table."""
    with plain_errors("the corpus stage failed"), _watched(total, progress):
        return frame.to_arrow()


def spread(frame: daft.DataFrame, parts: int) -> daft.DataFrame:
    """The rows of `frame` in so many parts, which workers of a cluster share; cores of one machine share rows."""
    return frame.into_partitions(parts) if daft.get_or_infer_runner_type() == "ray" else frame


def read(directory: Path, columns: Sequence[str] = ()) -> daft.DataFrame:
    """The rows of a folder of Parquet files."""
    with plain_errors("cannot read " + str(directory)):
        frame = daft.read_parquet(f"{directory}/*.parquet")
        return frame.select(*columns) if columns else frame


def ordered(directory: Path, columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a folder of Parquet files by `id`, whatever the order in which they were written.

    Workers take files as they come, so what they write is in order by pieces only. The rows are first shared out to
    buckets of neighbouring ids, on disk; then one bucket after the other is sorted in memory.
    """
    chosen = list(dict.fromkeys(["id", *columns])) if columns else None
    paths = sorted(directory.glob("*.parquet"))
    ids = [parquet.read_table(path, columns=["id"])["id"].to_numpy() for path in paths]
    paths = [path for _, path in sorted(zip(ids, paths, strict=True), key=lambda one: one[0][:1].tolist())]
    every = np.concatenate([np.empty(0, np.int64), *sorted(ids, key=lambda one: one[:1].tolist())])
    if (every[1:] >= every[:-1]).all():
        for path in paths:
            yield from _rows(path, chosen)
        return
    size = sum(_unpacked(path, chosen) for path in paths)
    buckets = min(MOST_BUCKETS, 1 + size // BUCKET_BYTES)
    bounds = np.sort(every)[np.arange(1, buckets) * len(every) // buckets]
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".", suffix=".partial") as folder:
        for path in _shared_out(paths, chosen, bounds, Path(folder)):
            yield from parquet.read_table(path).sort_by("id").to_pylist()
            path.unlink()


def _rows(path: Path, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(READ_ROWS, columns=columns):
            yield from batch.to_pylist()


def _unpacked(path: Path, columns: list[str] | None) -> int:
    """Bytes of some columns of a file, as they are in memory."""
    meta = parquet.read_metadata(path)
    groups = (meta.row_group(number) for number in range(meta.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if columns is None or chunk.path_in_schema.partition(".")[0] in columns
    )


def _shared_out(paths: Sequence[Path], columns: list[str] | None, bounds: Any, folder: Path) -> list[Path]:
    """Files of the rows below each bound and not below the one before it, the last one of those that are left."""
    files = [folder / f"{number:04}.parquet" for number in range(len(bounds) + 1)]
    with ExitStack() as stack:
        writers: list[parquet.ParquetWriter] = []
        for path in paths:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(READ_ROWS * 8, columns=columns):
                    if not writers:
                        writers = [
                            stack.enter_context(parquet.ParquetWriter(one, batch.schema, compression=COMPRESSION))
                            for one in files
                        ]
                    places = np.searchsorted(bounds, batch["id"].to_numpy(), side="right")
                    for number in np.unique(places).tolist():
                        writers[number].write_batch(batch.filter(pa.array(places == number)))
    return files
