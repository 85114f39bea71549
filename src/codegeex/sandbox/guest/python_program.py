"""Runs a Python program in a process that was forked for it."""

from __future__ import annotations

import os
import sys
import traceback
import types

MODULES = (
    "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "hashlib", "heapq", "itertools",
    "math", "numpy", "operator", "random", "re", "statistics", "string", "typing",
)  # fmt: skip
"""What programs of benchmarks import; a forked process finds it imported."""

REPORT = 3
"""The file that a program's outcome goes to, in every language."""


def preload() -> None:
    """Import `MODULES`."""
    for name in MODULES:
        __import__(name)


def main(source: str, tests: str, secret: str) -> int:
    """Run the tests of a program; the exit status of its process."""
    module = types.ModuleType("program")
    sys.modules["program"] = module
    sys.argv = ["program.py"]
    write, secret_bytes = os.write, secret.encode()
    try:
        code, check = compile(source, "program.py", "exec"), compile(tests, "tests.py", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        write(REPORT, b"compile_error")
        traceback.print_exception(error, limit=0)
        return 1
    try:
        exec(code, module.__dict__)
        exec(check, module.__dict__)
    except BaseException as error:
        write(REPORT, _verdict(error))
        _describe(error)
        return 1
    write(REPORT, secret_bytes)
    sys.stdout.flush()
    return 0


def _verdict(error: BaseException) -> bytes:
    if isinstance(error, AssertionError):
        return b"wrong"
    return b"memory" if isinstance(error, MemoryError) else b"runtime_error"


def _describe(error: BaseException) -> None:
    """Print the error, without the lines of this file."""
    if isinstance(error, SystemExit):
        print(f"SystemExit: {error.code}: the program ended before its tests did", file=sys.stderr)
        return
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    try:
        traceback.print_exception(type(error), error, trace, limit=-3)
    except Exception:  # a program may bring an error that cannot be printed
        print(type(error).__name__, file=sys.stderr)
