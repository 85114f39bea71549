"""JavaScript: node, with a launcher that counts failed assertions."""

from __future__ import annotations

from pathlib import Path

from codegeex.sandbox.program import Limits, Program
from codegeex.sandbox.toolchains.base import GUEST, Job, Toolchain, output_of, tool

_LAUNCHER = GUEST / "javascript/launcher.js"


class JavaScript(Toolchain):
    name = "javascript"
    packages = "apt-get install nodejs"
    runtime_mb = 512
    memory_signs = ("JavaScript heap out of memory", "Array buffer allocation failed")

    def missing(self) -> str | None:
        return None if tool("node") else "node is not installed"

    def version(self) -> str:
        return f"node {output_of('node', '--version')}"

    def roots(self) -> list[Path]:
        return [Path(tool("node") or "node").resolve()]

    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        node = str(Path(tool("node") or "node").resolve())
        command = [node, f"--max-old-space-size={limits.memory_mb}", str(_LAUNCHER)]
        files = {"program.js": program.source, "tests.js": program.tests}
        return Job(files, [self._run_step(limits, command, work, stdin=secret)])
