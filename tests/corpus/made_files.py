"""Files made by hand, for tests of the corpus."""

import daft
import pyarrow

from codegeex.corpus import reading

GOOD = "def add(first, second):\n    return first + second\n\n\n" * 30
"""A file that no rule leaves out."""


def frame(files):
    """A dataframe of files as the reading stage writes them; each a dictionary of what is not ordinary about it."""
    ordinary = {"language": "python", "path": "pkg/a.py", "source": "pkg", "licence": "MIT", "version": "1",
                "sha256": "", "named": False, "problem": "", "stars": None, "size": None}  # fmt: skip
    rows = [{"id": index} | ordinary | file for index, file in enumerate(files)]
    return daft.from_arrow(pyarrow.Table.from_pylist(rows, reading.SCHEMA))
