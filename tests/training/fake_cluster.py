"""Run by test_plan.py: process 0 of a cluster that is not there, with the shared out model; prints bytes it holds."""

import json
import sys
import warnings

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from codegeex.model.transformer import CodeGeeX
from codegeex.training import recipe as recipes
from codegeex.training.optimizer import make_optimizers
from codegeex.training.parallel import World

warnings.filterwarnings("ignore")
path, overrides, devices = sys.argv[1], sys.argv[2:-1], int(sys.argv[-1])
recipe = recipes.load(path, overrides)
distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=devices)
tensor = recipe.layout.tensor
mesh = init_device_mesh("cpu", (devices // tensor, tensor), mesh_dim_names=("data", "tensor"))
with torch.device("meta"):
    model = CodeGeeX(recipe.model)
World(torch.device("meta"), mesh).share(model, recipe.layout.reshard)


def size(tensor):
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local.numel() * local.element_size()


weights = sum(size(parameter) for parameter in model.parameters())
optimizers = make_optimizers(model, recipe.optimizer)
for parameter in model.parameters():
    parameter.grad = torch.zeros_like(parameter)
moments = 0
for optimizer in optimizers:
    muon = isinstance(optimizer, torch.optim.Muon)
    moments += sum(size(one) * (1 if muon else 2) for group in optimizer.param_groups for one in group["params"])
print(json.dumps({"weights": weights, "optimizer": moments}))
