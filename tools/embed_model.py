"""Put a trained model into the package: int8 weights, tokenizer, loss curve and model card.

    python tools/embed_model.py models/nano data/nano recipes/nano.yaml recipes/nano-sources.yaml [REMARKS]

The figures of the card are read from the run's metrics, the recipe and the corpus report; REMARKS is a text file with
what is to be said about this run alone.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from codegeex import languages, recipes, tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.checkpoint import Int8Source, NativeSource, write_model
from codegeex.corpus import sources
from codegeex.corpus.settings import Settings
from codegeex.shards import Shards
from codegeex.training import recipe as training_recipe


def main(run: Path, data: Path, recipe_path: Path, sources_path: Path, remarks: Path | None = None) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    report = json.loads((data / "report.json").read_text())
    source = Int8Source(NativeSource(run))
    recipe = training_recipe.load(recipe_path)
    card = model_card(
        source.config,
        records,
        report,
        recipe,
        sources.parse(recipes.read(sources_path), sources_path),
        bytes_per_label(data, recipe.data.sequence_length, recipe.validation_windows),
        remarks.read_text() if remarks else "",
    )
    shutil.rmtree(EMBEDDED_MODEL, ignore_errors=True)
    EMBEDDED_MODEL.parent.mkdir(exist_ok=True)
    write_model(EMBEDDED_MODEL, source, tokenizer.load(run), {"README.md": card})
    draw_losses(records, EMBEDDED_MODEL / "loss.png")
    size = sum(file.stat().st_size for file in EMBEDDED_MODEL.iterdir())
    print(f"{EMBEDDED_MODEL}: {size / 1e6:.1f} MB")


def bytes_per_label(data: Path, sequence_length: int, windows: int) -> dict[str, float]:
    """Mean bytes of what is predicted in each language's validation, which turns nats per token into bits per byte.

    Over the windows and places that the validation loss is a mean of; end-of-text is predicted but has no bytes.
    """
    vocabulary = tokenizer.load(data / "tokenizer")
    ratios = {}
    for directory in sorted((data / "validation").iterdir()):
        read = Shards(directory, sequence_length)
        labels = [
            int(label)
            for index in read.spread(windows)
            for token, label in pairwise(read.window(index))
            if token != vocabulary.end_of_text
        ]
        text = vocabulary.decode_bytes(label for label in labels if label != vocabulary.end_of_text)
        ratios[directory.name] = len(text) / len(labels)
    return ratios


def model_card(
    config: Any,
    records: list[dict[str, Any]],
    report: Any,
    recipe: Any,
    listed: Any,
    label_bytes: dict[str, float],
    remarks: str,
) -> str:
    steps = [record for record in records if "loss" in record]
    final = [record["validation"] for record in records if "validation" in record][-1]
    tokens, seconds = steps[-1]["tokens"], steps[-1]["seconds"]
    held_out = {source.languages[0]: f"{source.name} {source.version}" for source in listed if source.validation}
    rows = "\n".join(
        f"| {languages.get(key).name} | {entry['files']:,} | {entry['characters'] / 1e6:.0f} | {entry['pairs']:,} "
        f"| {held_out.get(key, '-')} | {final[key]:.3f} | {final[key] / math.log(2) / label_bytes[key]:.3f} |"
        for key, entry in sorted(report["languages"].items())
    )
    licences = Counter(source.licence for source in listed)
    licence_rows = "\n".join(f"| {name} | {count} |" for name, count in licences.most_common())
    kept_out = "".join(
        f"Files and pairs that share ten consecutive words with a solution or description of {name} are left out."
        for name in report["benchmarks"]
    )
    flops = 6 * config.num_parameters * tokens
    return f"""# The embedded model, first version

A CodeGeeX model (pre-LayerNorm decoder with a top query layer, arXiv 2303.17568) of {config.num_parameters:,}
parameters: {config.num_layers} + 1 layers, width {config.hidden_size}, {config.num_attention_heads} heads, vocabulary
{config.vocab_size:,}, context {config.max_position_embeddings} tokens. Weights are int8 (absolute maximum per output
row), tables and layer norms float16.

It is there so that everything works the moment codegeex is installed, without a download. **It is far too small, and
saw far too little, to write programs that you can trust**: what it answers mostly has the shape of code, and seldom
does what was asked. Greedy decoding often repeats itself without end; `--temperature 0.7` does better. `translate` and
`explain` were not trained at all. A better model will take its place.

## Training
`codegeex corpus build recipes/nano-sources.yaml --output data/nano --benchmark DIR` (the benchmark to keep out), then
`codegeex train recipes/nano.yaml`:
{len(steps):,} steps of {recipe.batch_size} x {recipe.data.sequence_length} tokens, {tokens / 1e6:.1f} million tokens in
all ({flops:.1e} FLOP counted as 6 N D), {seconds / 60:.0f} minutes on a CPU.
{recipe.data.streams[0].weight:.0%} of the windows hold pairs of an intent and a function mined from docstrings and doc
comments, the others whole source files. {Settings().fim_rate:.0%} of the documents short enough for a window are
written for fill-in-the-middle.

![Training and validation loss](loss.png)

## Data
{len(listed)} named releases of packages from public registries, each with its exact version and licence in
`recipes/nano-sources.yaml`. Files are filtered by the paper's rules, exact duplicates are dropped, and licence headers
are cut off. {kept_out}
Validation uses one package a language that training never sees; files and pairs below are training's.
{remarks}
| language | files | million characters | pairs | validation package | loss, nats/token | bits/byte |
|---|---|---|---|---|---|---|
{rows}

| licence | packages |
|---|---|
{licence_rows}

## Limits
No filter for insecure code, names or addresses beyond the ones above. Not measured on HumanEval-X yet: expect zero.
"""


def draw_losses(records: list[dict[str, Any]], path: Path) -> None:
    """Training loss (mean of 20 steps) and validation loss per language over tokens."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = [record for record in records if "loss" in record]
    per_step = steps[0]["tokens"] / 1e6
    width = 20
    means = [
        (steps[end - 1]["tokens"] / 1e6, sum(record["loss"] for record in steps[end - width : end]) / width)
        for end in range(width, len(steps) + 1, width)
    ]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(*zip(*means, strict=True), color="0.2", label="training (pairs and files)")
    checks = [record for record in records if "validation" in record]
    for key in checks[0]["validation"]:
        axes.plot(
            [record["step"] * per_step for record in checks],
            [record["validation"][key] for record in checks],
            marker=".",
            linewidth=1,
            label=f"validation, {languages.get(key).name}",
        )
    axes.set(xlabel="million tokens", ylabel="loss, nats per token", ylim=(2, 7))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
