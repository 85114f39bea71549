"""Java: a resident compiler, and a fresh virtual machine for every program."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from codegeex.sandbox.program import Limits, Program
from codegeex.sandbox.toolchains.base import GUEST, Job, Refused, Toolchain, call, identifiers, output_of, tool

_LAUNCHER = """
class Launcher_{name} {{
    public static void main(String[] arguments) throws java.lang.Throwable {{
        java.lang.String outcome = "{secret}";
        try {{
            Main.main(new java.lang.String[0]);
        }} catch (java.lang.AssertionError error) {{
            outcome = "wrong";
            error.printStackTrace();
        }} catch (java.lang.OutOfMemoryError error) {{
            outcome = "memory";
            error.printStackTrace();
        }}
        try (java.io.OutputStream report = new java.io.FileOutputStream("/proc/self/fd/3")) {{
            report.write(outcome.getBytes());
        }}
        if (!outcome.equals("{secret}")) java.lang.Runtime.getRuntime().halt(1);
    }}
}}
"""
_DECLARED = re.compile(r"\b(?:class|interface|enum|record)\s+(\w+)")
_LIBRARY = {
    "ArrayList", "Arrays", "AssertionError", "Boolean", "Character", "Collections", "Double", "Float", "HashMap",
    "HashSet", "Integer", "List", "Long", "Main", "Map", "Math", "Object", "Objects", "Optional", "Set", "String",
}  # fmt: skip
"""Classes that tests rely on; a program's own class of that name would stand in for the library's."""

_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto")


class Java(Toolchain):
    name = "java"
    packages = "apt-get install openjdk-17-jdk-headless"
    runtime_mb = 512
    memory_signs = ("java.lang.OutOfMemoryError", "insufficient memory for the Java Runtime")

    def missing(self) -> str | None:
        return None if tool("javac") and tool("java") else "no Java development kit is installed"

    def version(self) -> str:
        return output_of("javac", "-version")

    def _home(self) -> Path:
        return Path(tool("javac") or "javac").resolve().parent.parent

    def roots(self) -> list[Path]:
        return [self._home(), self.prepared(), *Path("/etc").glob("java*")]

    def prepare(self, folder: Path) -> None:
        call([str(self._home() / "bin/javac"), "-d", str(folder), str(GUEST / "java/Compiler.java")])

    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        if taken := _declared(program.source) & _LIBRARY & (identifiers(program.tests) | {"Main"}):
            raise Refused(f"it declares a class {min(taken)}, which its tests rely on")
        java = str(self._home() / "bin/java")
        name = secrets.token_hex(8)  # which lies open in the work folder
        text = f"{program.source}\n{program.tests}\n{_LAUNCHER.format(secret=secret, name=name)}"
        # The quick just-in-time compiler alone: the optimising one takes as long as it saves, in a minute's work.
        compiler = [java, *_OPTIONS, "-Xmx768m", "-Xss4m", "-cp", str(self.prepared()), "Compiler"]
        command = [java, *_OPTIONS, f"-Xmx{limits.memory_mb}m", "-cp", ".", f"Launcher_{name}"]
        steps = [self._compile_step(limits, compiler, work, kind="resident"), self._run_step(limits, command, work)]
        return Job({"Main.java": text}, steps)


def _declared(source: str) -> set[str]:
    """Names of classes that a program declares, perhaps between comments or in escapes; more rather than fewer."""
    plain = re.sub(r"\\u+([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), source)
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", " ", plain, flags=re.DOTALL)
    return {*_DECLARED.findall(plain), *_DECLARED.findall(bare)}
