"""The run: batches in, a model directory out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codegeex import tokenizer
from codegeex.checkpoint import write_model
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.files import atomic_directory
from codegeex.model.loader import ModuleSource
from codegeex.model.loss import cross_entropy
from codegeex.model.transformer import CodeGeeX
from codegeex.shards import Shards
from codegeex.tokenizer import Tokenizer
from codegeex.training.data import Batch, Mixture, make_batch
from codegeex.training.optimizer import make_optimizers, set_rate
from codegeex.training.recipe import Recipe

Report = Callable[[dict[str, Any]], None]
"""Called with one flat record for every logged event: {"step", "loss", ...} or {"step", "validation": {...}}."""


def train(recipe: Recipe, report: Report = lambda record: None) -> Path:
    """Train a model as `recipe` says and write its directory; returns the directory.

    The run's records are kept in `metrics.jsonl` inside it.

    Raises:
        CodeGeeXError: the data does not fit the recipe, or the output exists.
        WorkFailed: the loss became infinite or NaN.
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
    with atomic_directory(output):  # an output that cannot be written is found now, not after the last step
        pass
    output.rmdir()

    torch.manual_seed(recipe.seed)
    model = CodeGeeX(config).initialize()
    optimizers = make_optimizers(model, recipe.optimizer)
    records: list[dict[str, Any]] = []

    def log(record: dict[str, Any]) -> None:
        records.append(record)
        report(record)

    began = time.monotonic()
    for step in range(recipe.schedule.steps):
        if step % recipe.validate_every == 0:
            log({"step": step, "validation": validate(model, validation, recipe, vocabulary.end_of_text)})
        factor = recipe.schedule.factor(step)
        set_rate(optimizers, factor)
        batch = make_batch(mixture.windows(step), vocabulary.end_of_text)
        loss = batch_loss(model, batch, recipe)
        torch.autograd.backward(loss)
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.clip))
        if not math.isfinite(norm):
            raise WorkFailed(f"step {step}: the gradient is not finite; lower the learning rates.")
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - began
        log(
            {
                "step": step + 1,
                "steps": recipe.schedule.steps,
                "loss": round(loss.item(), 4),
                "gradient_norm": round(norm, 3),
                "rate": round(factor, 4),
                "tokens": (step + 1) * batch.input_ids.numel(),
                "tokens_per_second": round((step + 1) * batch.input_ids.numel() / seconds),
                "seconds": round(seconds, 1),
                "seconds_left": round(seconds / (step + 1) * (recipe.schedule.steps - step - 1)),
            }
        )
    final = validate(model, validation, recipe, vocabulary.end_of_text)
    log({"step": recipe.schedule.steps, "validation": final})
    metrics = "".join(json.dumps(record) + "\n" for record in records)
    # Half precision, as the released weights.
    write_model(output, ModuleSource(model, "F16"), vocabulary, {"metrics.jsonl": metrics})
    return output


def batch_loss(model: CodeGeeX, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """Mean loss of a batch in nats per token, with matrices multiplied in the recipe's precision."""
    low = recipe.precision == "bfloat16"
    with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=low):
        hidden = model.hidden(batch.input_ids, batch.position_ids, batch.mask).flatten(0, 1)
    return cross_entropy(
        hidden.to(torch.bfloat16 if low else torch.float32),
        model.word_embeddings.weight,
        batch.labels.flatten(),
        batch.weights.flatten(),
    )


@torch.no_grad()
def validate(model: CodeGeeX, sets: dict[str, Shards], recipe: Recipe, end_of_text: int) -> dict[str, float]:
    """Loss in nats per token for each language, over its first `validation_windows` windows."""
    model.eval()
    losses = {}
    for language, shards in sets.items():
        count = min(recipe.validation_windows, len(shards))
        totals = np.zeros(2)
        for first in range(0, count, recipe.batch_size):
            windows = np.stack([shards.window(index) for index in range(first, min(first + recipe.batch_size, count))])
            batch = make_batch(windows, end_of_text)
            weight = batch.weights.sum().item()
            totals += (batch_loss(model, batch, recipe).item() * weight, weight)
        losses[language] = round(float(totals[0] / totals[1]), 4)
    model.train()
    return losses


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
