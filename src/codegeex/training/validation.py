"""What a model is worth while it trains: its loss on held-out text of every language, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codegeex import tokenizer
from codegeex.checkpoint import NativeSource
from codegeex.errors import CodeGeeXError
from codegeex.model.parallel import whole_logits
from codegeex.model.transformer import CodeGeeX
from codegeex.shards import Shards, Windows
from codegeex.tokenizer import Tokenizer
from codegeex.training.data import make_batch
from codegeex.training.examples import Examples
from codegeex.training.recipe import Data, Recipe, Stream
from codegeex.training.step import batch_loss, precision
from codegeex.training.weights import fill, starting_values


def open_windows(stream: Stream, recipe: Recipe, vocabulary: Tokenizer) -> Windows:
    """The windows of a stream.

    Raises:
        CodeGeeXError: it cannot be read, or was made with another tokenizer.
    """
    if stream.examples:
        return Examples(stream.examples, vocabulary, recipe.data.sequence_length, stream.stride)
    shards = Shards(stream.shards, recipe.data.sequence_length)
    if shards.meta["tokenizer"] != vocabulary.fingerprint:
        raise CodeGeeXError(f"{stream.shards} was made with another tokenizer than {recipe.data.tokenizer}.")
    return shards


def measure(model: Path, data: Path, windows: int, length: int = 0) -> dict[str, Any]:
    """The losses of a model directory on held-out text, as a training run would measure them; in float32.

    Args:
        model: of the native format.
        data: validation directory: token shards or examples, one set a language.
        windows: how many of each.
        length: tokens of a window; 0 for as many as the model holds.

    Returns:
        "validation": nats per token, and "bits_per_byte", of each language; None where they are not finite.

    Raises:
        CodeGeeXError: one of them is not there, or they belong to different tokenizers.
    """
    config = replace(NativeSource(model).config, quantization=None)  # int8 weights are computed with in float32
    longest = config.max_position_embeddings
    if not 0 <= length <= longest:
        raise CodeGeeXError(f"{model} holds {longest} tokens, no {length}.")
    recipe = Recipe(
        output="",
        start=str(model),
        model=config,
        data=Data(tokenizer=str(model), validation=str(data), sequence_length=length or longest),
        precision="float32",
        validation_windows=windows,
    )
    vocabulary = tokenizer.load(model)
    validation = Validation(recipe, vocabulary)
    if not validation.sets:
        raise CodeGeeXError(
            f"{data} holds no folder of token shards for each language; codegeex corpus build makes one with "
            "--set validation_share=0.02."
        )
    network = CodeGeeX(config)
    fill(network, starting_values(recipe, vocabulary))
    return validation.measure(network)


def _sets(root: Path) -> Iterator[tuple[str, Stream]]:
    """What lies in a validation directory, by its name without endings."""
    for path in sorted(root.iterdir()):
        name, dot, ending = path.name.partition(".")
        if path.is_dir():
            yield path.name, Stream(shards=str(path))
        elif f"{dot}{ending}" in (".jsonl", ".jsonl.gz"):
            yield name, Stream(examples=str(path))


def rounded(value: float, digits: int) -> float | None:
    """A number for the records; None where JSON has no word for it."""
    return round(value, digits) if math.isfinite(value) else None


class Validation:
    """The held-out text of a recipe.

    Raises:
        CodeGeeXError: it is not there.
    """

    def __init__(self, recipe: Recipe, vocabulary: Tokenizer):
        self._recipe, self._vocabulary = recipe, vocabulary
        self.sets: dict[str, Windows] = {}
        if recipe.data.validation:
            root = Path(recipe.data.validation)
            if not root.is_dir():
                raise CodeGeeXError(
                    f"no validation data at {root}; codegeex corpus build makes some with --set validation_share=0.02."
                )
            self.sets = {name: open_windows(stream, recipe, vocabulary) for name, stream in _sets(root)}
        self._lengths = torch.tensor([len(vocabulary.decode_bytes([token])) for token in range(len(vocabulary))])
        self._lengths[vocabulary.end_of_text] = 0  # it is no text
        self._prompts = [vocabulary.encode(prompt) for prompt in recipe.samples]

    @torch.no_grad()
    def measure(self, model: CodeGeeX, at_once: int = 1) -> dict[str, Any]:
        """How well `validation_windows` windows of each language are foretold, and what follows the prompts.

        Args:
            at_once: windows that are computed together.

        Returns:
            "validation": nats per token; "bits_per_byte": which models of other vocabularies can be compared by;
            "samples": prompt and text of each prompt of the recipe, if it has any.
        """
        model.eval()
        losses, bits = {}, {}
        for language, windows in self.sets.items():
            losses[language], bits[language] = self._loss(model, windows, at_once)
        record: dict[str, Any] = {"validation": losses, "bits_per_byte": bits}
        if self._prompts:
            record["samples"] = self._continue(model)
        model.train()
        return record

    def _loss(self, model: CodeGeeX, windows: Windows, at_once: int) -> tuple[float | None, float | None]:
        """Nats per token and bits per byte; None where they are not finite, or where no text is foretold."""
        recipe = self._recipe
        chosen = windows.spread(recipe.validation_windows)
        nats = tokens = size = 0.0
        for first in range(0, len(chosen), at_once):
            part = [windows.window(index) for index in chosen[first : first + at_once]]
            batch = make_batch(np.stack(part), self._vocabulary.end_of_text)
            weight = batch.weights.sum().item()
            size += float((self._lengths[batch.labels] * batch.weights).sum())
            tokens += weight
            nats += weight * batch_loss(model, batch.to(model.word_embeddings.weight.device), recipe).item()
        if not tokens or not size:
            return None, None
        return rounded(nats / tokens, 4), rounded(nats / math.log(2) / size, 4)

    def _continue(self, model: CodeGeeX) -> list[dict[str, str]]:
        """The likeliest continuation of each prompt.

        Without a cache: every process of a sharded model computes every token again, which takes as long as a few
        steps, and needs nothing that training has not. Texts of different lengths stand in one batch, as no place
        sees what comes after it.
        """
        recipe, end = self._recipe, self._vocabulary.end_of_text
        room = min(recipe.sample_tokens, model.config.max_position_embeddings - 1)
        prompts = [prompt[-(model.config.max_position_embeddings - room) :] or [end] for prompt in self._prompts]
        device = model.word_embeddings.weight.device
        ids = torch.full((len(prompts), max(map(len, prompts)) + room), end, device=device)
        for row, prompt in zip(ids, prompts, strict=True):
            row[: len(prompt)] = torch.tensor(prompt)
        rows = torch.arange(len(prompts), device=device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        for place in range(room):
            with precision(recipe, device):
                hidden = model.hidden(ids)[rows, lengths + place - 1]
                logits = whole_logits(model, hidden)[:, : len(self._vocabulary)]
            ids[rows, lengths + place] = logits.argmax(-1)
        samples = []
        for text, row, prompt in zip(recipe.samples, ids.tolist(), prompts, strict=True):
            answer = row[len(prompt) : len(prompt) + room]
            answer = answer[: answer.index(end)] if end in answer else answer
            samples.append({"prompt": text, "text": self._vocabulary.decode(answer)})
        return samples
