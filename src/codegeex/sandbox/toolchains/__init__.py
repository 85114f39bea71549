"""The toolchains, one file a language."""

from __future__ import annotations

import functools
from typing import get_args

from codegeex.sandbox.program import RunnerName
from codegeex.sandbox.toolchains.base import Toolchain


@functools.cache
def toolchain(language: str) -> Toolchain:
    """The toolchain of a language."""
    from codegeex.sandbox.toolchains import cpp, go, java, javascript, python, rust

    known = (python.Python(), cpp.Cpp(), java.Java(), javascript.JavaScript(), go.Go(), rust.Rust())
    return next(one for one in known if one.name == language)


def missing(language: str) -> str | None:
    """Why programs of a language cannot run here, and what to install; None if they can."""
    what = toolchain(language).missing()
    return what and f"{what}: {toolchain(language).packages}."


def versions() -> dict[RunnerName, str]:
    """The version of each toolchain that is there."""
    return {name: toolchain(name).version() for name in get_args(RunnerName) if missing(name) is None}
