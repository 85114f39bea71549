"""The run: batches in, a model directory out."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codegeex import tokenizer
from codegeex.checkpoint import write_model
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.model.loader import ModuleSource
from codegeex.model.loss import cross_entropy
from codegeex.model.transformer import CodeGeeX
from codegeex.shards import Shards
from codegeex.tokenizer import Tokenizer
from codegeex.training.checkpoints import RunDirectory
from codegeex.training.data import Batch, Mixture, make_batch
from codegeex.training.guard import MOST_SKIPPED, Guard
from codegeex.training.optimizer import make_optimizers, set_rate
from codegeex.training.parallel import World, clip_gradients
from codegeex.training.plan import flops
from codegeex.training.recipe import Recipe
from codegeex.training.weights import materialize, starting_values

Report = Callable[[dict[str, Any]], None]
"""Called with one flat record for every logged event: {"step", "loss", ...}, {"step", "validation": {...}},
or {"resumed": step}."""


def train(recipe: Recipe, report: Report = lambda record: None) -> Path:
    """Train a model as `recipe` says and write its directory; returns the directory.

    A run that was cut off goes on from its newest checkpoint (see `checkpoints`), to the same weights bit by bit. The
    run's records are kept in `metrics.jsonl` inside the model directory. SIGTERM and SIGINT let the step end and save.

    Raises:
        CodeGeeXError: the data does not fit the recipe, the output exists, or an unfinished run with another recipe.
        WorkFailed: the gradients stay infinite or NaN, the run was told to stop, or the disk is full.
    """
    output = Path(recipe.output)
    if output.exists():
        raise CodeGeeXError(f"{output} exists already; choose another output or remove it first.")
    vocabulary = tokenizer.load(recipe.data.tokenizer)
    config = recipe.model
    if len(vocabulary) > config.vocab_size:
        raise CodeGeeXError(f"the tokenizer has {len(vocabulary)} ids, the model only {config.vocab_size}.")
    streams = [_open(stream.shards, recipe, vocabulary) for stream in recipe.data.streams]
    validation = _validation_sets(recipe, vocabulary)
    mixture = Mixture(recipe, streams)
    world = World.join(recipe)

    values = starting_values(recipe)
    with torch.device("meta"):
        model = CodeGeeX(config, recipe.dropout)
    model.recompute = recipe.layout.recompute
    world.share(model, recipe.layout.reshard)
    materialize(model, world.device, values)
    optimizers = make_optimizers(model, recipe.optimizer)
    run, guard = RunDirectory(recipe, world), Guard(recipe)
    first = run.load(model, optimizers, guard)
    if first and world.main:
        report({"resumed": first})

    def log(record: dict[str, Any]) -> None:
        if world.main:
            run.log(record)
            report(record)

    operations = flops(config, recipe.data.sequence_length) * recipe.batch_size / world.size
    peak = recipe.layout.peak_tflops
    began = time.monotonic()
    with told_to_stop() as stopping:
        for step in range(first, recipe.schedule.steps):
            if step % recipe.validate_every == 0:
                log({"step": step} | validate(model, validation, recipe, vocabulary))
            factor = recipe.schedule.factor(step)
            set_rate(optimizers, factor, recipe.optimizer.bias_correction)
            windows = mixture.windows(step)
            tokens = windows[:, :-1].size
            batch = make_batch(windows[world.part(recipe.batch_size)], vocabulary.end_of_text)
            world.seed(recipe.seed, step)
            scale = guard.scale
            loss = backward(model, batch, recipe, world, scale)
            norm = clip_gradients(model.parameters(), recipe.optimizer.clip, scale)
            if guard.admits(loss, norm):
                for optimizer in optimizers:
                    optimizer.step()
            elif guard.hopeless:
                raise WorkFailed(
                    f"step {step}: the gradient was not finite {MOST_SKIPPED} times in a row; lower the learning "
                    f"rates. The checkpoints are in {run.path}."
                )
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            seconds = time.monotonic() - began
            done = step + 1 - first
            log(
                {
                    "step": step + 1,
                    "steps": recipe.schedule.steps,
                    "loss": _number(loss, 4),
                    "gradient_norm": _number(norm, 3),
                    "rate": round(factor, 4),
                    "tokens": (step + 1) * tokens,
                    "tokens_per_second": round(done * tokens / seconds),
                    # Of each device, without what is computed again; `mfu` is the part of its peak (PaLM, appendix B).
                    "tflops": float(f"{operations * done / seconds / 1e12:.4g}"),
                    "mfu": round(operations * done / seconds / 1e12 / peak, 4) if peak else None,
                    "seconds": round(seconds, 1),
                    "seconds_left": round(seconds / done * (recipe.schedule.steps - step - 1)),
                    "skipped": guard.skipped,
                    "loss_scale": scale,
                }
            )
            told = world.any(bool(stopping))
            if told or (step + 1) % recipe.save_every == 0:
                run.save(step + 1, model, optimizers, guard)
            if told:
                raise WorkFailed(f"stopped after step {step + 1}; the same command goes on from there.")
    log({"step": recipe.schedule.steps} | validate(model, validation, recipe, vocabulary))
    whole = run.whole_model(model)
    if world.main:
        metrics = "".join(json.dumps(record) + "\n" for record in run.records)
        # Half precision, as the released weights.
        write_model(output, ModuleSource(whole, "F16"), vocabulary, {"metrics.jsonl": metrics})
        run.remove()
    world.agree(None)
    return output


def backward(model: CodeGeeX, batch: Batch, recipe: Recipe, world: World, scale: float = 1.0) -> float:
    """Gradients of a step's mean loss over all places of all processes' parts, in nats per token; returns that loss.

    Args:
        batch: this process's part of the step, computed `micro_batch` windows at a time.
        scale: what the gradients, not the loss, are multiplied by.
    """
    everything = float(world.total(batch.weights.sum().to(world.device)))
    loss = torch.zeros((), device=world.device)
    parts = batch.split(recipe.layout.micro_batch or len(batch.input_ids))
    for part in parts:
        # Sharded gradients are averaged over the parts of the batch: the factor makes a sum of that.
        share = float(part.weights.sum()) / everything
        part_loss = batch_loss(model, part.to(world.device), recipe) * share
        torch.autograd.backward(part_loss * (world.data_size * scale))
        loss += part_loss.detach()
    return float(world.total(loss))


def _number(value: float, digits: int) -> float | None:
    """Rounded for the records; None where JSON has no word for it."""
    return round(value, digits) if math.isfinite(value) else None


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


def batch_loss(model: CodeGeeX, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """Mean loss of a batch in nats per token, with matrices multiplied in the recipe's precision."""
    dtype = getattr(torch, recipe.precision)
    with torch.autocast(batch.input_ids.device.type, dtype, enabled=dtype is not torch.float32):
        hidden = model.hidden(batch.input_ids, batch.position_ids, batch.mask).flatten(0, 1)
    return cross_entropy(
        hidden.to(dtype),
        model.word_embeddings.weight,
        batch.labels.flatten(),
        batch.weights.flatten(),
    )


@torch.no_grad()
def validate(
    model: CodeGeeX, sets: dict[str, Shards], recipe: Recipe, vocabulary: Tokenizer
) -> dict[str, dict[str, float]]:
    """How well the first `validation_windows` windows of each language are foretold.

    Returns:
        "validation": nats per token; "bits_per_byte": which models of other vocabularies can be compared by.
    """
    model.eval()
    losses, bits = {}, {}
    lengths = torch.tensor([len(vocabulary.decode_bytes([token])) for token in range(len(vocabulary))])
    for language, shards in sets.items():
        count = min(recipe.validation_windows, len(shards))
        totals = np.zeros(3)
        for first in range(0, count, recipe.batch_size):
            windows = np.stack([shards.window(index) for index in range(first, min(first + recipe.batch_size, count))])
            batch = make_batch(windows, vocabulary.end_of_text)
            weight = batch.weights.sum().item()
            size = float((lengths[batch.labels] * batch.weights).sum())
            loss = batch_loss(model, batch.to(model.word_embeddings.weight.device), recipe).item()
            totals += (loss * weight, weight, size)
        losses[language] = round(float(totals[0] / totals[1]), 4)
        bits[language] = round(float(totals[0] / math.log(2) / totals[2]), 4)
    model.train()
    return {"validation": losses, "bits_per_byte": bits}


def _validation_sets(recipe: Recipe, vocabulary: Tokenizer) -> dict[str, Shards]:
    if not recipe.data.validation:
        return {}
    root = Path(recipe.data.validation)
    if not root.is_dir():
        raise CodeGeeXError(f"no validation data at {root}.")
    return {path.name: _open(path, recipe, vocabulary) for path in sorted(root.iterdir()) if path.is_dir()}


def _open(path: str | Path, recipe: Recipe, vocabulary: Tokenizer) -> Shards:
    shards = Shards(path, recipe.data.sequence_length)
    if shards.meta["tokenizer"] != vocabulary.fingerprint:
        raise CodeGeeXError(f"{path} was made with another tokenizer than {recipe.data.tokenizer}.")
    return shards
