"""Short runs of a recipe with one thing changed each: what the choices of the embedded model rest on.

    python benchmarks/training/ablate.py recipes/nano.yaml OUTPUT [--tokens N] [--only NAME ...] [--other-corpus DIR]

OUTPUT gets a model directory for each variant, and table.md: bits per byte of whole source files of packages that
training never sees (mean of six languages), and of the solutions of exercises, of families that training has (other
problems) and of those that it has not. --other-corpus is the same corpus with another vocabulary. One thread, so that
two of these can run side by side.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from codegeex import tokenizer
from codegeex.exercises import builtin
from codegeex.exercises.make import make, rows, write
from codegeex.exercises.programs import LANGUAGES
from codegeex.model.transformer import Layer
from codegeex.training import loop, recipe

WARMUP = 0.05
"""Share of the steps."""


def variants(base: recipe.Recipe, other: Path | None) -> dict[str, list[str]]:
    """What each variant overrides."""

    def weighted(pairs: float, files: float, exercises: float) -> list[str]:
        weights = {"pairs": pairs, "files": files, "exercises": exercises, "everyday": 0}
        streams = [{"shards": s.shards, "weight": weights[Path(s.shards).name]} for s in base.data.streams]
        return [f"data.streams={yaml.safe_dump([s for s in streams if s['weight']], default_flow_style=True)}"]

    def shaped(width: int, layers: int, heads: int) -> str:
        shape = replace(
            base.model, hidden_size=width, num_layers=layers, num_attention_heads=heads, ffn_hidden_size=4 * width
        )
        return f"model={yaml.safe_dump(shape.to_dict(), default_flow_style=True)}"

    found = {
        "recipe": [],
        "Adam for all, lr 0.003": ["optimizer.muon_lr=0"],
        "Adam for all, lr 0.001": ["optimizer.muon_lr=0", "optimizer.adam_lr=0.001"],
        "Muon lr 0.04": ["optimizer.muon_lr=0.04"],
        "no top query": [],
        "exercises alone": weighted(0, 0, 1),
        "no exercises": weighted(0.7, 0.3, 0),
        "half exercises": weighted(0.35, 0.15, 0.5),
        "batch 8": ["batch_size=8"],
        "width 192": [shaped(192, 5, 3)],
        "width 320, 6 layers": [shaped(320, 6, 5)],
    }
    if other:
        size = len(tokenizer.load(other / "tokenizer"))
        streams = [asdict(replace(s, shards=str(other / Path(s.shards).name))) for s in base.data.streams]
        found[f"vocabulary {size:,}"] = [
            f"data.tokenizer={other / 'tokenizer'}",
            f"data.streams={yaml.safe_dump(streams, default_flow_style=True)}",
            f"model={yaml.safe_dump(replace(base.model, vocab_size=size).to_dict(), default_flow_style=True)}",
        ]
    return found


@contextmanager
def without_top_query() -> Iterator[None]:
    """The last layer asks with its input, as every other one."""
    forward = Layer.forward

    def plain(self: Layer, x: Any, mask: Any = None, memory: Any = None, query: Any = None) -> Any:
        return forward(self, x, mask, memory)

    Layer.forward = plain  # type: ignore[method-assign]
    try:
        yield
    finally:
        Layer.forward = forward  # type: ignore[method-assign]


def validation(folder: Path, corpus: Path) -> Path:
    """The sets that variants are measured on; those of an earlier call are good."""
    if folder.is_dir():
        return folder
    folder.mkdir(parents=True)
    for name in LANGUAGES:
        shutil.copytree(corpus / "validation" / name, folder / name)
    for name, held_out in (("seen", False), ("unseen", True)):
        made = make(150, 77, builtin.families(held_out), taken=builtin.tasks(), one_wording=True)
        write(folder / f"{name}.jsonl", (row for one in made.exercises for row in rows(one)))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--only", nargs="*", help="variants by name")
    parser.add_argument("--other-corpus", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    base = recipe.load(asked.recipe)
    wanted = variants(base, asked.other_corpus)
    if unknown := set(asked.only or ()) - set(wanted):
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {', '.join(wanted)}")
    lines = []
    sets: dict[Path, Path] = {}
    for name, overrides in wanted.items():
        if asked.only and name not in asked.only:
            continue
        corpus = asked.other_corpus if name.startswith("vocabulary") else Path(base.data.tokenizer).parent
        folder = asked.output / name.replace(" ", "-").replace(",", "")
        if corpus not in sets:
            sets[corpus] = validation(asked.output / f"validation-{len(sets)}", corpus)
        one = recipe.load(asked.recipe, [*overrides, f"output={folder}", f"data.validation={sets[corpus]}"])
        steps = asked.tokens // (one.batch_size * one.data.sequence_length)
        schedule = replace(one.schedule, steps=steps, warmup=max(1, round(steps * WARMUP)))
        one = replace(one, schedule=schedule, validate_every=steps, save_every=steps, samples=[])
        with without_top_query() if name == "no top query" else nullcontext():
            loop.train(one, (records := []).append)
        bits = [record["bits_per_byte"] for record in records if "bits_per_byte" in record][-1]
        speed = [record["tokens_per_second"] for record in records if "loss" in record][-1]
        code = sum(bits[key] for key in LANGUAGES) / len(LANGUAGES)
        lines.append(f"| {name} | {code:.3f} | {bits['seen']:.3f} | {bits['unseen']:.3f} | {speed:,} |")
        print(lines[-1], flush=True)
    head = "| variant | source files | exercises, seen families | unseen families | tokens/s |\n|---|---|---|---|---|\n"
    with (asked.output / "table.md").open("a") as file:
        file.write(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
