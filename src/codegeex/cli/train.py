"""`codegeex train` and `plan`."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from codegeex.cli.extras import needs_packages
from codegeex.cli.options import Json
from codegeex.cli.tables import print_table
from codegeex.errors import CodeGeeXError

RecipeFile = Annotated[Path, typer.Argument(help="YAML recipe.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="dotted.key=value, over the recipe's values.")]

FACTORS = {"": 1.0} | {
    f"{prefix}{binary}": float(base**power)
    for power, prefix in enumerate("kmgtp", 1)
    for binary, base in (("", 1000), ("i", 1024))
}


def train(
    recipe: RecipeFile,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train a model from token shards, as a recipe says."""
    loop = needs_packages("codegeex.training.loop", "train")
    from codegeex.training import recipe as recipes

    settings = recipes.load(recipe, overrides or [])
    directory = loop.train(settings, _report_training)
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun started, one speaks
        print(json.dumps({"output": str(directory)}) if as_json else f"model written to {directory}")


def _report_training(record: dict[str, Any]) -> None:
    """One line for each record, rewritten in place on a terminal."""
    watched = sys.stderr.isatty()
    clear = "\r\x1b[K" if watched else ""
    if "resumed" in record:
        print(f"going on after step {record['resumed']}", file=sys.stderr)
        return
    if "validation" in record:
        bits = record["bits_per_byte"]
        losses = "  ".join(
            f"{name} not finite" if loss is None else f"{name} {loss:.3f} ({bits[name]:.3f})"
            for name, loss in record["validation"].items()
        )
        if losses:
            print(f"{clear}step {record['step']}: validation loss (bits a byte)  {losses}", file=sys.stderr)
        for sample in record.get("samples", []):
            text = (sample["prompt"] + sample["text"]).rstrip().replace("\n", "\n    ")
            print(f"{clear}step {record['step']}: it writes\n    {text}", file=sys.stderr)
        return
    if record["loss"] is None or record["gradient_norm"] is None:
        print(f"{clear}step {record['step']}: the gradient is not finite, skipped", file=sys.stderr)
        return
    if not watched and record["step"] % 20 and record["step"] != record["steps"]:
        return
    minutes = record["seconds_left"] / 60
    skipped = f"  skipped {record['skipped']}" if record["skipped"] else ""
    used = f" ({record['mfu']:.0%} of the peak)" if record["mfu"] is not None else ""
    line = (
        f"step {record['step']}/{record['steps']}  loss {record['loss']:.3f}  {record['tokens_per_second']:,} tokens/s"
        f"{used}  rate {record['rate']:.2f}  gradient {record['gradient_norm']:.2f}{skipped}  {minutes:.1f} min left"
    )
    print(clear + line, end="" if watched else "\n", file=sys.stderr, flush=True)


def plan(
    recipe: RecipeFile,
    overrides: Overrides = None,
    devices: Annotated[int, typer.Option(help="How many.", min=1)] = 1,
    memory: Annotated[str, typer.Option(help="Of each, as 32GB or 80GiB.")] = "80GB",
    peak: Annotated[str, typer.Option(help="Operations a second of each in the recipe's precision.")] = "989TFLOPS",
    efficiency: Annotated[float, typer.Option(help="Share of the peak that a run reaches.")] = 0.4,
    bandwidth: Annotated[str, typer.Option(help="What a device sends in a second.")] = "50GB",
    layout: Annotated[str | None, typer.Option(help="As tp=8,dp=192; over the recipe's.")] = None,
    as_json: Json = False,
) -> None:
    """What a run would take on given devices: memory, time, and whether it fits. Starts nothing."""
    from codegeex.training import plan as plans
    from codegeex.training import recipe as recipes

    degrees = _degrees(layout)
    changes = [f"layout.tensor={degrees['tp']}"] if "tp" in degrees else []
    settings = recipes.load(recipe, [*(overrides or []), *changes])
    if "dp" in degrees and degrees["dp"] * settings.layout.tensor != devices:
        raise CodeGeeXError(f"{layout} makes {degrees['dp'] * settings.layout.tensor} devices, not {devices}.")
    if not 0 < efficiency <= 1:
        raise CodeGeeXError(f"efficiency must be above 0 and at most 1, not {efficiency}.")
    hardware = plans.Hardware(
        devices=devices,
        memory=_quantity(memory, "B"),
        peak=_quantity(peak, "FLOPS"),
        efficiency=efficiency,
        bandwidth=_quantity(bandwidth, "B"),
    )
    result = plans.plan(settings, hardware)
    if as_json:
        print(json.dumps(result.to_dict()))
    else:
        _print_plan(result)


def _degrees(layout: str | None) -> dict[str, int]:
    """`tp=8,dp=192` as a dictionary."""
    found = dict(re.findall(r"(tp|dp)=(\d+)", layout or ""))
    if layout is not None and ",".join(f"{name}={degree}" for name, degree in found.items()) != layout:
        raise CodeGeeXError(f"layout {layout!r}: write it as tp=8,dp=192.")
    return {name: int(degree) for name, degree in found.items()}


def _quantity(text: str, unit: str) -> float:
    """A number with a unit that may have a prefix, as 32GB."""
    found = re.fullmatch(rf"([0-9.]+(?:e[0-9]+)?)\s*([kmgtp]i?)?({unit}(?:/s)?)?", text.strip(), re.IGNORECASE)
    try:
        value = float(found[1]) * FACTORS[(found[2] or "").lower()] if found else 0.0
    except (ValueError, KeyError):
        value = 0.0
    if value <= 0:
        raise CodeGeeXError(f"{text!r} is no quantity here; write it as 32G{unit}.")
    return value


def _print_plan(result: Any) -> None:
    recipe, hardware, content = result.recipe, result.hardware, result.to_dict()
    print(
        f"{recipe.model.num_parameters:,} parameters on {hardware.devices:,} devices: {recipe.layout.tensor} share "
        f"every layer, {result.data} share the batch of {recipe.batch_size:,} windows"
    )
    rows = []
    for title, values, total in (
        ("holds", result.memory, f", of {hardware.memory / 1e9:.1f}"),
        ("sends in a step", result.moved, ""),
    ):
        for name, size in values.items():
            rows.append((f"{title}: {name}", f"{size / 1e9:.2f}"))
        rows.append((f"{title}: in all{total}", f"{sum(values.values()) / 1e9:.2f}"))
    print_table(("each device", "GB"), rows)
    steps = recipe.schedule.steps
    print(
        f"a step: {result.tokens:,} tokens, {result.flops:.3g} operations, {result.compute_seconds:.2f} s of computing "
        f"at {hardware.efficiency:.1%} of the peak, {result.move_seconds:.2f} s of moving beside it\n"
        f"the run: {steps:,} steps, {result.tokens * steps / 1e9:,.1f} billion tokens, {result.days:,.2f} days; "
        f"{content['model_flops_utilization']:.1%} of the peak without what is computed again"
    )
    print(
        "it fits" if result.fits else "it does not fit: more devices, a smaller layout.micro_batch, or layout.recompute"
    )
