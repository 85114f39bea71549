"""A sandbox that the tests of exercises share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codegeex.exercises.programs import LANGUAGES
from codegeex.sandbox import Sandbox, toolchains


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    if missing := [name for name in LANGUAGES if toolchains.missing(name)]:
        pytest.skip(f"no tools for {', '.join(missing)}")
    with Sandbox(workers=2) as sandbox:
        yield sandbox
