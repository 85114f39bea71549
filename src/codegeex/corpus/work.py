"""A build in progress: one folder for each stage that has finished, so that a build that was killed goes on from there.

The folder lies beside the output (`OUTPUT.build`) and is removed at the end. Each stage writes a folder of its own,
which gets its name when it is complete; `stage.json` in it holds what the report says of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codegeex.config import read_json
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.files import atomic_directory, write_text

Report = dict[str, Any]
Say = Callable[[str], None]


class Work:
    """The stages of one build.

    Args:
        folder: where they are kept.
        inputs: everything that the result depends on, as JSON; stages made from others are started again.
        say: told a line about each stage.
    """

    def __init__(self, folder: Path, inputs: Any, say: Say):
        self.folder, self._say = folder, say
        self.stages: list[Report] = []
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        mark = folder / "inputs"
        known = mark.read_text() if mark.exists() else ""
        if known != digest:
            if known:
                say("the sources or settings are others than those of the unfinished build: it starts again")
            _empty(folder)  # without a mark, it was being emptied when something ended it
        for leftover in folder.glob(".*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        write_text(mark, digest)

    def stage(self, name: str, make: Callable[[Path], Report]) -> Path:
        """The folder of a stage, made unless it is there.

        Args:
            name: of the stage, in words.
            make: fills a folder, and returns what to report: `kept`, `dropped` by reason, and more.
        """
        folder = self.folder / name.replace(" ", "-")
        if folder.exists():
            report = read_json(folder / "stage.json")
            self._say(f"{name}: finished before")
        else:
            began = time.monotonic()
            with atomic_directory(folder) as partial:
                made = make(partial)
                report = {"name": name, **made, "seconds": round(time.monotonic() - began, 2)}
                (partial / "stage.json").write_text(json.dumps(report))
            self._say(line(report))
        self.stages.append(report)
        return folder


def line(report: Report) -> str:
    """What is said of a stage that has finished."""
    dropped = sum(report["dropped"].values())
    speed = f", {report['megabytes'] / max(report['seconds'], 0.01):,.0f} MB/s" if report.get("megabytes") else ""
    return f"{report['name']}: {report['kept']:,} kept, {dropped:,} dropped, {report['seconds']:.1f} s{speed}"


@contextmanager
def opened(folder: Path, inputs: Any, say: Say) -> Iterator[Work]:
    """The work in a folder, which is made if needed, for this process alone; removed when the block ends well.

    Raises:
        CodeGeeXError: another process is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CodeGeeXError(f"another build is at work in {folder}.") from None
        try:
            yield Work(folder, inputs, say)
        except CodeGeeXError as error:
            if not isinstance(error, WorkFailed):  # another try with the same input would fail as well
                _empty(folder)
                shutil.rmtree(folder, ignore_errors=True)
            raise
        _empty(folder)
        shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    """Remove all stages, the mark before them: half of them are not taken for finished ones."""
    (folder / "inputs").unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()
