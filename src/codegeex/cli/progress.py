"""Progress of long work: a bar on a terminal, plain lines elsewhere. Always on stderr, so that output stays clean."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_SECONDS = 5.0
"""Time between two lines where there is no terminal."""


@contextmanager
def byte_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to be called with (bytes done, bytes in total)."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(label, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    yield _lines(lambda done, total: f"{label}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")


@contextmanager
def count_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to be called with (things done, things in total)."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(label, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    yield _lines(lambda done, total: f"{label}: {done} of {total}")


def _lines(text: Callable[[int, int], str]) -> Callable[[int, int], None]:
    """Prints a line now and then."""
    last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            print(text(done, total), file=sys.stderr)

    return line
