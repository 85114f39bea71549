"""The sandbox: a few containers, and programs that take turns in them."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import Any, Literal, get_args

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.sandbox import toolchains
from codegeex.sandbox.container import Broken, Container, isolation_problem
from codegeex.sandbox.program import Limits, Program, Result, RunnerName
from codegeex.sandbox.toolchains.base import Refused
from codegeex.sandbox.verdict import judge

Isolation = Literal["auto", "require", "none"]

_GRACE_SECONDS = 30.0
"""What a supervisor may take on top of its steps: to start the first time, and to clean up after a program."""


class Sandbox:
    """Runs programs, several at a time; safe to use from several threads. Close it, or use it in a `with`.

    Args:
        workers: programs at a time; as many as there are processors where it is None.
        limits: of each program.
        isolation: "auto" isolates where the machine can, "require" refuses to go on where it cannot, "none" never does.
        languages: those whose tools the containers can see; all that are installed where it is None.

    Attributes:
        problem: why programs are not isolated; None if they are.

    Raises:
        CodeGeeXError: isolation is required and not to be had.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        limits: Limits | None = None,
        isolation: Isolation = "auto",
        languages: Sequence[RunnerName] | None = None,
    ):
        if workers is not None and workers < 1:
            raise CodeGeeXError(f"{workers} workers can run nothing: 1 is the least.")
        self.problem = "isolation was turned off." if isolation == "none" else isolation_problem()
        if isolation == "require" and self.problem:
            raise CodeGeeXError(f"programs cannot be isolated here: {self.problem}")
        self.workers = workers or len(os.sched_getaffinity(0))
        self.limits = limits or Limits()
        self._languages: list[RunnerName] = [
            name for name in get_args(RunnerName) if languages is None or name in languages
        ]
        self._slots: LifoQueue[_Slot] = LifoQueue()  # the one used last is the warmest
        for number in range(self.workers):
            self._slots.put(_Slot(self, number))
        self._gathering = threading.Lock()

    def run(self, program: Program, limits: Limits | None = None, *, alone: bool = False) -> Result:
        """Run one program; waits for its turn.

        Args:
            program: what to run.
            limits: instead of the sandbox's.
            alone: whether to wait until no other program runs, and keep the others waiting.

        Raises:
            CodeGeeXError: its language's tools are not installed.
        """
        if why := toolchains.missing(program.language):
            raise CodeGeeXError(f"cannot run {program.language}: {why}")
        with self._slot(alone) as slot:
            return slot.run(program, limits or self.limits)

    def describe(self) -> dict[str, Any]:
        """What a report says about how programs were run."""
        return {
            "isolation": "none" if self.problem else "bubblewrap, seccomp",
            "problem": self.problem,
            "workers": self.workers,
            "toolchains": {name: text for name, text in toolchains.versions().items() if name in self._languages},
        }

    def close(self) -> None:
        """End everything that runs."""
        for _ in range(self.workers):
            self._slots.get().close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _slot(self, alone: bool) -> Iterator[_Slot]:
        with ExitStack() as stack:
            if alone:
                stack.enter_context(self._gathering)  # two that gather slots would wait for each other
            taken = []
            for _ in range(self.workers if alone else 1):
                slot = self._slots.get()
                stack.callback(self._slots.put, slot)
                taken.append(slot)
            yield taken[-1]

    def start_container(self, number: int) -> Container:
        """A new container for one slot."""
        roots: list[Path] = []
        for name in self._languages:
            if toolchains.missing(name) is None:
                roots += toolchains.toolchain(name).roots()
        return Container(isolated=self.problem is None, roots=roots, disk_mb=self.limits.disk_mb, number=number)


class _Slot:
    """A place where one program at a time runs; its container starts with the first one."""

    def __init__(self, sandbox: Sandbox, number: int):
        self._sandbox, self._number = sandbox, number
        self._container: Container | None = None

    def run(self, program: Program, limits: Limits) -> Result:
        try:
            try:
                return self._run(program, limits)
            except Broken:
                self.close()
            try:  # whatever broke the container may have been the program before
                return self._run(program, limits)
            except Broken as error:
                self.close()
                return Result("sandbox_error", "run", 0.0, 0.0, str(error))
        except BaseException:
            self.close()  # the answer that nobody waited for would be taken for the next program's
            raise

    def _run(self, program: Program, limits: Limits) -> Result:
        if self._container is None:
            try:
                self._container = self._sandbox.start_container(self._number)
            except OSError as error:
                raise WorkFailed(f"the sandbox does not start: {error}.") from None
        tools = toolchains.toolchain(program.language)
        secret = secrets.token_hex(16)
        try:
            job = tools.job(program, limits, secret, self._container.work)
        except Refused as refusal:
            return Result("compile_error", "compile", 0.0, 0.0, refusal.reason)
        outcomes = self._container.run(job.message(), job.wall + _GRACE_SECONDS)
        return judge(program, tools, outcomes, len(job.steps), secret)

    def close(self) -> None:
        if self._container:
            self._container.close()
            self._container = None
