"""C++: g++ with a precompiled header.

The tests get an `assert` of their own that no macro or function of the program can stand in for, and end with a call
that reports the secret.
"""

from __future__ import annotations

import re
from pathlib import Path

from codegeex.sandbox.program import Limits, Program
from codegeex.sandbox.toolchains.base import Job, Refused, Toolchain, call, identifiers, output_of, tool

HEADERS = ("stdlib.h", "algorithm", "math.h", "stdio.h", "vector", "string", "climits", "cstring", "iostream")
"""What the programs of HumanEval-X include."""

_FLAGS = ("-std=c++11", "-w")
_MODERN_FLAGS = ("-std=c++17", "-w")
_NOT_MACROS = {"and", "and_eq", "bitand", "bitor", "compl", "defined", "not", "not_eq", "or", "or_eq", "xor", "xor_eq"}
_OWN_MACROS = {"NULL", "INT_MAX", "INT_MIN", "LONG_MAX", "LONG_MIN", "EOF", "M_PI", "NAN", "INFINITY", "CHAR_BIT"}
"""Of the standard library, and wanted by tests."""


class Cpp(Toolchain):
    name = "cpp"
    packages = "apt-get install g++ libboost-dev libssl-dev"
    runtime_mb = 16
    memory_signs = ("std::bad_alloc",)

    def missing(self) -> str | None:
        return None if tool("g++") else "g++ is not installed"

    def version(self) -> str:
        return f"g++ {output_of('g++', '-dumpfullversion')}"

    def prepare(self, folder: Path) -> None:
        header = folder / "common.h"
        header.write_text("".join(f"#include<{name}>\n" for name in HEADERS))
        (folder / "common.h.gch").mkdir()  # the compiler takes from it what fits its flags
        for number, flags in enumerate((_FLAGS, _MODERN_FLAGS)):
            call(["g++", *flags, "-x", "c++-header", str(header), "-o", f"{header}.gch/{number}"])

    def roots(self) -> list[Path]:
        return [self.prepared()]

    def job(self, program: Program, limits: Limits, secret: str, work: Path) -> Job:
        includes = set(re.findall(r'^\s*#\s*include\s*[<"]([^">]+)[">]', program.source, re.MULTILINE))
        # It stands before the program, which must not notice: only where the program includes it all anyway.
        header = ["-include", str(self.prepared() / "common.h")] if includes >= set(HEADERS) else []
        libraries = ["-lcrypto", "-lssl"] if any(name.startswith("openssl/") for name in includes) else []
        linker = ["-fuse-ld=gold"] if tool("ld.gold") else []
        text = f"{program.source}\n{_checked(program.tests, secret)}"
        flags = _MODERN_FLAGS if program.modern else _FLAGS
        command = [tool("g++") or "g++", *flags, *header, "program.cpp", "-o", "program", *linker, *libraries]
        steps = [self._compile_step(limits, command, work), self._run_step(limits, ["./program"], work)]
        return Job({"program.cpp": text}, steps)


def _checked(tests: str, secret: str) -> str:
    """The tests, out of the program's reach."""
    report, fail = f"report_{secret}", f"fail_{secret}"
    # Raw system calls: the program may have functions of its own under the library's names.
    reporter = (
        f"static void {report}(const char *text, unsigned long size) {{\n"
        '  long ignored; asm volatile("syscall" : "=a"(ignored) : "0"(1), "D"(3), "S"(text), "d"(size)'
        ' : "rcx", "r11", "memory");\n'
        "}\n"
        f"static void {fail}(const char *text, unsigned long size) {{\n"
        f'  {report}("wrong", 5);\n'
        '  long ignored; asm volatile("syscall" : "=a"(ignored) : "0"(1), "D"(2), "S"(text), "d"(size)'
        ' : "rcx", "r11", "memory");\n'
        '  for (;;) asm volatile("syscall" : "=a"(ignored) : "0"(231), "D"(1) : "rcx", "r11", "memory");\n'
        "}\n"
    )
    check = (
        "#undef assert\n"
        f'#define assert(...) (static_cast<bool>(__VA_ARGS__) ? void(0) : {fail}("Assertion failed: " #__VA_ARGS__,'
        ' sizeof("Assertion failed: " #__VA_ARGS__) - 1))\n'
    )
    names = identifiers(reporter + check + tests) - _NOT_MACROS - _OWN_MACROS
    undone = "".join(f"#undef {name}\n" for name in sorted(names) if not name.startswith("__"))
    lines = tests.splitlines(keepends=True)
    start = max((n + 1 for n, line in enumerate(lines) if line.lstrip().startswith("#")), default=0)
    head, body = "".join(lines[:start]), "".join(lines[start:])
    opened, brace, rest = body.rpartition("}")
    if not brace:
        raise Refused("the tests have no main function")
    return f'{undone}{reporter}{head}\n{check}{opened};{report}("{secret}", {len(secret)});}}{rest}\n'
