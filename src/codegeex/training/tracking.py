"""The records of a run in the tools that people watch runs with."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any, Protocol

from codegeex.errors import CodeGeeXError
from codegeex.training.recipe import Recipe


class Tracker(Protocol):
    """Takes the records of a run."""

    def log(self, record: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


def make_tracker(recipe: Recipe, first: int) -> Tracker | None:
    """The tracker that a recipe wants.

    Args:
        first: the step that the run goes on from.

    Raises:
        CodeGeeXError: its package is not installed.
    """
    kind = recipe.tracking
    if kind == "none":
        return None
    try:
        return _TensorBoard(recipe, first) if kind == "tensorboard" else _Service(kind, recipe)
    except ImportError as error:
        raise CodeGeeXError(
            f"tracking={kind} needs a package that is not there ({error}): pip install {kind}."
        ) from None


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record; those of a language as `validation/python`."""
    found: dict[str, float] = {}
    for key, value in record.items():
        values = {f"{key}/{name}": one for name, one in value.items()} if isinstance(value, dict) else {key: value}
        found |= {name: float(one) for name, one in values.items() if isinstance(one, (int, float)) and name != "step"}
    return found


class _TensorBoard:
    """Event files in OUTPUT.tensorboard; what a lost part of the run has written there is left out."""

    def __init__(self, recipe: Recipe, first: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(f"{recipe.output}.tensorboard", purge_step=first + 1 if first else 0)  # type: ignore[no-untyped-call]

    def log(self, record: dict[str, Any]) -> None:
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, record["step"])  # type: ignore[no-untyped-call]
        for place, sample in enumerate(record.get("samples", [])):
            text = f"```\n{sample['prompt']}{sample['text']}\n```"
            self._writer.add_text(f"sample {place + 1}", text, record["step"])  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._writer.close()  # type: ignore[no-untyped-call]


class _Service:
    """trackio or Weights & Biases, whose functions have the same names."""

    def __init__(self, kind: str, recipe: Recipe):
        self._module = importlib.import_module(kind)
        self._module.init(project="codegeex", name=Path(recipe.output).name, config=dataclasses.asdict(recipe))

    def log(self, record: dict[str, Any]) -> None:
        self._module.log(scalars(record), step=record["step"])

    def close(self) -> None:
        self._module.finish()
