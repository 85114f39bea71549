"""The one error that a user is meant to read."""

from __future__ import annotations


class CodeGeeXError(Exception):
    """Bad input or an impossible request: one line that says what was wrong and what to do about it.

    The command line prints the message without a traceback and exits with `exit_code`.
    """

    exit_code = 2


class WorkFailed(CodeGeeXError):
    """The input was fine but the work could not be completed (disk full, a process died)."""

    exit_code = 1
