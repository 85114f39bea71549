"""Problems of our own in the format of HumanEval-X, and the published ones where they are at hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

PUBLISHED = Path(__file__).parents[3] / "shared/data/humaneval-x"

PROBLEMS = {
    "python": [
        {
            "task_id": "Python/0",
            "prompt": 'def double(x: int) -> int:\n    """ Twice x.\n    >>> double(2)\n    4\n    """\n',
            "declaration": "def double(x: int) -> int:\n",
            "canonical_solution": "    return x + x\n",
            "test": "\n\nMETADATA = {}\n\n\ndef check(double):\n    assert double(2) == 4\n"
            "    assert double(-1) == -2\n\ncheck(double)\n",
        },
        {
            "task_id": "Python/1",
            "prompt": 'def is_even(x: int) -> bool:\n    """ Whether x is even. """\n',
            "declaration": "def is_even(x: int) -> bool:\n",
            "canonical_solution": "    return x % 2 == 0\n",
            "test": "\n\ndef check(is_even):\n    assert is_even(2) is True\n    assert is_even(3) is False\n\n"
            "check(is_even)\n",
        },
    ],
    "cpp": [
        {
            "task_id": "CPP/0",
            "prompt": "/*\nTwice x.\n*/\n#include<string>\nusing namespace std;\nint twice(int x){\n",
            "declaration": "#include<string>\nusing namespace std;\nint twice(int x){\n",
            "canonical_solution": "    return x + x;\n}\n",
            "test": "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (twice(2) == 4);\n}\n",
        },
    ],
    "js": [
        {
            "task_id": "JavaScript/0",
            "prompt": "/* Twice x. */\nconst double = (x) => {\n",
            "declaration": "\nconst double = (x) => {\n",
            "canonical_solution": "  return x + x;\n}\n\n",
            "test": "const testDouble = () => {\n  console.assert(double(2) === 4)\n"
            "  console.assert(double(-1) === -2)\n}\n\ntestDouble()\n",
        },
        {
            "task_id": "JavaScript/1",
            "prompt": "/* Whether x is even. */\nconst isEven = (x) => {\n",
            "declaration": "\nconst isEven = (x) => {\n",
            "canonical_solution": "  return x % 2 === 0;\n}\n\n",
            "test": "const testIsEven = () => {\n  console.assert(isEven(2) === true)\n"
            "  console.assert(isEven(3) === false)\n}\n\ntestIsEven()\n",
        },
    ],
}


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A folder with two problems in Python and JavaScript, and one in C++."""
    folder = tmp_path_factory.mktemp("humaneval-x")
    for runner, problems in PROBLEMS.items():
        with gzip.open(folder / f"humaneval_{runner}.jsonl.gz", "wt", encoding="utf-8") as file:
            for problem in problems:
                file.write(json.dumps(problem | {"example_test": ""}) + "\n")
    return folder


@pytest.fixture(scope="session")
def published() -> Path:
    if not PUBLISHED.is_dir():
        pytest.skip("the published HumanEval-X files are not at hand")
    return PUBLISHED
