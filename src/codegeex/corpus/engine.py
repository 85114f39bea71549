"""Running Daft dataframes: on this machine or a Ray cluster, from Parquet to Parquet, in an order that never changes.

Every row of a build has an `id` that says where it stands. However many workers write the files of a stage, and in
whatever order, `ordered` reads them back by id, with one batch of each file in memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import daft
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

    Rows in a file stand by id already, as stages keep the order in which they read. Files that overlap are merged.
    """
    files = []
    for path in sorted(directory.glob("*.parquet")):
        ids = parquet.read_table(path, columns=["id"])["id"].combine_chunks()
        if len(ids):
            is_sorted = bool(pa.compute.all(pa.compute.less_equal(ids[:-1], ids[1:])).as_py() in (True, None))
            files.append((ids[0].as_py() if is_sorted else pa.compute.min(ids).as_py(), path, is_sorted))
    files.sort(key=lambda file: file[:2])
    chosen = list(dict.fromkeys(["id", *columns])) if columns else None

    def rows(path: Path, is_sorted: bool) -> Iterator[dict[str, Any]]:
        if not is_sorted:
            yield from parquet.read_table(path, columns=chosen).sort_by("id").to_pylist()
            return
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(READ_ROWS, columns=chosen):
                yield from batch.to_pylist()

    # Files are opened when their first row is due.
    waiting: list[tuple[int, int, dict[str, Any], Iterator[dict[str, Any]]]] = []
    for number, (first, path, is_sorted) in enumerate(files):
        yield from _until(waiting, first)
        stream = rows(path, is_sorted)
        heapq.heappush(waiting, ((row := next(stream))["id"], number, row, stream))
    yield from _until(waiting, None)


def _until(
    waiting: list[tuple[int, int, dict[str, Any], Iterator[dict[str, Any]]]], limit: int | None
) -> Iterator[dict[str, Any]]:
    """The rows below an id of the files that are open; of those with the same id, in the order of the files."""
    while waiting and (limit is None or waiting[0][0] < limit):
        _, number, row, stream = waiting[0]
        yield row
        following = next(stream, None)
        if following is None:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (following["id"], number, following, stream))
