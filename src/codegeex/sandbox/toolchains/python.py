"""Python: a process forked from one that has the usual modules imported."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np

from codegeex.sandbox.program import Limits, Program
from codegeex.sandbox.toolchains.base import Job, Toolchain


class Python(Toolchain):
    name = "python"
    packages = "it is the one that runs codegeex"
    runtime_mb = 16

    def missing(self) -> str | None:
        return None

    def version(self) -> str:
        return f"Python {platform.python_version()}, numpy {np.__version__}"

    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        run = self._run_step(limits, (), work, kind="python", source=program.source, tests=program.tests, secret=secret)
        return Job({}, [run])
