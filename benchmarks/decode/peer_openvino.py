"""OpenVINO behind the protocol of `shapes.py`: a stateful model whose matrices are int8 with a scale for each row.

The graph is put together here as its exporters write it: the weights as int8 → float → times scale, keys and values as
variables that the sequences append to, `beam_idx` to reorder them, and `ScaledDotProductAttention`. These are the
patterns that the CPU plugin fuses. Activations and the cache have the types that the plugin chooses (bfloat16 and uint8
where the processor has bfloat16); float32, a float16 cache and no dynamic quantisation were measured, and none was
faster in all. The same weights exported by optimum-intel 2.2 with int8 weights give the same logits within 0.07, where
they spread by 0.44, at 0.71-0.86 of this graph's speed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import shapes
from numpy.typing import NDArray
from shapes import Ids, Options, Shape

openvino = shapes.require("openvino")
ops = shapes.require("openvino.opset13")
variables = shapes.require("openvino.op.util")
FORMATS = ("int8", "fp32")


class OpenVINO:
    name = "OpenVINO"
    version = openvino.__version__

    def __init__(self, options: Options) -> None:
        name = f"openvino-{options.format}"
        directory = shapes.built(options, name, lambda path: write(path, options.shape, options.format))
        core = openvino.Core()
        self.compiled = core.compile_model(core.read_model(directory / "model.xml"), "CPU", self.settings(options))
        self.request = self.compiled.create_infer_request()

    def settings(self, options: Options) -> dict[str, Any]:
        return {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": options.threads}

    def prefill(self, prompt: Ids) -> NDArray[np.float32]:
        self.request.reset_state()
        return self.run(np.array([prompt]), 0)[0].copy()

    def decode(self, prompts: list[Ids], tokens: int) -> float:
        length = len(prompts[0])
        self.request.reset_state()
        last = self.run(np.array(prompts), 0).argmax(axis=-1)
        began = time.perf_counter()
        for position in range(length, length + tokens):
            last = self.run(last[:, None], position).argmax(axis=-1)
        return time.perf_counter() - began

    def run(self, ids: NDArray[np.int64], past: int) -> NDArray[np.float32]:
        """The logits [sequences, vocab] after `ids` [sequences, length], which follow `past` others."""
        sequences, length = ids.shape
        positions = np.arange(past, past + length)
        mask = np.where(np.arange(past + length) <= positions[:, None], 0, -np.inf).astype(np.float32)
        inputs = {
            "input_ids": ids,
            "position_ids": np.broadcast_to(positions, ids.shape).copy(),
            "mask": mask[None, None],
            "beam_idx": np.arange(sequences, dtype=np.int32),
        }
        self.request.infer(inputs, share_inputs=True)
        logits: NDArray[np.float32] = self.request.get_output_tensor().data[:, -1]
        return logits


def write(path: Path, shape: Shape, kind: str) -> None:
    """The model directory."""
    tensors = shapes.weights(shape)
    size = shape.hidden // shape.heads
    sinks = []

    def matrix(name: str) -> Any:
        values = tensors[f"{name}.weight"]
        if kind == "fp32":
            return ops.constant(values)
        scales = np.abs(values).max(axis=1, keepdims=True) / 127
        quantized = ops.constant(np.rint(values / scales).astype(np.int8))
        return ops.multiply(ops.convert(quantized, np.float32), ops.constant(scales))

    def vector(name: str) -> Any:
        return ops.constant(tensors[name][None, None])

    def linear(x: Any, name: str) -> Any:
        return ops.add(ops.matmul(x, matrix(name), False, True), vector(f"{name}.bias"))

    def norm(x: Any, name: str) -> Any:
        normal = ops.mvn(x, ops.constant([-1]), True, 1e-5, "INSIDE_SQRT")
        return ops.add(ops.multiply(normal, vector(f"{name}.weight")), vector(f"{name}.bias"))

    def heads(x: Any) -> Any:
        split = ops.reshape(x, ops.constant([0, 0, shape.heads, size]), True)
        return ops.transpose(split, ops.constant([0, 2, 1, 3]))

    def remembered(x: Any, name: str) -> Any:
        """`x` behind what the variable holds, which it then holds too."""
        info = variables.VariableInfo()
        info.data_shape = openvino.PartialShape([-1, shape.heads, -1, size])
        info.data_type = openvino.Type.f32
        info.variable_id = name
        variable = variables.Variable(info)
        empty = ops.broadcast(ops.constant(np.float32(0)), ops.concat([count, ops.constant([shape.heads, 0, size])], 0))
        past = ops.gather(ops.read_value(empty, variable), beams, ops.constant(0))
        whole = ops.concat([past, x], 2)
        sinks.append(ops.assign(whole, variable))
        return whole

    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    positions = ops.parameter([-1, -1], np.int64, name="position_ids")
    mask = ops.parameter([1, 1, -1, -1], np.float32, name="mask")
    beams = ops.parameter([-1], np.int32, name="beam_idx")
    parameters = [ids, positions, mask, beams]
    for parameter in parameters:
        parameter.output(0).set_names({parameter.friendly_name})
    count = ops.gather(ops.shape_of(ids), ops.constant([0]), ops.constant(0))

    word = matrix("token_embd")
    x = ops.add(
        ops.gather(word, ids, ops.constant(0)),
        ops.gather(ops.constant(tensors["position_embd.weight"]), positions, ops.constant(0)),
    )
    for index in range(shape.layers):
        block = f"blk.{index}"
        projected = ops.split(linear(norm(x, f"{block}.attn_norm"), f"{block}.attn_qkv"), ops.constant(2), 3)
        query, key, value = (heads(projected.output(part)) for part in range(3))
        key, value = remembered(key, f"{index}.key"), remembered(value, f"{index}.value")
        attended = ops.transpose(ops.scaled_dot_product_attention(query, key, value, mask), ops.constant([0, 2, 1, 3]))
        merged = ops.reshape(attended, ops.constant([0, 0, shape.hidden]), True)
        x = ops.add(x, linear(merged, f"{block}.attn_output"))
        raised = ops.gelu(linear(norm(x, f"{block}.ffn_norm"), f"{block}.ffn_up"), "tanh")
        x = ops.add(x, linear(raised, f"{block}.ffn_down"))
    last = ops.gather(norm(x, "output_norm"), ops.constant([-1]), ops.constant(1))
    logits = ops.matmul(last, word, False, True)
    model = openvino.Model([ops.result(logits)], sinks, parameters)
    path.mkdir()
    openvino.save_model(model, path / "model.xml", compress_to_fp16=False)


if __name__ == "__main__":
    shapes.serve(OpenVINO, FORMATS)
