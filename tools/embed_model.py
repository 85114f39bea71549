"""Put a trained model into the package: int8 weights, tokenizer, loss curve and model card.

    python tools/embed_model.py models/nano data/nano recipes/nano.yaml recipes/nano-sources.yaml

Every figure of the card is read from the run's metrics and the corpus report.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from codegeex import languages, tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.checkpoint import Int8Source, NativeSource, write_model
from codegeex.corpus import sources
from codegeex.training import recipe as recipes


def main(run: Path, data: Path, recipe_path: Path, sources_path: Path) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    report = json.loads((data / "report.json").read_text())
    source = Int8Source(NativeSource(run))
    card = model_card(
        source.config, records, report, recipes.load(recipe_path), sources.load(sources_path), bytes_per_token(data)
    )
    shutil.rmtree(EMBEDDED_MODEL, ignore_errors=True)
    EMBEDDED_MODEL.parent.mkdir(exist_ok=True)
    write_model(EMBEDDED_MODEL, source, tokenizer.load(run), card)
    draw_losses(records, EMBEDDED_MODEL / "loss.png")
    size = sum(file.stat().st_size for file in EMBEDDED_MODEL.iterdir())
    print(f"{EMBEDDED_MODEL}: {size / 1e6:.1f} MB")


def bytes_per_token(data: Path) -> dict[str, float]:
    """Mean bytes of a token on each language's validation text, which turns nats per token into bits per byte."""
    vocabulary = tokenizer.load(data / "tokenizer")
    ratios = {}
    for directory in sorted((data / "validation").iterdir()):
        meta = json.loads((directory / "meta.json").read_text())
        ids = read_ids(directory / "tokens.bin", meta["dtype"])
        ratios[directory.name] = len(vocabulary.decode_bytes(ids)) / len(ids)
    return ratios


def read_ids(path: Path, dtype: str) -> list[int]:
    import numpy as np

    ids: list[int] = np.fromfile(path, dtype=dtype).tolist()
    return ids


def model_card(
    config: Any, records: list[dict[str, Any]], report: Any, recipe: Any, listed: Any, token_bytes: dict[str, float]
) -> str:
    steps = [record for record in records if "loss" in record]
    final = [record["validation"] for record in records if "validation" in record][-1]
    tokens, seconds = steps[-1]["tokens"], steps[-1]["seconds"]
    held_out = {source.languages[0]: f"{source.name} {source.version}" for source in listed if source.validation}
    rows = "\n".join(
        f"| {languages.get(key).name} | {entry['files']:,} | {entry['characters'] / 1e6:.0f} | {entry['pairs']:,} "
        f"| {held_out.get(key, '-')} | {final[key]:.3f} | {final[key] / math.log(2) / token_bytes[key]:.3f} |"
        for key, entry in sorted(report["languages"].items())
    )
    licences = Counter(source.licence for source in listed)
    licence_rows = "\n".join(f"| {name} | {count} |" for name, count in licences.most_common())
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
`codegeex corpus build recipes/nano-sources.yaml --output data/nano`, then `codegeex train recipes/nano.yaml`:
{len(steps):,} steps of {recipe.batch_size} x {recipe.data.sequence_length} tokens, {tokens / 1e6:.1f} million tokens in
all ({flops:.1e} FLOP counted as 6 N D), {seconds / 60:.0f} minutes on a CPU.
{recipe.data.streams[0].weight:.0%} of the windows hold pairs of an intent and a function mined from docstrings and doc
comments, the others whole source files. A fifth of the short documents are written for fill-in-the-middle.
The run is shorter than one pass over the corpus.

![Training and validation loss](loss.png)

## Data
{len(listed)} named releases of packages from public registries, each with its exact version and licence in
`recipes/nano-sources.yaml`. Files are filtered by the paper's rules, exact duplicates are dropped, licence headers are
cut off, and files that share ten consecutive words with a HumanEval-X solution or description are left out.
Validation uses one package a language that training never sees.

This run used the list as it was before its last skip patterns: 17 of its 28,029 files (0.05 % of the bytes) and 111 of
its 93,054 pairs are under permissive licences that the list's own rule leaves out (HPND, SunPro, SGI, RSA-MD, Lucent
and Unicode notices). None is under a copyleft or non-commercial licence.

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
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
