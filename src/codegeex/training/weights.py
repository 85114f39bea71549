"""The weights that a run starts from.

A model is made without storage and shared out over the processes first. Then each parameter gets its values alone, so
that nobody ever holds more than one whole tensor beside its own part. Fresh values are drawn from a generator of each
parameter's own: they are the same in every layout.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from codegeex import tokenizer
from codegeex.checkpoint import NativeSource
from codegeex.errors import CodeGeeXError
from codegeex.model.loader import read_float32
from codegeex.model.transformer import CodeGeeX, initial_weight
from codegeex.tokenizer import Tokenizer
from codegeex.training import lora
from codegeex.training.recipe import Recipe

Values = Callable[[str, torch.Size], Tensor]
"""The whole float32 tensor of a parameter's name and shape."""


def starting_values(recipe: Recipe, vocabulary: Tokenizer) -> Values:
    """The weights that a recipe starts from: fresh ones, or those of a model directory.

    Args:
        vocabulary: of the data.

    Raises:
        CodeGeeXError: the directory holds no model, or one with another tokenizer than the data.
    """
    if not recipe.start:
        return lambda name, shape: _fresh(recipe, name, shape)
    source = NativeSource(recipe.start)
    if tokenizer.load(recipe.start).fingerprint != vocabulary.fingerprint:
        raise CodeGeeXError(f"{recipe.start} has another tokenizer than {recipe.data.tokenizer}.")

    def value(name: str, shape: torch.Size) -> Tensor:
        if lora.MARK in name:
            return _fresh(recipe, name, shape)
        return torch.from_numpy(read_float32(source, name.replace(lora.WEIGHT, ".weight")))

    return value


def _fresh(recipe: Recipe, name: str, shape: torch.Size) -> Tensor:
    """Random values (paper: N(0, 0.02), see `CodeGeeX.initialize`) that the seed determines."""
    generator = torch.Generator().manual_seed(derived_seed(recipe.seed, zlib.crc32(name.encode())))
    if lora.MARK in name:
        return lora.initial_adapter(name, shape, generator)
    return initial_weight(name, shape, recipe.model, generator=generator)


def derived_seed(*parts: int) -> int:
    """A seed that depends on all parts. PyTorch's generators look at 32 bits only: parts cannot stand side by side."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def fill(model: CodeGeeX, value: Values) -> None:
    """Give a model that has storage, and is shared out already, its weights, in place; each process keeps its part."""
    for name, parameter in model.named_parameters():
        whole = value(name, parameter.shape).to(parameter.device)
        if isinstance(parameter, DTensor):
            # Everyone has the same values: nothing is sent, and shares need not be of equal size.
            part = distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)
            with torch.no_grad():
                parameter.to_local().copy_(part.to_local())
        else:
            parameter.data.copy_(whole)
