"""A run that can be cut off: its directory holds the recipe, the records, and the last checkpoints.

The directory stands beside the output, as `OUTPUT.run`, until the model is written:

    recipe.json            the effective recipe
    metrics.jsonl          every record so far
    step-00000250/         a checkpoint of PyTorch's distributed format: weights, optimisers, what the guard knows

A checkpoint gets its name when it is whole, so whatever kills a run, the newest one is good. Batches are a function of
the step (`data.Mixture`), and so is what dropout draws: neither needs to be stored.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.optim import Optimizer

from codegeex.config import read_json
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.files import atomic_directory, write_text
from codegeex.model.transformer import CodeGeeX
from codegeex.training.guard import Guard
from codegeex.training.parallel import World
from codegeex.training.recipe import Recipe

CHANGEABLE = ("layout", "save_every", "keep", "validate_every", "validation_windows")
"""What may differ between a recipe and the one whose run it resumes: nothing that a weight depends on, but for the
rounding of sums that another layout takes in another order."""


class RunDirectory:
    """The state of a run on disk.

    Args:
        recipe: the run. Where its directory exists already, the run is resumed.
        world: the processes of the run; the main one writes.

    Attributes:
        records: what was logged up to the newest checkpoint, in order.

    Raises:
        CodeGeeXError: the directory belongs to another recipe, or cannot be read.
    """

    def __init__(self, recipe: Recipe, world: World):
        output = Path(recipe.output)
        self.path = output.with_name(output.name + ".run")
        self._keep, self._world = recipe.keep, world
        content = _plain(recipe)
        if not self.path.exists() and world.main:
            with atomic_directory(self.path) as partial:
                (partial / "recipe.json").write_text(json.dumps(content, indent=2) + "\n")
        world.agree(None)
        self._check_same(read_json(self.path / "recipe.json"), content)
        self.newest: Path | None = world.agree(max(self.path.glob("step-*"), default=None))
        self.records = self._records_until(int(self.newest.name[5:]) if self.newest else 0)
        if world.main:
            write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in self.records))

    def log(self, record: dict[str, Any]) -> None:
        """Keep a record."""
        self.records.append(record)
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def save(self, step: int, model: nn.Module, optimizers: list[Optimizer], guard: Guard) -> None:
        """Write a checkpoint of the state after `step` steps; older ones than the newest `keep` are removed.

        Raises:
            WorkFailed: the file system refused. What was there before stays.
        """
        weights, moments = get_state_dict(model, optimizers)
        state = {"model": weights, "optimizers": moments, "step": step, "guard": guard.state()}
        try:
            with ExitStack() as stack:
                stack.enter_context(_one_process())
                target = self.path / f"step-{step:08d}"
                partial = stack.enter_context(atomic_directory(target)) if self._world.main else None
                save(state, checkpoint_id=self._world.agree(partial))
                self._world.agree(None)  # nobody is still writing when the directory gets its name
        except CheckpointException as error:
            reasons = "; ".join(str(failure[0]) for failure in error.failures.values())
            raise WorkFailed(f"cannot write a checkpoint to {self.path}: {reasons}.") from None
        if not self._world.main:
            return
        for old in sorted(self.path.glob("step-*"))[: -self._keep]:
            shutil.rmtree(old)

    def load(self, model: nn.Module, optimizers: list[Optimizer], guard: Guard) -> int:
        """Take the state of the newest checkpoint over; returns how many steps it has behind it, 0 without one.

        Raises:
            CodeGeeXError: the checkpoint is damaged.
        """
        if self.newest is None:
            return 0
        weights, moments = get_state_dict(model, optimizers)
        state: dict[str, Any] = {"model": weights, "optimizers": moments, "step": 0, "guard": guard.state()}
        try:
            with _one_process():
                load(state, checkpoint_id=self.newest)
        except (CheckpointException, OSError, RuntimeError, ValueError) as error:
            raise CodeGeeXError(
                f"the checkpoint {self.newest} is damaged ({str(error).splitlines()[0]}); remove it to go on from the "
                "one before."
            ) from None
        set_state_dict(model, optimizers, model_state_dict=state["model"], optim_state_dict=state["optimizers"])
        guard.restore(state["guard"])
        step: int = state["step"]
        return step

    def whole_model(self, model: CodeGeeX) -> CodeGeeX:
        """The model in one piece, in the main process; in the others, without weights."""
        if self._world.mesh is None:
            return model
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(model, options=options)
        whole = CodeGeeX(model.config)
        if self._world.main:
            whole.load_state_dict(weights)
        return whole

    def remove(self) -> None:
        """Delete the directory: the run has ended and its output is written."""
        shutil.rmtree(self.path)

    def _records_until(self, step: int) -> list[dict[str, Any]]:
        """What was logged before the step that comes next; a line that was cut off does not count."""
        path = self.path / "metrics.jsonl"
        records = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                break
            # A validation is logged before the step of its number, a loss after it.
            if record["step"] < step or (record["step"] == step and "loss" in record):
                records.append(record)
        return records

    def _check_same(self, before: Any, now: dict[str, Any]) -> None:
        differing = [
            key
            for key in now
            if key not in CHANGEABLE and (not isinstance(before, dict) or before.get(key) != now[key])
        ]
        if differing:
            raise CodeGeeXError(
                f"{self.path} holds an unfinished run with another {' and '.join(differing)}; "
                "finish it with its own recipe, remove it, or choose another output."
            )


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return content


@contextmanager
def _one_process() -> Iterator[None]:
    """Without the warning that there is only one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
