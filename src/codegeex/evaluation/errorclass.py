"""What kind of failure a message tells of (the original's classes, in its inspect_result)."""

from __future__ import annotations

_CLASSES: dict[str, tuple[tuple[str, str], ...]] = {
    "python": (
        ("undefined", "NameError"),
        ("undefined", "AttributeError"),
        ("syntax", "SyntaxError"),
        ("syntax", "IndentationError"),
        ("syntax", "TabError"),
        ("type", "TypeError"),
    ),
    "javascript": (
        ("undefined", "ReferenceError"),
        ("syntax", "SyntaxError"),
        ("type", "TypeError"),
        ("range", "RangeError"),
    ),
    "go": (
        ("not used", "declared and not used"),
        ("not used", "declared but not used"),
        ("not used", "imported and not used"),
        ("undefined", "undefined"),
        ("syntax", "syntax error"),
        ("type", "cannot use"),
        ("type", "mismatched types"),
        ("type", "cannot convert"),
    ),
    "cpp": (
        ("range", "out_of_range"),
        ("invalid argument", "invalid_argument"),
        ("pointer", "SIGSEGV"),
        ("pointer", "double free"),
        ("package", "No such file or directory"),
    ),
    "java": (
        ("index", "IndexOutOfBoundsException"),
        ("class cast", "ClassCastException"),
        ("stack overflow", "StackOverflowError"),
        ("null pointer", "NullPointerException"),
        ("unsupported operation", "UnsupportedOperationException"),
        ("number format", "NumberFormatException"),
        ("no such element", "NoSuchElementException"),
        ("illegal argument", "IllegalArgumentException"),
        ("arithmetic", "ArithmeticException"),
    ),
    "rust": (
        ("undefined", "cannot find"),
        ("type", "mismatched types"),
        ("borrow", "borrow"),
        ("overflow", "overflow"),
        ("index", "index out of bounds"),
    ),
}

_BY_VERDICT = {
    "passed": "passed",
    "wrong": "assertion",
    "timeout": "timeout",
    "memory": "out of memory",
    "sandbox_error": "sandbox",
    "compile_error": "compilation",
    "runtime_error": "runtime",
}


def error_class(language: str, verdict: str, detail: str) -> str:
    """The class of a result, for counting."""
    if verdict in ("compile_error", "runtime_error"):
        for name, sign in _CLASSES.get(language, ()):
            if sign in detail:
                return name
    return _BY_VERDICT[verdict]
