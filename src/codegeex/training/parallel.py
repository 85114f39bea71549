"""Several processes that train one model, started by `torchrun` (paper section 3.4: tensor and data parallelism, ZeRO).

The processes form a grid [data, tensor]. Along `tensor` each layer's maps are shared out (`model.parallel`). Along
`data` every row takes its part of the batch, and weights, gradients and optimiser state are sharded (FSDP2). One
process is the grid [1, 1] without any of that.

All processes run the same steps. Only the first one, `main`, writes and reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from codegeex.model.parallel import parallelize
from codegeex.model.transformer import CodeGeeX
from codegeex.training.recipe import Recipe, grid
from codegeex.training.weights import derived_seed


@dataclass(frozen=True)
class World:
    """This process among those of the run.

    Attributes:
        device: where it computes.
        mesh: the grid [data, tensor]; None for a single process.
    """

    device: torch.device
    mesh: DeviceMesh | None = None

    @classmethod
    def join(cls, recipe: Recipe) -> World:
        """Find the other processes, if there are any.

        Raises:
            CodeGeeXError: the processes do not fit the recipe's layout, or the batch cannot be shared out evenly.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        shape = grid(recipe, size)
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        device = accelerator or torch.device("cpu")
        if size == 1:
            return cls(device)
        if accelerator is not None:
            torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
        if not distributed.is_initialized():
            distributed.init_process_group()
        return cls(device, init_device_mesh(device.type, shape, mesh_dim_names=("data", "tensor")))

    @property
    def main(self) -> bool:
        return self.mesh is None or distributed.get_rank() == 0

    @property
    def size(self) -> int:
        """Processes."""
        return 1 if self.mesh is None else self.mesh.size()

    @property
    def data_size(self) -> int:
        """Parts of a batch."""
        return 1 if self.mesh is None else self.mesh["data"].size()

    @property
    def data_rank(self) -> int:
        """Which part of a batch is this process's."""
        return 0 if self.mesh is None else self.mesh["data"].get_local_rank()

    def part(self, batch_size: int) -> slice:
        """The windows of a batch that are this process's."""
        count = batch_size // self.data_size
        return slice(self.data_rank * count, (self.data_rank + 1) * count)

    def windows(self, recipe: Recipe) -> int:
        """Windows that this process computes at a time."""
        own = recipe.batch_size // self.data_size
        return min(recipe.layout.micro_batch or own, own)

    def seed(self, seed: int, step: int) -> None:
        """Let what dropout draws depend on the run's seed, the step and the part of the batch, and on nothing else."""
        torch.manual_seed(derived_seed(seed, step, self.data_rank))

    def total(self, value: Tensor) -> Tensor:
        """The sum of a number over all parts of the batch."""
        if self.mesh is not None:
            distributed.all_reduce(value, group=self.mesh["data"].get_group())
        return value

    def any(self, value: bool) -> bool:
        """Whether `value` is true in some process."""
        if self.mesh is None:
            return value
        flag = torch.tensor(int(value), device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def agree(self, value: Any) -> Any:
        """The main process's `value`."""
        if self.mesh is None:
            return value
        values = [value]
        distributed.broadcast_object_list(values, device=self.device)
        return values[0]

    def share(self, model: CodeGeeX, reshard: bool) -> None:
        """Share the weights of `model`, which need no storage yet, out over the grid, in place."""
        if self.mesh is None:
            return
        if self.mesh["tensor"].size() > 1:
            parallelize(model, self.mesh["tensor"], tables=True)
        for layer in (*model.layers, model.top_query_layer):
            fully_shard(layer, mesh=self.mesh["data"], reshard_after_forward=reshard)
        fully_shard(model, mesh=self.mesh["data"], reshard_after_forward=False)  # the loss needs the embeddings
        register_fsdp_forward_method(model, "hidden")  # type: ignore[no-untyped-call]


def clip_gradients(parameters: Iterable[nn.Parameter], most: float, scale: float = 1.0) -> float:
    """Divide gradients by `scale`, and make their global norm at most `most`; returns what the norm was in between."""
    meshes: dict[DeviceMesh | None, list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            mesh = parameter.device_mesh if isinstance(parameter, DTensor) else None
            meshes.setdefault(mesh, []).append(parameter)
    # Norms of tensors on different grids cannot be stacked before they are whole.
    norms = []
    for group in meshes.values():
        norm = nn.utils.get_total_norm([parameter.grad for parameter in group if parameter.grad is not None])
        norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    total = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    for group in meshes.values():
        if scale != 1:
            torch._foreach_div_([parameter.grad for parameter in group if parameter.grad is not None], scale)
        nn.utils.clip_grads_with_norm_(group, most, total / scale)
    return float(total / scale)
