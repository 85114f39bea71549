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
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.tensor import DTensor

from codegeex import tokenizer
from codegeex.checkpoint import NativeSource
from codegeex.errors import CodeGeeXError
from codegeex.model.loader import read_float32
from codegeex.model.transformer import CodeGeeX, initial_weight
from codegeex.training.recipe import Recipe

Values = Callable[[str], Tensor]
"""The whole float32 tensor of a parameter's name."""


def starting_values(recipe: Recipe) -> Values:
    """The weights that a recipe starts from: fresh ones, or those of a model directory.

    Raises:
        CodeGeeXError: the directory holds no model, or one with another tokenizer than the data.
    """
    if not recipe.start:
        return fresh_values(recipe)
    source = NativeSource(recipe.start)
    if tokenizer.load(recipe.start).fingerprint != tokenizer.load(recipe.data.tokenizer).fingerprint:
        raise CodeGeeXError(f"{recipe.start} has another tokenizer than {recipe.data.tokenizer}.")
    return lambda name: torch.from_numpy(read_float32(source, name))


def fresh_values(recipe: Recipe) -> Values:
    """Random weights (paper: N(0, 0.02), see `CodeGeeX.initialize`) that the seed determines."""
    with torch.device("meta"):
        shapes = {name: parameter.shape for name, parameter in CodeGeeX(recipe.model).named_parameters()}

    def value(name: str) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(recipe.seed, zlib.crc32(name.encode())))
        return initial_weight(name, shapes[name], recipe.model, generator=generator)

    return value


def derived_seed(*parts: int) -> int:
    """A seed that depends on all parts. PyTorch's generators look at 32 bits only: parts cannot stand side by side."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def materialize(model: CodeGeeX, device: torch.device, value: Values) -> None:
    """Give a model without storage its weights, in place; of each tensor a process keeps its part.

    Args:
        model: on the meta device, shared out already.
        device: where its weights go.
    """
    model.to_empty(device=device)
    options = StateDictOptions(full_state_dict=True, strict=False)
    for name, parameter in model.named_parameters():
        if isinstance(parameter, DTensor):
            set_model_state_dict(model, {name: value(name).to(device)}, options=options)
        else:
            parameter.data.copy_(value(name))
