"""`codegeex doctor`: what this machine and installation offer."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import time
from typing import Annotated, Any

import typer

NOT_FOR_USERS = ("all", "dev")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check the installation and the embedded model, and say what this machine offers."""
    report = examine()
    if as_json:
        print(json.dumps(report))
    else:
        for key, value in _rows(report):
            print(f"{key:<18} {value}")
    if not report["model"]["ok"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Everything the doctor says, as plain data."""
    from codegeex import __version__, languages
    from codegeex.sandbox.container import isolation_problem
    from codegeex.sandbox.toolchains import missing

    return {
        "codegeex": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB memory",
        "extras": {extra: {name: _version(name) for name in names} for extra, names in _extras().items()},
        "accelerator": _accelerator(),
        "toolchains": {language.key: missing(language.key) is None for language in languages.EXECUTABLE},
        "isolation": isolation_problem() or "ok",
        "model": _try_model(),
    }


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    model = report["model"]
    if model["ok"]:
        state = (
            f"ok: {model['parameters'] / 1e6:.1f} million parameters, loads in {model['load_seconds']:.2f} s, "
            f"{model['tokens_per_second']:.0f} tokens/s on the {model['backend']} backend"
        )
    else:
        state = f"FAILED: {model['error']}"
    rows = [(key, report[key]) for key in ("codegeex", "python", "machine")]
    for extra, packages in report["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        have = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        rows.append((f"extra [{extra}]", f"not installed: pip install 'codegeex[{extra}]'" if missing else have))
    rows.append(("accelerator", report["accelerator"] or "none: models run on the CPU"))
    present = [language for language, found in report["toolchains"].items() if found]
    absent = [language for language, found in report["toolchains"].items() if not found]
    rows.append(("toolchains", ", ".join(present) + (f" (missing: {', '.join(absent)})" if absent else "")))
    rows.append(("isolation", report["isolation"]))
    rows.append(("embedded model", state))
    return rows


def _extras() -> dict[str, list[str]]:
    """The packages of every extra, as the installed project declares them."""
    found: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("codegeex") or []:
        # As in: uvloop>=0.21; platform_system != 'Windows' and extra == 'serve'
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if name and extra and extra[1] not in NOT_FOR_USERS:
            found.setdefault(extra[1], []).append(name[0])
    return found


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _accelerator() -> str | None:
    """The accelerator that PyTorch sees; importing it takes seconds, so only the doctor asks."""
    if _version("torch") is None:
        return None
    import torch

    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else None


def _try_model() -> dict[str, Any]:
    """Load the embedded model and time a few tokens."""
    from codegeex.assistant import load
    from codegeex.errors import CodeGeeXError

    began = time.perf_counter()
    try:
        model = load()
        loaded = time.perf_counter()
        answer = model.generate("add two numbers", language="python", temperature=0.0, max_tokens=32)
    except CodeGeeXError as error:
        return {"ok": False, "error": str(error)}
    return {
        "ok": True,
        "parameters": model.backend.config.num_parameters,
        "backend": model.backend.name,
        "load_seconds": round(loaded - began, 3),
        "tokens_per_second": round(len(answer.tokens) / (time.perf_counter() - loaded), 1),
    }
