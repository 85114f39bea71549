"""Writes a solution in six languages, each as its own programmers would."""

from __future__ import annotations

from codegeex.exercises.emit.base import Emitter, Unit
from codegeex.exercises.emit.cpp import Cpp
from codegeex.exercises.emit.go import Go
from codegeex.exercises.emit.java import Java
from codegeex.exercises.emit.javascript import JavaScript
from codegeex.exercises.emit.python import Python
from codegeex.exercises.emit.rust import Rust

EMITTERS: dict[str, type[Emitter]] = {
    "python": Python,
    "cpp": Cpp,
    "java": Java,
    "javascript": JavaScript,
    "go": Go,
    "rust": Rust,
}

__all__ = ["EMITTERS", "Emitter", "Unit"]
