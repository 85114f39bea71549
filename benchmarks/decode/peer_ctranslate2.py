"""CTranslate2 behind the protocol of `shapes.py`. The model is written with CTranslate2's own specification classes.

The time of a token is when its callback comes. The callback adds a call into Python for each token of each sequence.
With MKL forced on an AMD processor it takes ten times as long; its own choice there is oneDNN.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import shapes
from numpy.typing import NDArray
from shapes import Ids, Options, Shape

if " avx512f " in Path("/proc/cpuinfo").read_text():
    os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")  # it takes AVX2 by itself on AMD, which is a little slower
ctranslate2 = shapes.require("ctranslate2")
FORMATS = {"int8": "int8", "fp32": "float32"}


class CTranslate2:
    name = "CTranslate2"
    version = ctranslate2.__version__

    def __init__(self, options: Options) -> None:
        kind = FORMATS[options.format]
        directory = shapes.built(options, f"ctranslate2-{kind}", lambda path: write(path, options.shape, kind))
        self.generator = ctranslate2.Generator(
            str(directory), device="cpu", compute_type=kind, inter_threads=1, intra_threads=options.threads
        )

    def generate(self, prompts: list[Ids], tokens: int, **more: Any) -> Any:
        return self.generator.generate_batch(
            [[str(token) for token in prompt] for prompt in prompts],
            min_length=tokens,  # beyond the end token
            max_length=tokens,
            include_prompt_in_result=False,  # the way with one pass over the prompt
            **more,
        )

    def prefill(self, prompt: Ids) -> NDArray[np.float32]:
        (result,) = self.generate([prompt], 1, return_logits_vocab=True)
        return np.array(result.logits[0], dtype=np.float32).reshape(-1)

    def decode(self, prompts: list[Ids], tokens: int) -> float:
        times: list[float] = []
        self.generate(prompts, tokens + 1, callback=lambda _: times.append(time.perf_counter()))
        return times[-1] - times[len(prompts) - 1]


def write(path: Path, shape: Shape, kind: str) -> None:
    """The model directory, its vocabulary the ids as text."""
    common, transformer = ctranslate2.specs.common_spec, ctranslate2.specs.transformer_spec
    spec = transformer.TransformerDecoderModelSpec.from_config(
        shape.layers, shape.heads, pre_norm=True, activation=common.Activation.GELUTanh
    )
    tensors = shapes.weights(shape)

    def norm(target: Any, name: str) -> None:
        target.gamma, target.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    def linear(target: Any, name: str) -> None:
        target.weight, target.bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = decoder.projection.weight = tensors["token_embd.weight"]
    decoder.position_encodings.encodings = tensors["position_embd.weight"]
    norm(decoder.layer_norm, "output_norm")
    for index, layer in enumerate(decoder.layer):
        norm(layer.self_attention.layer_norm, f"blk.{index}.attn_norm")
        linear(layer.self_attention.linear[0], f"blk.{index}.attn_qkv")
        linear(layer.self_attention.linear[1], f"blk.{index}.attn_output")
        norm(layer.ffn.layer_norm, f"blk.{index}.ffn_norm")
        linear(layer.ffn.linear_0, f"blk.{index}.ffn_up")
        linear(layer.ffn.linear_1, f"blk.{index}.ffn_down")
    spec.register_vocabulary(list(map(str, range(shape.vocab))))
    spec.config.bos_token = spec.config.unk_token = "0"
    spec.config.eos_token = str(shape.vocab - 1)
    spec.validate()
    spec.optimize(quantization=kind)
    path.mkdir()
    spec.save(str(path))


if __name__ == "__main__":
    shapes.serve(CTranslate2, list(FORMATS))
