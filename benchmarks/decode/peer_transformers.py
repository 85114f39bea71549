"""Hugging Face transformers behind the protocol of `shapes.py`: `generate` with its cache, in PyTorch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import shapes
from numpy.typing import NDArray
from shapes import Ids, Options

torch = shapes.require("torch")
transformers = shapes.require("transformers")
FORMATS = {"bf16": torch.bfloat16, "fp32": torch.float32}
LAYER = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
"""From the names in GGUF files to those of transformers."""
OUTSIDE = {"token_embd": "wte", "position_embd": "wpe", "output_norm": "ln_f"}


class Transformers:
    name = "transformers"
    version = f"{transformers.__version__}, torch {torch.__version__}"

    def __init__(self, options: Options) -> None:
        torch.set_num_threads(options.threads)
        torch.set_grad_enabled(False)
        shape = options.shape
        config = transformers.GPT2Config(
            vocab_size=shape.vocab,
            n_positions=shape.context,
            n_embd=shape.hidden,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_inner=shape.ffn,
            attn_implementation="sdpa",
            bos_token_id=None,
            eos_token_id=None,
        )
        self.model = transformers.GPT2LMHeadModel(config).eval()
        state = {renamed(name): torch.from_numpy(tensor) for name, tensor in shapes.weights(shape).items()}
        for name, tensor in state.items():
            if ".c_" in name and name.endswith(".weight"):  # transformers keeps these as [in, out]
                state[name] = tensor.T
        self.model.transformer.load_state_dict(state)
        self.model.to(FORMATS[options.format])

    def prefill(self, prompt: Ids) -> NDArray[np.float32]:
        output = self.model(torch.tensor([prompt]), use_cache=True, logits_to_keep=1)
        logits: NDArray[np.float32] = output.logits[0, -1].float().numpy()
        return logits

    def decode(self, prompts: list[Ids], tokens: int) -> float:
        ids = torch.tensor(prompts)
        times: list[float] = []

        def stamp(*_: Any, **__: Any) -> Any:
            """A stopping criterion that stops nothing and notes when each token came."""
            times.append(time.perf_counter())
            return torch.zeros(len(prompts), dtype=torch.bool)

        self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens + 1,
            max_new_tokens=tokens + 1,
            use_cache=True,
            stopping_criteria=[stamp],
        )
        return times[-1] - times[0]


def renamed(name: str) -> str:
    """`blk.0.ffn_up.weight` is `h.0.mlp.c_fc.weight`."""
    match name.split("."):
        case ["blk", index, module, kind]:
            return f"h.{index}.{LAYER[module]}.{kind}"
        case [module, kind]:
            return f"{OUTSIDE[module]}.{kind}"
    raise AssertionError(name)


if __name__ == "__main__":
    shapes.serve(Transformers, list(FORMATS))
