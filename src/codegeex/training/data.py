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


def _chosen(chances: NDArray[np.float64], recipe: Recipe, decaying: bool) -> NDArray[np.intp]:
    """The stream that each number from [0, 1) falls on, in one phase of the schedule."""
    ends = np.cumsum([stream.share(decaying) for stream in recipe.data.streams])
    return np.searchsorted(ends / ends[-1], chances, side="right")


class Mixture:
    """The training windows of a recipe by step: the same for a given seed, whatever was read before."""

    def __init__(self, recipe: Recipe, streams: Sequence[Windows]):
        self.streams, self.batch_size, self.seed = streams, recipe.batch_size, recipe.seed
        # Which stream each window comes from, and how many it has given before.
        chances = np.random.default_rng([recipe.seed, 1]).random(recipe.schedule.steps * recipe.batch_size)
        plateau = recipe.schedule.decay_begins * recipe.batch_size
        choices = np.concatenate([_chosen(chances[:plateau], recipe, False), _chosen(chances[plateau:], recipe, True)])
        self._choices = choices
        self._places = np.empty(len(choices), dtype=np.int64)
        for stream in range(len(streams)):
            chosen = choices == stream
            self._places[chosen] = np.arange(chosen.sum())

    def windows(self, step: int) -> NDArray[np.int64]:
        """The windows of `step`, [batch_size, sequence_length + 1]."""
        first = step * self.batch_size
        return np.stack(
            [
                self.streams[self._choices[index]].shuffled(int(self._places[index]), self.seed)
                for index in range(first, first + self.batch_size)
            ]
        )
