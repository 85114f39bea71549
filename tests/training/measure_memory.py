"""Run by test_plan.py: the bytes by which this process grows over two steps of a recipe's run."""

import re
import sys
from pathlib import Path

import numpy as np
import torch

from codegeex.config import ModelConfig
from codegeex.model.transformer import CodeGeeX
from codegeex.training import recipe as recipes
from codegeex.training.data import make_batch
from codegeex.training.memory import keep_freed_memory
from codegeex.training.optimizer import make_optimizers
from codegeex.training.parallel import World, clip_gradients
from codegeex.training.step import backward

torch.set_num_threads(1)
keep_freed_memory()  # as a run does
world = World(torch.device("cpu"))


def run(recipe):
    windows = np.random.default_rng(0).integers(0, 300, (recipe.batch_size, recipe.data.sequence_length + 1))
    model = CodeGeeX(recipe.model).initialize()
    model.recompute = recipe.layout.recompute
    optimizers = make_optimizers(model, recipe.optimizer)
    for _ in range(2):
        backward(model, make_batch(windows, 299), recipe, world)
        clip_gradients(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


def peak():
    # Not `getrusage`, whose peak a process inherits from the one that started it.
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


recipe = recipes.load(sys.argv[1], sys.argv[2:])
tiny = recipes.load(sys.argv[1], [*sys.argv[2:], "data.sequence_length=8", "batch_size=1"])
object.__setattr__(tiny, "model", ModelConfig(32, 1, 2, 320, 64))
run(tiny)  # the libraries are loaded, their pools filled
before = peak()
run(recipe)
print(peak() - before)
