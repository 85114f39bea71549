"""Tensor parallelism: the weights of a model shared out over several processes (paper section 3.4).

Query, key, value and the first map of a feed-forward block are split by outputs, which gives each process whole heads;
the maps after them are split by inputs, and their outputs are added up. So a layer has two sums over the processes and
everything between its maps is as before. For training the vocabulary and the queries are split by rows as well (as in
the original): a lookup is then a sum, and the loss works on parts of the logits. Position embeddings, layer norms and
biases after a sum are held by every process.

Float weights become DTensors, so that gradients and FSDP work as usual. Int8 weights are for inference alone: each
process simply keeps its slice, and `Int8Linear` sums.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module
from torch.nn import functional as F

from codegeex.model.int8 import Int8Linear
from codegeex.model.transformer import CodeGeeX

BY_OUTPUTS = ("attention.query", "attention.key", "attention.value", "mlp.dense_h_to_4h")
BY_INPUTS = ("attention.dense", "mlp.dense_4h_to_h")
BY_ROWS = ("word_embeddings", "query_embeddings")


def parallelize(model: CodeGeeX, mesh: DeviceMesh, tables: bool = False) -> CodeGeeX:
    """Share out the weights of `model` over the processes of a mesh, in place.

    Args:
        model: whole, with the same weights in every process (DTensor takes the float ones of the first).
        mesh: in one dimension.
        tables: the vocabulary and the queries as well; what `model.logits` gave, `whole_logits` gives then.

    Raises:
        CodeGeeXError: what is split is not a multiple of the processes.
    """
    degree = mesh.size()
    model.config.check_divisible(degree, tables)
    for layer in (*model.layers, model.top_query_layer):
        plan: dict[str, ParallelStyle] = {}
        for name in (*BY_OUTPUTS, *BY_INPUTS):
            module = layer.get_submodule(name)
            if isinstance(module, Int8Linear):
                if name in BY_OUTPUTS:
                    module.shard_outputs(mesh.get_local_rank(), degree)
                else:
                    module.shard_inputs(mesh.get_local_rank(), degree, mesh.get_group())
            else:
                plan[name] = ColwiseParallel() if name in BY_OUTPUTS else RowwiseParallel()
        if plan:
            parallelize_module(layer, mesh, plan)
    if tables:
        parallelize_module(model, mesh, {name: RowwiseParallel(input_layouts=Replicate()) for name in BY_ROWS})
    return model


def whole_logits(model: CodeGeeX, hidden: Tensor) -> Tensor:
    """`model.logits` of [..., h], also where several processes share the vocabulary; all have to ask."""
    table = model.word_embeddings.weight
    if not isinstance(table, DTensor):
        return model.logits(hidden)
    everywhere = DTensor.from_local(hidden, table.device_mesh, [Replicate()])
    return cast(DTensor, F.linear(everywhere, table)).full_tensor().float()
