"""Batches: windows of token shards, mixed by weight, with document masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codegeex.shards import Windows
from codegeex.training.recipe import Recipe


@dataclass(frozen=True)
class Batch:
    """B windows of T tokens.

    Attributes:
        input_ids: [B, T].
        labels: [B, T] the token that follows each place.
        position_ids: [B, T] restarting at 0 after every end-of-text (the original's `eod_reset`).
        documents: [B, T] the number of the document in its window that each place belongs to.
        weights: [B, T] 0 where the input is end-of-text (what follows is another document) or what follows is not to be
            foretold, else 1.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    documents: Tensor
    weights: Tensor

    @property
    def mask(self) -> Tensor:
        """[B, 1, T, T] True where attention is allowed: causal, within one document."""
        places = self.documents.shape[1]
        causal = torch.ones(places, places, dtype=torch.bool, device=self.documents.device).tril()
        return ((self.documents[:, :, None] == self.documents[:, None, :]) & causal).unsqueeze(1)

    def split(self, windows: int) -> list[Batch]:
        """Batches of at most so many windows each."""
        pieces = (torch.split(getattr(self, field.name), windows) for field in fields(self))
        return [Batch(*piece) for piece in zip(*pieces, strict=True)]

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def make_batch(windows: NDArray[np.int64], end_of_text: int) -> Batch:
    """A batch from `windows` [B, T + 1], see `codegeex.shards.Windows`."""
    ids = torch.from_numpy(np.maximum(windows, ~windows))
    learned = torch.from_numpy(windows[:, 1:] >= 0)
    inputs, labels = ids[:, :-1], ids[:, 1:]
    ended = inputs == end_of_text
    # The end-of-text token belongs to the document that it ends.
    document = ended.cumsum(1) - ended.long()  # [B, T]
    places = torch.arange(inputs.shape[1]).expand_as(inputs)
    starts = torch.where(torch.diff(document, prepend=document[:, :1]) > 0, places, 0).cummax(1).values
    return Batch(inputs, labels, places - starts, document, (learned & ~ended).float())


class Mixture:
    """The training windows of a recipe by step: the same for a given seed, whatever was read before.

    Attributes:
        choices: [steps, batch_size] the stream that each window comes from; a byte each, as long runs have a billion.
    """

    def __init__(self, recipe: Recipe, streams: Sequence[Windows]):
        self.streams, self.seed = streams, recipe.seed
        schedule, chances = recipe.schedule, np.random.default_rng([recipe.seed, 1])
        self.choices = np.empty((schedule.steps, recipe.batch_size), dtype=np.min_scalar_type(len(streams)))
        taken = np.zeros((schedule.steps + 1, len(streams)), dtype=np.int64)
        for step, row in enumerate(self.choices):
            ends = np.cumsum([stream.share(step >= schedule.decay_begins) for stream in recipe.data.streams])
            row[:] = np.searchsorted(ends / ends[-1], chances.random(recipe.batch_size), side="right")
            taken[step + 1] = np.bincount(row, minlength=len(streams))
        self._taken = taken.cumsum(0)  # what each stream has given before a step

    def windows(self, step: int) -> NDArray[np.int64]:
        """The windows of `step`, [batch_size, sequence_length + 1]."""
        places, windows = self._taken[step].copy(), []
        for stream in self.choices[step]:
            windows.append(self.streams[stream].shuffled(int(places[stream]), self.seed))
            places[stream] += 1
        return np.stack(windows)
