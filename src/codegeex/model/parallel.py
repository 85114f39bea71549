"""Tensor parallelism: the linear maps of a model shared out over several processes (paper section 3.4).

Query, key, value and the first map of a feed-forward block are split by outputs, which gives each process whole heads;
the maps after them are split by inputs, and their outputs are added up. So a layer has two sums over the processes and
everything between its maps is as before. Embeddings, layer norms and biases after a sum are held by every process.

Float weights become DTensors, so that gradients and FSDP work as usual. Int8 weights are for inference alone: each
process simply keeps its slice, and `Int8Linear` sums.
"""

from __future__ import annotations

from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from codegeex.errors import CodeGeeXError
from codegeex.model.int8 import Int8Linear
from codegeex.model.transformer import CodeGeeX

BY_OUTPUTS = ("attention.query", "attention.key", "attention.value", "mlp.dense_h_to_4h")
BY_INPUTS = ("attention.dense", "mlp.dense_4h_to_h")


def parallelize(model: CodeGeeX, mesh: DeviceMesh) -> CodeGeeX:
    """Share out the weights of `model` over the processes of a mesh, in place.

    Args:
        model: whole, with the same weights in every process (DTensor takes the float ones of the first).
        mesh: in one dimension.

    Raises:
        CodeGeeXError: the heads or the inner width of the model are not a multiple of the processes.
    """
    degree = mesh.size()
    for what, size in (("heads", model.config.num_attention_heads), ("inner width", model.config.ffn_hidden_size)):
        if size % degree:
            raise CodeGeeXError(f"the model's {what}, {size}, cannot be shared evenly among {degree} processes.")
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
    return model
