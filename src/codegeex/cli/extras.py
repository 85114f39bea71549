"""Parts of codegeex whose packages come with an extra."""

from __future__ import annotations

import importlib
from typing import Any

from codegeex.errors import CodeGeeXError


def needs_packages(module: str, extra: str) -> Any:
    """A module of codegeex, or one line that says which package it needs, and what installs that."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("codegeex"):
            raise
        raise CodeGeeXError(f"this needs {error.name}: pip install 'codegeex[{extra}]'.") from None
