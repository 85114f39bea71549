"""The run: batches in, a model directory out."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from codegeex import tokenizer
from codegeex.checkpoint import write_model
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.model.loader import ModuleSource
from codegeex.model.transformer import CodeGeeX
from codegeex.training import lora
from codegeex.training.checkpoints import RunDirectory
from codegeex.training.data import Mixture, make_batch
from codegeex.training.guard import MOST_SKIPPED, Guard
from codegeex.training.memory import keep_freed_memory
from codegeex.training.optimizer import make_optimizers, set_rate
from codegeex.training.page import page
from codegeex.training.parallel import World, clip_gradients
from codegeex.training.plan import flops
from codegeex.training.recipe import Recipe
from codegeex.training.step import backward
from codegeex.training.tracking import make_tracker
from codegeex.training.validation import Validation, open_windows, rounded
from codegeex.training.weights import fill, starting_values

Report = Callable[[dict[str, Any]], None]
"""Called with one flat record for every logged event: {"step", "loss", ...}, {"step", "validation": {...}},
or {"resumed": step}."""


def train(recipe: Recipe, report: Report = lambda record: None) -> Path:
    """Train a model as `recipe` says and write its directory; returns the directory.

    A run that was cut off goes on from its newest checkpoint (see `checkpoints`), to the same weights bit by bit. The
    run's records are kept in `metrics.jsonl` inside the model directory. SIGTERM and SIGINT let the step end and save.

    Raises:
        CodeGeeXError: the data does not fit the recipe, the output exists, or an unfinished run with another recipe.
        WorkFailed: the gradients stay infinite or NaN, the run was told to stop, or the disk or the device is full.
    """
    output = Path(recipe.output)
    if output.exists():
        raise CodeGeeXError(f"{output} exists already; choose another output or remove it first.")
    vocabulary = tokenizer.load(recipe.data.tokenizer)
    if len(vocabulary) > recipe.model.vocab_size:
        raise CodeGeeXError(f"the tokenizer has {len(vocabulary)} ids, the model only {recipe.model.vocab_size}.")
    mixture = Mixture(
        recipe,
        [open_windows(stream, recipe, vocabulary) for stream in recipe.data.streams],
    )
    validation = Validation(recipe, vocabulary)
    values = starting_values(recipe, vocabulary)
    world = World.join(recipe)
    if world.device.type == "cpu":
        keep_freed_memory()
    with _enough_memory(), RunDirectory(recipe, world) as run:
        model = _shared_model(recipe, world)
        optimizers = make_optimizers(model, recipe.optimizer)
        guard = Guard(recipe)
        if run.newest is None or recipe.lora.rank:
            fill(model, values)
        first = run.load(model, optimizers, guard)
        with _records(recipe, run, world, first, report) as log:
            if first and world.main:
                report({"resumed": first})
            steps = _Steps(recipe, world, run, model, optimizers, guard, mixture, vocabulary.end_of_text)
            steps.take(first, validation, log)
        run.finish()
        whole = run.whole_model(model)
        if world.main:
            metrics = "".join(json.dumps(record) + "\n" for record in run.records)
            each = flops(recipe.model, recipe.data.sequence_length) / recipe.data.sequence_length
            extras = {"metrics.jsonl": metrics, "report.html": page(recipe, run.records, each)}
            # Half precision, as the released weights.
            write_model(output, ModuleSource(whole, "F16"), vocabulary, extras)
            run.remove()
        world.agree(None)
    return output


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        # That of a CPU has no class of its own.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise WorkFailed(
            "the device has not enough memory: take a smaller layout.micro_batch, or layout.recompute=true; "
            "'codegeex plan' tells what a run takes."
        ) from None


def _shared_model(recipe: Recipe, world: World) -> CodeGeeX:
    """The model of a recipe, its weights without values, shared out over the processes."""
    with torch.device("meta"):
        model = CodeGeeX(recipe.model, recipe.dropout)
        if recipe.lora.rank:
            lora.adapt(model, recipe.lora)
    model.recompute = recipe.layout.recompute
    if recipe.layout.compile:
        for layer in (*model.layers, model.top_query_layer):
            layer.compile()
    world.share(model, recipe.layout.reshard)
    return model.to_empty(device=world.device)


@contextmanager
def _records(recipe: Recipe, run: RunDirectory, world: World, first: int, report: Report) -> Iterator[Report]:
    """What takes the records of a run: in the main process to all who want them, elsewhere to nobody."""
    if not world.main:
        yield lambda record: None
        return
    tracker = make_tracker(recipe, first)

    def log(record: dict[str, Any]) -> None:
        run.log(record)
        if tracker is not None:
            tracker.log(record)
        report(record)

    try:
        yield log
    finally:
        if tracker is not None:
            tracker.close()


@dataclass
class _Steps:
    """The steps of a run, with the validations and checkpoints between them."""

    recipe: Recipe
    world: World
    run: RunDirectory
    model: CodeGeeX
    optimizers: list[Optimizer]
    guard: Guard
    mixture: Mixture
    end_of_text: int

    def take(self, first: int, validation: Validation, log: Report) -> None:
        """All steps from `first` on."""
        recipe, run = self.recipe, self.run
        began, stepping, last = time.monotonic(), 0.0, recipe.schedule.steps
        known = {record["step"] for record in run.records if "validation" in record}
        at_once = self.world.windows(recipe)
        with told_to_stop() as stopping:
            for step in range(first, last):
                if step % recipe.validate_every == 0 and step not in known:
                    log({"step": step} | validation.measure(self.model, at_once))
                step_began = time.monotonic()
                record = self._take(step)
                stepping += time.monotonic() - step_began
                log(record | self._pace(step + 1, first, stepping, time.monotonic() - began))
                if self.world.any(run.failed):
                    run.finish()
                told = self.world.any(bool(stopping))
                # The last one, too: writing the model may fail.
                due = (step + 1) % recipe.save_every == 0 or step + 1 == last
                if (told or due) and self.guard.skipped <= step:
                    run.save(step + 1, self.model, self.optimizers, self.guard)
                if told:
                    run.finish()
                    raise WorkFailed(f"stopped after step {step + 1}; the same command goes on from there.")
        if last not in known:
            log({"step": last} | validation.measure(self.model, at_once))

    def _take(self, step: int) -> dict[str, Any]:
        """One step; returns what it was like."""
        recipe, guard = self.recipe, self.guard
        factor = recipe.schedule.factor(step)
        set_rate(self.optimizers, factor, recipe.optimizer.bias_correction)
        windows = self.mixture.windows(step)[self.world.part(recipe.batch_size)]
        self.world.seed(recipe.seed, step)
        scale = guard.scale
        loss = backward(self.model, make_batch(windows, self.end_of_text), recipe, self.world, scale)
        norm = clip_gradients(self.model.parameters(), recipe.optimizer.clip, scale)
        if guard.admits(loss, norm):
            for optimizer in self.optimizers:
                optimizer.step()
        elif guard.hopeless:
            raise WorkFailed(
                f"step {step}: the gradient was not finite {MOST_SKIPPED} times in a row; lower the learning rates. "
                f"The checkpoints are in {self.run.path}."
            )
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        return {
            "step": step + 1,
            "steps": recipe.schedule.steps,
            "loss": rounded(loss, 4),
            "gradient_norm": rounded(norm, 3),
            "rate": round(factor, 4),
            "skipped": guard.skipped,
            "loss_scale": scale,
        }

    def _pace(self, done: int, first: int, stepping: float, seconds: float) -> dict[str, Any]:
        """How fast `done` steps were, of which this start of the run has taken all but the `first`.

        Args:
            stepping: seconds of the steps alone.
            seconds: all that have passed.
        """
        recipe, steps = self.recipe, done - first
        tokens = recipe.batch_size * recipe.data.sequence_length
        speed = flops(recipe.model, recipe.data.sequence_length) * recipe.batch_size * steps / stepping
        tflops, peak = speed / self.world.size / 1e12, recipe.layout.peak_tflops
        return {
            "tokens": done * tokens,
            "tokens_per_second": round(steps * tokens / stepping),
            # Of each device, without what is computed again; `mfu` is the part of its peak (PaLM, appendix B).
            "tflops": float(f"{tflops:.4g}"),
            "mfu": round(tflops / peak, 4) if peak else None,
            "seconds": round(seconds, 1),
            "seconds_left": round(seconds / steps * (recipe.schedule.steps - done)),
        }


@contextmanager
def told_to_stop() -> Iterator[list[int]]:
    """A list that the first SIGTERM or SIGINT appends to; the second one acts as usual.

    Signals reach Python in the main thread only; elsewhere the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
