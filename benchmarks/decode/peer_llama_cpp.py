"""llama.cpp behind the protocol of `shapes.py`, through the low-level interface of llama-cpp-python.

The file comes from llama.cpp's own quantizer. All sequences of a step are one `llama_batch`; each has its own id and,
as `kv_unified` is off by default, its own key-value cache. The other defaults (flash attention, memory map, float16
cache) were measured beside their alternatives, and none was faster.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapes
from numpy.typing import NDArray
from shapes import Ids, Options, Shape

gguf = shapes.require("gguf")
llama = shapes.require("llama_cpp")
FORMATS = {
    "Q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q4_0": llama.LLAMA_FTYPE_MOSTLY_Q4_0,
    "f16": llama.LLAMA_FTYPE_MOSTLY_F16,
    "bf16": llama.LLAMA_FTYPE_MOSTLY_BF16,
}
UBATCH = 512
ERROR = 4
"""The log level of llama.cpp from which its messages are shown."""


class LlamaCpp:
    name = "llama.cpp"
    version = f"llama-cpp-python {llama.__version__}"

    def __init__(self, options: Options) -> None:
        llama.llama_log_set(show_errors, None)
        llama.llama_backend_init()
        self.options = options
        plain = shapes.built(options, "f32.gguf", lambda path: write(path, options.shape))
        file = shapes.built(options, f"{options.format}.gguf", lambda path: quantize(plain, path, options.format))
        self.model = llama.llama_model_load_from_file(os.fsencode(file), self.model_params())
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {file}.")
        self.contexts: dict[tuple[int, int], Any] = {}

    def model_params(self) -> Any:
        return llama.llama_model_default_params()

    def context_params(self, sequences: int, length: int) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = sequences * (-(-length // 256) * 256)
        params.n_batch = sequences * length
        params.n_ubatch = UBATCH
        params.n_seq_max = params.n_outputs_max = sequences
        params.n_threads = params.n_threads_batch = self.options.threads
        return params

    def prefill(self, prompt: Ids) -> NDArray[np.float32]:
        context, batch = self.context(1, len(prompt)), Batch(1, len(prompt))
        batch.tokens[:] = prompt
        return self.run(context, batch)[0].copy()

    def decode(self, prompts: list[Ids], tokens: int) -> float:
        sequences, length = len(prompts), len(prompts[0])
        context, batch = self.context(sequences, length + tokens), Batch(sequences, length)
        batch.tokens[:] = prompts
        last = self.run(context, batch).argmax(axis=-1)
        step = Batch(sequences, 1)
        began = time.perf_counter()
        for position in range(length, length + tokens):
            step.tokens[:, 0], step.positions[:] = last, position
            last = self.run(context, step).argmax(axis=-1)
        return time.perf_counter() - began

    def context(self, sequences: int, length: int) -> Any:
        """An empty context; those of the same size are one."""
        if (sequences, length) not in self.contexts:
            context = llama.llama_init_from_model(self.model, self.context_params(sequences, length))
            if not context:
                raise SystemExit(f"llama.cpp makes no context for {sequences} sequences of {length} tokens.")
            self.contexts[sequences, length] = context
        context = self.contexts[sequences, length]
        llama.llama_memory_clear(llama.llama_get_memory(context), False)
        return context

    def run(self, context: Any, batch: Batch) -> NDArray[np.float32]:
        """The logits [sequences, vocab] after the batch, in memory of llama.cpp."""
        if llama.llama_decode(context, batch.raw):
            raise SystemExit("llama_decode failed.")
        size = len(batch.tokens), self.options.shape.vocab
        return np.ctypeslib.as_array(llama.llama_get_logits(context), size)


class Batch:
    """A `llama_batch` of equally long pieces of several sequences, over arrays that can be written to."""

    def __init__(self, sequences: int, length: int) -> None:
        size = sequences, length
        self.tokens = np.zeros(size, np.int32)
        self.positions = np.broadcast_to(np.arange(length, dtype=np.int32), size).copy()
        self.owners = np.broadcast_to(np.arange(sequences, dtype=np.int32)[:, None], size).copy()
        self.owner_counts = np.ones(size, np.int32)
        self.owner_pointers = self.owners.ctypes.data + np.arange(self.owners.size, dtype=np.uintp) * 4
        self.wanted = np.zeros(size, np.int8)
        self.wanted[:, -1] = 1  # logits after the last token of each
        self.raw = llama.llama_batch(
            n_tokens=self.tokens.size,
            token=pointer(self.tokens, ctypes.c_int32),
            pos=pointer(self.positions, ctypes.c_int32),
            n_seq_id=pointer(self.owner_counts, ctypes.c_int32),
            seq_id=pointer(self.owner_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=pointer(self.wanted, ctypes.c_int8),
        )


def pointer(array: NDArray[Any], kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))


@llama.llama_log_callback
def show_errors(level: int, text: bytes, _: Any) -> None:
    if level == ERROR:
        os.write(2, text)


def no_vocabulary(writer: Any) -> None:
    writer.add_tokenizer_model("no_vocab")


def write(path: Path, shape: Shape, add_tokenizer: Callable[[Any], None] = no_vocabulary) -> None:
    """The model in float32."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(shape.vocab)
    add_tokenizer(writer)
    for name, tensor in shapes.weights(shape).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source: Path, path: Path, kind: str) -> None:
    """What the tool `llama-quantize` does."""
    params = llama.llama_model_quantize_default_params()
    params.ftype = FORMATS[kind]
    if llama.llama_model_quantize(os.fsencode(source), os.fsencode(path), params):
        raise SystemExit(f"llama.cpp cannot make {kind} of {source}.")


if __name__ == "__main__":
    shapes.serve(LlamaCpp, list(FORMATS))
