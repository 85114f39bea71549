"""Sandboxes that tests share: a container and its compilers are started once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from codegeex.sandbox import Limits, RunnerName, Sandbox, toolchains
from codegeex.sandbox.container import isolation_problem

SMALL = Limits(
    seconds=1.0, compile_seconds=8.0, memory_mb=128, processes=96, output_bytes=1 << 16, disk_mb=16, patience=3
)


@pytest.fixture(scope="session")
def isolated() -> Iterator[Sandbox]:
    """An isolating sandbox with one worker and small limits."""
    if problem := isolation_problem():
        pytest.skip(f"programs cannot be isolated here: {problem}")
    with Sandbox(workers=1, limits=SMALL, isolation="require") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def bare() -> Iterator[Sandbox]:
    """A sandbox without containers."""
    with Sandbox(workers=1, limits=SMALL, isolation="none") as sandbox:
        yield sandbox


@pytest.fixture
def needs() -> Callable[[RunnerName], None]:
    def skip_without(language: RunnerName) -> None:
        if why := toolchains.missing(language):
            pytest.skip(f"no {language}: {why}")

    return skip_without
