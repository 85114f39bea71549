"""From what a model wrote to a program: where generation stops, what is cut away, what is put around it.

The rules are the original's, blind to strings and comments, so that scores can be compared with the published ones.
"""

from __future__ import annotations

import re

from codegeex.engine.stops import StopRule
from codegeex.evaluation.humanevalx import Problem
from codegeex.evaluation.repairs import Repairs, repaired_go_source, repaired_tests
from codegeex.sandbox.program import Program, RunnerName

_PYTHON_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\nassert")
_CPP_HEADERS = ("stdlib.h", "algorithm", "math.h", "stdio.h", "vector", "string", "climits", "cstring", "iostream")
_GO_PACKAGES = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")
_PYTHON_IMPORTS = """import math
import re
import sys
import copy
import datetime
import itertools
import collections
import heapq
import statistics
import functools
import hashlib
import numpy
import numpy as np
import string
from typing import *
from collections import *
"""


class CompletionRule(StopRule):
    """Ends a sample as the original does: a stop rule of the engine.

    Args:
        language: of the program.
    """

    def __init__(self, language: str):
        self._language, self._text = language, ""

    def feed(self, text: str) -> int | None:
        """Take more text; where it all ends, counted from its beginning, or None."""
        start, self._text = len(self._text), self._text + text
        if self._language == "python":
            return _python_end(self._text)
        depth = 1 + self._text.count("{", 0, start) - self._text.count("}", 0, start)
        for place in range(start, len(self._text)):
            depth += {"{": 1, "}": -1}.get(self._text[place], 0)
            if depth == 0 and self._text[place] == "}":
                return place + 1
        return None


def _python_end(text: str) -> int | None:
    """Where the first line begins that is not indented; the very first one counts too."""
    match = re.search(r"(?:\A|\n)(?=[^\s])", text)
    return match.start() if match else None


def clean(text: str, language: str) -> str:
    """The completion without what a model wrote after it."""
    if language == "python":
        for word in _PYTHON_STOPS:
            text = text[: text.rfind(word)] if word in text else text
        return text
    if language == "java":
        if "public static void main" in text:
            text = text[: text.index("public static void main")] + "}"
        if "}" in text:
            text = text[: text.rindex("}") + 1]
        return f"{text}\n}}" if text.count("{") + 1 == text.count("}") else text
    if language == "go":
        for mark in ("\n//", "\nfunc main("):
            text = text[: text.rfind(mark)] if mark in text else text
    return text[: text.rindex("}") + 1] if "}" in text else text


def assemble(problem: Problem, code: str, repairs: Repairs) -> Program:
    """The program that decides about a completion.

    Args:
        code: a completion, cleaned, or the reference's.
        repairs: which faults of the benchmark to mend.
    """
    language: RunnerName = problem.language  # type: ignore[assignment]
    tests = repaired_tests(problem) if repairs.data else problem.tests
    if language == "python":
        source = f"{_PYTHON_IMPORTS}\n{problem.prompt}{first_block(code)}\n"
        return Program(language, source, checked_values(tests) if repairs.honest else tests)
    if language == "cpp":
        missing = (name for name in _CPP_HEADERS if f"#include<{name}>" not in problem.prompt)
        includes = "".join(f"#include<{name}>\n" for name in missing)
        return Program(language, f"{includes}{problem.prompt}{code}\n", tests)
    if language == "go":
        if repairs.data:
            return Program(language, repaired_go_source(problem, code), tests, vet=not repairs.honest)
        return Program(language, _go_source(problem, code), tests, vet=not repairs.honest)
    if language == "rust":
        return Program(language, f"\nfn main(){{ \n }} \n{problem.declaration}{problem.prompt}{code}", tests)
    return Program(language, f"{problem.prompt}{code}\n", tests, silent=language == "javascript" and not repairs.honest)


def first_block(code: str) -> str:
    """A Python completion up to its first line that is not indented."""
    return code[: _python_end(code)]


def _go_source(problem: Problem, code: str) -> str:
    """As the original puts it together; it sees neither what the tests need nor what is imported in vain."""
    wanted = [name for name in _GO_PACKAGES if f"{name.rpartition('/')[2]}." in code and name not in problem.test_setup]
    block = "import (\n" + "".join(f'    "{name}"\n' for name in wanted) + ")\n" if wanted else ""
    return f"{problem.test_setup}\n{block}{problem.prompt.replace(problem.imports, '', 1)}{code}\n"


_PLAIN_VALUES = """
import collections as _c, datetime as _d, decimal as _e, fractions as _f, numpy as _n

_KINDS = (int, float, complex, str, bytes, bool, type(None), list, tuple, dict, set, frozenset, range, _c.deque,
          _c.Counter, _c.defaultdict, _c.OrderedDict, _e.Decimal, _f.Fraction, _d.date, _d.datetime, _d.timedelta,
          _n.ndarray, _n.bool_, _n.str_, _n.int32, _n.int64, _n.uint64, _n.float32, _n.float64)

def _plain(value, depth=0):
    kind = type(value)
    if not [known for known in _KINDS if known is kind]:
        raise AssertionError("an answer of a class that is no plain value: " + kind.__name__)
    if kind in (list, tuple, set, frozenset, dict) and depth < 20:
        for part in value.items() if kind is dict else value:
            _plain(part, depth + 1)
    return value
"""
"""Lets only plain values answer: a class of the program's own may call itself equal to anything."""


def checked_values(tests: str) -> str:
    """Python tests whose candidate answers with plain values."""
    call = r"^check\((\w+)\)[ \t]*$"
    return _PLAIN_VALUES + re.sub(call, r"check(lambda *a, **k: _plain(\1(*a, **k)))", tests, flags=re.MULTILINE)
