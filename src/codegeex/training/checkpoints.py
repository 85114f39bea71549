"""A run that can be cut off: its directory holds the recipe, the records, and the last checkpoints.

The directory stands beside the output, as `OUTPUT.run`, until the model is written:

    recipe.json            the effective recipe
    metrics.jsonl          every record so far
    step-00000250/         a checkpoint of PyTorch's distributed format: weights, optimisers, what the guard knows

Checkpoints are copied to memory and written while the run goes on. One gets its name when it is whole, so whatever
kills a run, the newest one is good. Batches are a function of the step (`data.Mixture`), and so is what dropout draws:
neither needs to be stored. Before the first step is taken there is nothing to save: PyTorch would count one in the
optimisers in order to have moments.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch import distributed, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.optim import Optimizer

from codegeex.config import read_json
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.files import atomic_directory, write_text
from codegeex.model.transformer import CodeGeeX
from codegeex.training import lora
from codegeex.training.guard import Guard
from codegeex.training.parallel import World
from codegeex.training.recipe import Recipe, Schedule

CHANGEABLE = (
    *("layout", "save_every", "keep", "validate_every", "validation_windows"),
    *("samples", "sample_tokens", "tracking"),
)
"""What may differ between a recipe and the one whose run it resumes: nothing that a weight depends on, but for the
rounding of sums that another layout takes in another order, and what dropout draws there. The schedule may, in steps
that have not been taken."""

TRAINED = StateDictOptions(ignore_frozen_params=True, strict=False)
"""Checkpoints leave out what is not learned: the run starts from it again."""


class RunDirectory:
    """The state of a run on disk; a context that ends when all that was begun is written.

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
        self._keep, self._lora, self._world = recipe.keep, recipe.lora, world
        content = _plain(recipe)
        if not self.path.exists() and world.main:
            with atomic_directory(self.path) as partial:
                (partial / "recipe.json").write_text(json.dumps(content, indent=2) + "\n")
        world.agree(None)
        self.newest: Path | None = world.agree(max(self.path.glob("step-*"), default=None))
        steps = int(self.newest.name[5:]) if self.newest else 0
        self._check_same(read_json(self.path / "recipe.json"), content, steps)
        self.records = self._records_until(steps) if self.newest else []
        if world.mesh is None:  # DCP warns of it, in a thread of its own
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        self._lock = self._locked()
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        # What the writers of the processes tell each other must not come between the sums of a step.
        self._group = distributed.new_group(backend="gloo") if world.mesh is not None else None
        if world.main:
            for unfinished in self.path.glob(".step-*.partial"):
                shutil.rmtree(unfinished)
            write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in self.records))

    def _locked(self) -> IO[str] | None:
        """Keep others out of the directory; the system lets them in again, however this process ends.

        Raises:
            CodeGeeXError: another run is in it.
        """
        lock = (self.path / "lock").open("w") if self._world.main else None
        free = True
        if lock is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                free = False
            except OSError:  # a file system that knows no locks
                pass
        if not self._world.agree(free):
            raise CodeGeeXError(f"another process trains in {self.path}; wait for it, or stop it.")
        return lock

    def log(self, record: dict[str, Any]) -> None:
        """Keep a record."""
        self.records.append(record)
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._thread.shutdown()
            if self._lock is not None:
                self._lock.close()

    def save(self, step: int, model: nn.Module, optimizers: list[Optimizer], guard: Guard) -> None:
        """Begin a checkpoint of the state after `step` steps; older ones than the newest `keep` are removed after it.

        Raises:
            WorkFailed: the file system refused the one before. What was there before that stays.
        """
        self.finish()
        weights, moments = get_state_dict(model, optimizers, options=TRAINED)
        state = {"model": weights, "optimizers": moments, "step": step, "guard": guard.state()}
        with _cannot_write(self.path), ExitStack() as stack:
            target = self.path / f"step-{step:08d}"
            partial = stack.enter_context(atomic_directory(target)) if self._world.main else None
            written: Any = async_save(state, checkpoint_id=self._world.agree(partial), process_group=self._group)
            self._writing = self._thread.submit(self._publish, written, stack.pop_all())

    def finish(self) -> None:
        """Wait until the checkpoint that was begun last is written.

        Raises:
            WorkFailed: the file system refused.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            with _cannot_write(self.path):
                writing.result()

    @property
    def failed(self) -> bool:
        """Whether the checkpoint that was begun last is known to have failed."""
        return self._writing is not None and self._writing.done() and self._writing.exception() is not None

    def _publish(self, written: Future[Any], stack: ExitStack) -> None:
        """Name a checkpoint once all processes have written their parts of it."""
        with stack:
            written.result()
        if self._world.main:
            for old in sorted(self.path.glob("step-*"))[: -self._keep]:
                shutil.rmtree(old)

    def load(self, model: nn.Module, optimizers: list[Optimizer], guard: Guard) -> int:
        """Take the state of the newest checkpoint over; returns how many steps it has behind it, 0 without one.

        Raises:
            CodeGeeXError: the checkpoint is damaged.
        """
        if self.newest is None:
            return 0
        weights, moments = get_state_dict(model, optimizers, options=TRAINED)
        state: dict[str, Any] = {"model": weights, "optimizers": moments, "step": 0, "guard": guard.state()}
        try:
            load(state, checkpoint_id=self.newest)
        except (CheckpointException, OSError, RuntimeError, ValueError) as error:
            raise CodeGeeXError(
                f"the checkpoint {self.newest} is damaged ({str(error).splitlines()[0]}); remove it to go on from the "
                "one before."
            ) from None
        set_state_dict(
            model,
            optimizers,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizers"],
            options=TRAINED,
        )
        guard.restore(state["guard"])
        step: int = state["step"]
        return step

    def whole_model(self, model: CodeGeeX) -> CodeGeeX:
        """The model in one piece, in the main process; in the others, without storage."""
        whole = model
        if self._world.mesh is not None:
            weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
            with torch.device("meta"):
                whole = CodeGeeX(model.config)
                if self._lora.rank:
                    lora.adapt(whole, self._lora)
            if self._world.main:
                whole.load_state_dict(weights, assign=True)
        lora.merge(whole)
        return whole

    def remove(self) -> None:
        """Delete the directory: the run has ended and its output is written."""
        if self._lock is not None:  # NFS keeps what is open under another name, in a folder that is then not empty
            self._lock.close()
        shutil.rmtree(self.path)

    def _records_until(self, step: int) -> list[dict[str, Any]]:
        """What was logged up to a step, that step's validation included; a line that was cut off does not count."""
        path = self.path / "metrics.jsonl"
        records = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record["step"] <= step:
                records.append(record)
        return records

    def _check_same(self, before: Any, now: dict[str, Any], steps: int) -> None:
        known = before if isinstance(before, dict) else {}
        differing = [key for key in now if key not in CHANGEABLE and known.get(key) != now[key]]
        schedules = [
            Schedule(**one["schedule"]) for one in (known, now) if "schedule" in differing and "schedule" in one
        ]
        if len(schedules) == 2 and _taken(schedules[0], steps) == _taken(schedules[1], steps):
            differing.remove("schedule")
            if self._world.main:
                write_text(self.path / "recipe.json", json.dumps(now, indent=2) + "\n")
        if differing:
            raise CodeGeeXError(
                f"{self.path} holds an unfinished run with another {' and '.join(differing)}; "
                "finish it with its own recipe, remove it, or choose another output."
            )


def _taken(schedule: Schedule, steps: int) -> list[tuple[float, bool]]:
    """What a schedule decides about the first steps: their rates, and which mixture their windows are of."""
    return [(schedule.factor(step), step >= schedule.decay_begins) for step in range(steps)]


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return content


@contextmanager
def _cannot_write(path: Path) -> Iterator[None]:
    """Failures of DCP, which gathers those of all processes, as one line."""
    try:
        yield
    except CheckpointException as error:
        reasons = "; ".join(sorted({str(failure[0]) for failure in error.failures.values()}))
        raise WorkFailed(f"cannot write a checkpoint to {path}: {reasons}.") from None
