"""Go: the compiler and the linker called directly, with a stand-in for the one package that tests import."""

from __future__ import annotations

import functools
import json
import re
import secrets
import shutil
from pathlib import Path

from codegeex.sandbox.program import Limits, Program
from codegeex.sandbox.toolchains.base import GUEST, Job, Refused, Toolchain, call, output_of, tool

_ASSERT = "github.com/stretchr/testify/assert"
_LANGUAGE = "go1.18"
"""The version that the original's module file asks for."""

_VETTED = ("atomic", "bool", "buildtags", "errorsas", "ifaceassert", "nilfunc", "printf", "stringintconv")
"""What `go test` vets (go help test)."""

# The names are the run's own: a program's declarations must not meet them. The harness runs tests in order and goes on
# after a failed one: the last one reports, unless one has failed. The exit status, which a program may change, does not
# decide alone.
_MAIN = """package main

import (
    os_{secret} "os"
    testing_{secret} "testing"{import_program}
)

var failed_{secret} bool

func watched_{secret}(test func(*testing_{secret}.T)) func(*testing_{secret}.T) {{
    return func(t *testing_{secret}.T) {{
        defer func() {{ failed_{secret} = failed_{secret} || t.Failed() }}()
        test(t)
    }}
}}

func report_{secret}(*testing_{secret}.T) {{
    if failed_{secret} {{
        return
    }}
    os_{secret}.NewFile(3, "report").WriteString("{secret}")
}}

func main() {{
    all := func(string, string) (bool, error) {{ return true, nil }}
    tests := []testing_{secret}.InternalTest{{ {tests}, {{"report", report_{secret}}} }}
    testing_{secret}.Main(all, tests, nil, nil)
}}
"""


class Go(Toolchain):
    name = "go"
    packages = "apt-get install golang-go"
    runtime_mb = 256
    failure_signs = ("\nFAIL\n",)
    memory_signs = ("runtime: out of memory", "cannot allocate memory", "runtime: cannot allocate")

    def missing(self) -> str | None:
        return None if tool("go") else "go is not installed"

    def version(self) -> str:
        return " ".join(output_of("go", "version").split()[2:])

    def _tool(self, name: str) -> str:
        return str(Path(output_of("go", "env", "GOTOOLDIR")).resolve() / name)

    def roots(self) -> list[Path]:
        return [Path(output_of("go", "env", "GOROOT")).resolve(), self.prepared()]

    def prepare(self, folder: Path) -> None:
        root = Path(output_of("go", "env", "GOROOT")).resolve()
        listing = call(["go", "list", "-export", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}", "std"])
        packages = {name: Path(path).resolve() for name, path in (line.split("=", 1) for line in listing.split())}
        for number, (name, path) in enumerate(packages.items()):
            if not path.is_relative_to(root):  # it lies in the go command's cache, which may be emptied
                packages[name] = Path(f"{number}.a")
                shutil.copyfile(path, folder / packages[name])
        packages[_ASSERT] = Path("assert.a")
        (folder / "packages.json").write_text(json.dumps({name: str(path) for name, path in packages.items()}))
        config = folder / "packages.cfg"
        config.write_text(_import_config({name: folder / path for name, path in packages.items()}))
        command = [self._tool("compile"), "-p", _ASSERT, "-importcfg", str(config), "-pack", "-complete"]
        call([*command, "-o", str(folder / "assert.a"), str(GUEST / "go/assert/assert.go")])

    @functools.cached_property
    def _packages(self) -> dict[str, Path]:
        folder = self.prepared()
        known = json.loads((folder / "packages.json").read_text())
        return {name: folder / path for name, path in known.items()}  # an absolute path stays as it is

    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        names = re.findall(r"^func\s+(Test\w*)\s*\(\s*\w+\s+\*testing\.T\s*\)", program.tests, re.MULTILINE)
        if not names:
            raise Refused("the tests have no function TestX(t *testing.T)")
        # A test may stand beside a main function, which go test compiles as a package of its own.
        apart = re.search(r"\bfunc\s+main\s*\(", program.source) is not None
        place = "program_test" if apart else "main"
        package = "program." if apart else ""
        main = _MAIN.format(
            secret=secret,
            import_program='\n    program "program_test"' if apart else "",
            tests=", ".join(f'{{"{name}", watched_{secret}({package}{name})}}' for name in names),
        )
        other = f"main_{secrets.token_hex(8)}.go"
        files = {
            "main_test.go": f"{program.source}\n{program.tests}\n",
            other: main,
            "packages.cfg": _import_config(self._packages),
        }
        compiler = [self._tool("compile"), "-importcfg", "packages.cfg", "-pack", "-complete", f"-lang={_LANGUAGE}"]
        commands = []
        if apart:
            files["main.cfg"] = _import_config({**self._packages, place: work / "program.a"})
            commands.append([*compiler, "-p", place, "-o", "program.a", "main_test.go"])
            compiler[2] = "main.cfg"
            commands.append([*compiler, "-p", "main", "-o", "main.a", other])
        else:
            commands.append([*compiler, "-p", "main", "-o", "main.a", "main_test.go", other])
        if program.vet:
            files["vet.cfg"] = self._vet_config(work)
            commands.append([self._tool("vet"), *(f"-{name}" for name in _VETTED), "vet.cfg"])
        config = "main.cfg" if apart else "packages.cfg"
        commands.append([self._tool("link"), "-importcfg", config, "-s", "-w", "-o", "program", "main.a"])
        steps = [self._compile_step(limits, command, work) for command in commands]
        return Job(files, [*steps, self._run_step(limits, ["./program"], work)])

    def _vet_config(self, work: Path) -> str:
        """What the go command tells the vet tool (golang.org/x/tools/go/analysis/unitchecker, Config)."""
        return json.dumps(
            {
                "ID": "program",
                "Compiler": "gc",
                "Dir": str(work),
                "ImportPath": "command-line-arguments",
                "GoFiles": [str(work / "main_test.go")],
                "ImportMap": {name: name for name in self._packages},
                "PackageFile": {name: str(path) for name, path in self._packages.items()},
                "VetxOutput": str(work / "vet.out"),
            }
        )


def _import_config(packages: dict[str, Path]) -> str:
    return "".join(f"packagefile {name}={path}\n" for name, path in packages.items())
