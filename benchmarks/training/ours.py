"""`codegeex train` as a worker of `compare.py`: SHAPE BATCH LENGTH THREADS, see `turns.py`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from turns import SHAPES, Turns, prepare, random_documents

from codegeex import shards, tokenizer
from codegeex.tokenizer.train import MIN_SIZE
from codegeex.training import loop
from codegeex.training import recipe as recipes

shape, batch, length, threads, *overrides = sys.argv[1:]
prepare(int(threads))
hidden, layers, heads, vocab_size = SHAPES[shape]
turns = Turns(int(batch) * int(length))
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    vocabulary = tokenizer.train([], MIN_SIZE)
    (root / "tokenizer").mkdir()
    vocabulary.save(root / "tokenizer")
    with shards.create(root / "shards", vocab_size, vocabulary.fingerprint) as writer:
        for document in random_documents(200_000, vocab_size, vocabulary.end_of_text):
            writer.add(document.tolist(), "python")
    recipe = {
        "output": str(root / "model"),
        "model": {
            "hidden_size": hidden,
            "num_layers": layers,
            "num_attention_heads": heads,
            "vocab_size": vocab_size,
            "max_position_embeddings": int(length),
        },
        "data": {
            "tokenizer": str(root / "tokenizer"),
            "streams": [{"shards": str(root / "shards")}],
            "sequence_length": int(length),
        },
        # AdamW for everything, as the peers have it.
        "optimizer": {"muon_lr": 0, "adam_lr": 6e-4},
        "schedule": {"steps": 100_000, "warmup": 10},
        "batch_size": int(batch),
        "save_every": 100_000,
        "precision": "bfloat16",
    }
    (root / "recipe.yaml").write_text(json.dumps(recipe))

    def report(record: dict) -> None:
        if "loss" in record:
            turns.step(record["loss"])

    loop.train(recipes.load(root / "recipe.yaml", overrides), report)
