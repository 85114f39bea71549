"""What the end of a program's processes says about the program."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any, cast

from codegeex.sandbox.program import Program, Result, Verdict
from codegeex.sandbox.toolchains.base import Toolchain

_DETAIL_CHARACTERS = 2000
_REPORTED = ("wrong", "memory", "runtime_error", "compile_error")


def judge(program: Program, tools: Toolchain, outcomes: Sequence[dict[str, Any]], steps: int, secret: str) -> Result:
    """The verdict on a program.

    Args:
        tools: of its language.
        outcomes: of the steps that ran, as the supervisor tells them.
        steps: how many there were to run; the last one is the run.
        secret: what is reported where the tests have run to their end.
    """
    last = outcomes[-1]
    ran = len(outcomes) == steps
    compiling = sum(outcome["seconds"] for outcome in outcomes[: steps - 1])
    verdict, detail = _run_verdict(program, tools, last, secret) if ran else _compile_verdict(last)
    if verdict == "runtime_error" and any(sign in last["output"] for sign in tools.memory_signs):
        verdict = "memory"
    if last["report"] == "compile_error":
        ran = False
    return Result(
        verdict=verdict,
        stage="run" if ran else "compile",
        seconds=last["seconds"] if ran else compiling,
        memory_mb=last["memory_mb"],
        detail=_shortened(detail),
        compile_seconds=compiling,
    )


def _compile_verdict(last: dict[str, Any]) -> tuple[Verdict, str]:
    if last["ended"] == "timeout":
        return "timeout", "the compilation took too long"
    # The first message is the cause, in every compiler's order.
    return "compile_error", last["output"].strip()[:_DETAIL_CHARACTERS]


def _run_verdict(program: Program, tools: Toolchain, last: dict[str, Any], secret: str) -> tuple[Verdict, str]:
    said = last["output"].strip()
    if last["ended"] == "timeout":
        return "timeout", "it took too long"
    if last["ended"] == "output":
        return "runtime_error", "it wrote more than it may"
    if last["report"] in _REPORTED:
        return cast(Verdict, last["report"]), said
    if last["status"] < 0:
        number = -last["status"]  # which need not be one that has a name
        name = signal.Signals(number).name if number in {*signal.Signals} else f"signal {number}"
        return "runtime_error", f"{said}\nended by {name}".strip()
    if last["status"]:
        failed = any(sign in last["output"] for sign in tools.failure_signs)
        return ("wrong" if failed else "runtime_error"), said or f"ended with status {last['status']}"
    if last["report"] != secret:
        return "runtime_error", f"{said}\nit ended before its tests did".strip()
    if program.silent and last["output"]:
        return "wrong", f"it wrote something, which counts as a failure here: {said}"
    return "passed", ""


def _shortened(text: str) -> str:
    """The beginning and the end, where runtimes say what has happened."""
    if len(text) <= _DETAIL_CHARACTERS:
        return text
    return f"{text[: _DETAIL_CHARACTERS // 2]}\n…\n{text[-_DETAIL_CHARACTERS // 2 :]}"
