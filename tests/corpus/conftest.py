"""What tests of the corpus share: what the rules say of files."""

from __future__ import annotations

import pytest
from made_files import frame

from codegeex.corpus import cleaning, licences
from codegeex.corpus.decontaminate import Benchmark


@pytest.fixture(scope="session")
def judge():
    """Why each file is left out, None for one that is kept; and what was measured."""

    def ask(*files, wanted=licences.PERMISSIVE, problems=()):
        judged = cleaning.judged(frame(files), wanted, Benchmark(problems)).select("reason", "measured").to_pylist()
        return [row["reason"] for row in judged], [row["measured"] for row in judged]

    return ask
