"""A GPT-2 with the shape and the tokenizer of a model directory, for llama.cpp: `build_gguf.py DIRECTORY TO`.

Runs in the peers' environment. Weights are random; the top query layer counts as one more layer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "decode"))

import gguf
import peer_llama_cpp as llama_cpp
from shapes import Shape


def main(directory: Path, target: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    shape = Shape(
        layers=config["num_layers"] + 1,
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        ffn=config["ffn_hidden_size"],
        vocab=config["vocab_size"],
        context=config["max_position_embeddings"],
    )
    plain = target / "f32.gguf"
    llama_cpp.write(plain, shape, lambda writer: add_tokenizer(writer, directory / "tokenizer.json", shape.vocab))
    llama_cpp.quantize(plain, target / "Q8_0.gguf", "Q8_0")


def add_tokenizer(writer: gguf.GGUFWriter, path: Path, size: int) -> None:
    """The byte-level BPE of a `tokenizer.json`; rows of the table without a token are unused."""
    content = json.loads(path.read_text(encoding="utf-8"))
    tokens = [f"<unused {index}>" for index in range(size)]
    kinds = [gguf.TokenType.UNUSED] * size
    for text, index in content["model"]["vocab"].items():
        tokens[index], kinds[index] = text, gguf.TokenType.NORMAL
    for added in content["added_tokens"]:
        tokens[added["id"]], kinds[added["id"]] = added["content"], gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in content["model"]["merges"]])
    writer.add_eos_token_id(size - 1)  # never drawn in practice, and needed


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
