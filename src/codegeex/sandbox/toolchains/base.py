"""What a toolchain is: it turns a program into files and steps, and reads what became of them."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.sandbox.program import Limits, Program, RunnerName

GUEST = Path(__file__).parent.parent / "guest"
"""Files of ours that run inside the container."""

_COMPILER_MEMORY_MB = 4096
_COMPILED_BYTES = 256 << 20
"""A Rust program with its tests is some 4 MB; this only has to end what grows without end."""


@dataclass(frozen=True, slots=True)
class Step:
    """One process of a job; see the supervisor.

    Attributes:
        kind: "exec" starts `argv`, "python" forks the supervisor, "resident" asks a process that stays.
        stdin: at most 64 KiB.
        seconds: of processor time; `wall` seconds on the clock.
        forks: whether it may start processes.
    """

    kind: Literal["exec", "python", "resident"]
    argv: Sequence[str]
    seconds: float
    wall: float
    memory_mb: int
    processes: int
    output_bytes: int
    file_bytes: int
    env: Mapping[str, str]
    forks: bool = False
    stdin: str = ""
    source: str = ""
    tests: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """Files to write, and the steps; all but the last one compile."""

    files: Mapping[str, str]
    steps: Sequence[Step]

    @property
    def wall(self) -> float:
        return sum(step.wall for step in self.steps)

    def message(self) -> dict[str, Any]:
        return {"files": dict(self.files), "steps": [asdict(step) for step in self.steps]}


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """The program is not even compiled.

    Attributes:
        reason: what is wrong with it.
    """

    reason: str


class Toolchain(ABC):
    """Compiles and runs the programs of one language."""

    name: RunnerName
    packages: str
    """What to install where it is missing."""

    runtime_mb = 64
    """Private memory that the language's runtime takes for itself, on top of a program's limit."""

    memory_signs: Collection[str] = ()
    """What a program says when memory runs out."""

    failure_signs: Collection[str] = ()
    """What a test harness says of a failed test; unlike a crash, which it reports as well."""

    @abstractmethod
    def missing(self) -> str | None:
        """What is not there to run it; None if everything is."""

    @abstractmethod
    def version(self) -> str:
        """For reports."""

    @abstractmethod
    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        """How to compile and run a program so that `secret` is reported where its tests have run to their end.

        Args:
            secret: hexadecimal digits, good as part of a name.
            work: the folder that the steps will run in.

        Raises:
            Refused: it is not worth trying.
        """

    def roots(self) -> Collection[Path]:
        """Folders that the steps read, besides /usr."""
        return ()

    def prepared(self) -> Path:
        """The folder of what is made once a machine; made if need be.

        Raises:
            WorkFailed: the tools fail.
        """
        return _prepared(self)

    def prepare(self, folder: Path) -> None:  # noqa: B027 - most have nothing to prepare
        """Fill an empty folder with what makes compiling fast."""

    def _run_step(self, limits: Limits, argv: Sequence[str], work: Path, **more: Any) -> Step:
        return Step(
            kind=more.pop("kind", "exec"),
            argv=argv,
            seconds=limits.seconds,
            wall=limits.seconds * limits.patience,
            memory_mb=limits.memory_mb + self.runtime_mb,
            processes=limits.processes,
            output_bytes=limits.output_bytes,
            file_bytes=limits.disk_mb << 20,
            env=_environment(work) | more.pop("env", {}),
            **more,
        )

    def _compile_step(self, limits: Limits, argv: Sequence[str], work: Path, **more: Any) -> Step:
        return Step(
            kind=more.pop("kind", "exec"),
            argv=argv,
            seconds=limits.compile_seconds,
            wall=limits.compile_seconds * limits.patience,
            memory_mb=_COMPILER_MEMORY_MB,
            processes=limits.processes,
            output_bytes=limits.output_bytes,
            file_bytes=_COMPILED_BYTES,
            env=_environment(work) | more.pop("env", {}),
            forks=True,
            **more,
        )


def _environment(work: Path) -> dict[str, str]:
    """What every process of a job sees; there is no other place to write to."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(work), "TMPDIR": str(work)}


def identifiers(text: str) -> set[str]:
    """The names in a program's text, those in strings left out."""
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r'"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'", '""', text)))


@functools.cache
def tool(name: str) -> str | None:
    """Where a command is."""
    return shutil.which(name)


@functools.cache
def output_of(*command: str) -> str:
    """What a tool of ours prints.

    Raises:
        WorkFailed: it fails.
    """
    return call(command).strip()


def call(command: Sequence[str], cwd: Path | None = None) -> str:
    """Run a tool of ours and give what it says.

    Raises:
        WorkFailed: it fails.
    """
    ended = subprocess.run(command, capture_output=True, timeout=600, cwd=cwd)
    output, errors = ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
    if ended.returncode:
        raise WorkFailed(f"{' '.join(command[:3])} … failed: {(errors or output).strip()[-500:]}")
    return output or errors


def cache_folder() -> Path:
    """Where prepared files are kept: CODEGEEX_CACHE, or codegeex in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("CODEGEEX_CACHE") or os.path.join(home, "codegeex"))


def _prepared(toolchain: Toolchain) -> Path:
    sources = b"".join(path.read_bytes() for path in sorted((GUEST / toolchain.name).rglob("*")) if path.is_file())
    maker = Path(__file__).with_name(f"{toolchain.name}.py").read_bytes()
    key = hashlib.sha256(toolchain.version().encode() + sources + maker).hexdigest()[:16]
    folder = cache_folder() / f"{toolchain.name}-{key}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            toolchain.prepare(made)
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # somebody else may have been faster
                    raise
    except OSError as error:
        raise CodeGeeXError(f"cannot prepare the {toolchain.name} tools in {folder.parent}: {error}.") from None
    return folder
