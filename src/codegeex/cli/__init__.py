"""The command line. Faces only: every verb is a few lines around a call that a library user could make."""

from codegeex.cli.main import main

__all__ = ["main"]
