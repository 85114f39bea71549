"""Hugging Face's Trainer and its GPT-2 as a worker of `compare.py`: SHAPE BATCH LENGTH THREADS, see `turns.py`."""

from __future__ import annotations

import sys
import tempfile

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
from turns import SHAPES, Turns, prepare, random_documents

shape, batch, length, threads = sys.argv[1], *map(int, sys.argv[2:5])
prepare(threads)
hidden, layers, heads, vocab_size = SHAPES[shape]
turns = Turns(batch * length)
config = GPT2Config(
    vocab_size=vocab_size,
    n_positions=length,
    n_embd=hidden,
    n_layer=layers + 1,
    n_head=heads,
    resid_pdrop=0.0,
    embd_pdrop=0.0,
    attn_pdrop=0.0,
    use_cache=False,
)
ids = np.concatenate(random_documents(200_000, vocab_size, 0))
windows = torch.from_numpy(ids[: len(ids) // length * length].reshape(-1, length))


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return len(windows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": windows[index], "labels": windows[index]}


class Hold(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs) -> None:
        turns.step(0.0)


with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=batch,
        max_steps=100_000,
        learning_rate=6e-4,
        weight_decay=0.1,
        adam_beta2=0.95,
        warmup_steps=10,
        bf16=True,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
    )
    model = GPT2LMHeadModel(config)
    Trainer(model, arguments, train_dataset=Rows(), callbacks=[Hold()]).train()
