"""Runs programs that nobody trusts, in six languages, and says how they ended."""

from codegeex.sandbox.program import Limits, Program, Result, RunnerName, Verdict
from codegeex.sandbox.sandbox import Isolation, Sandbox

__all__ = ["Isolation", "Limits", "Program", "Result", "RunnerName", "Sandbox", "Verdict"]
