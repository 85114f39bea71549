"""The report of a run as one page of HTML: what was trained, its curves, and what it wrote on the way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from codegeex.pages import document, escape
from codegeex.training.recipe import Recipe

WIDTH, HEIGHT = 860, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 12, 34
"""Room around a chart: for the numbers of its axes, and for the names of its curves."""

MOST_POINTS = 600
"""Of a curve; more than a screen shows."""

COLORS = ("var(--ours)", "#d4a72c", "#2da44e", "#cf222e", "#8250df", "#bf5af2", "#1b9aaa", "#bc4c00")

Curve = Sequence[tuple[float, float]]


def page(recipe: Recipe, records: Sequence[Mapping[str, Any]], flops_per_token: float) -> str:
    """The page of a finished run.

    Args:
        records: all of them, as in `metrics.jsonl`.
        flops_per_token: of the model, forward and backward.
    """
    steps = [record for record in records if "loss" in record]
    validations = [record for record in records if "validation" in record]
    title = f"Training of {recipe.output}"
    parts = [f"<h1>{escape(title)}</h1>", _summary(recipe, steps, validations, flops_per_token)]
    if steps:
        parts += ["<h2>Loss, nats per token</h2>", _losses(steps, validations)]
    if any(record["bits_per_byte"] for record in validations):
        parts += ["<h2>Bits per byte of held-out text</h2>", _chart(_by_language(validations, "bits_per_byte"))]
    for name, label in (
        ("gradient_norm", "Gradient norm, before clipping"),
        ("rate", "Learning rate, part of its peak"),
        ("tokens_per_second", "Tokens a second, mean so far"),
    ):
        if curve := [(record["step"], record[name]) for record in steps if record[name] is not None]:
            parts += [f"<h2>{label}</h2>", _chart({"": curve})]
    for record in reversed(validations):
        if samples := record.get("samples"):
            inner = "".join(f"<pre>{escape(one['prompt'])}<b>{escape(one['text'])}</b></pre>" for one in samples)
            if record is validations[-1]:
                parts += ["<h2>What it writes</h2>", inner]
            else:
                parts.append(f"<details><summary>after step {record['step']}</summary>{inner}</details>")
    parts += ["<h2>Recipe</h2>", f"<pre>{escape(_lines(recipe))}</pre>"]
    return document(title, parts)


def _summary(
    recipe: Recipe,
    steps: Sequence[Mapping[str, Any]],
    validations: Sequence[Mapping[str, Any]],
    flops_per_token: float,
) -> str:
    rows = {"parameters": f"{recipe.model.num_parameters:,}"}
    if steps:
        last = steps[-1]
        rows |= {
            "steps": f"{last['step']:,} of {recipe.batch_size:,} x {recipe.data.sequence_length:,} tokens",
            "tokens": f"{last['tokens']:,}",
            "operations": f"{flops_per_token * last['tokens']:.3g}",
            "time since the last start": f"{last['seconds'] / 3600:.2f} h, {last['tokens_per_second']:,} tokens/s",
            "steps that were not taken": str(last["skipped"]),
        }
    if validations and validations[-1]["validation"]:
        bits = validations[-1]["bits_per_byte"]
        losses = validations[-1]["validation"]
        rows["held-out loss (bits per byte)"] = ", ".join(
            f"{name} {loss:.3f} ({bits[name]:.3f})" for name, loss in losses.items() if loss is not None
        )
    cells = (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(cells)}</table>"


def _losses(steps: Sequence[Mapping[str, Any]], validations: Sequence[Mapping[str, Any]]) -> str:
    curve = [(record["step"], record["loss"]) for record in steps if record["loss"] is not None]
    return _chart({"training": smooth(curve)} | _by_language(validations, "validation"), faint=curve)


def _by_language(validations: Sequence[Mapping[str, Any]], key: str) -> dict[str, Curve]:
    names = sorted({name for record in validations for name in record[key]})
    return {
        name: [(record["step"], record[key][name]) for record in validations if record[key].get(name) is not None]
        for name in names
    }


def smooth(curve: Curve, width: int = 25) -> list[tuple[float, float]]:
    """Means of `width` values, the last of which is at its step."""
    means, recent = [], 0.0
    for place, (step, value) in enumerate(curve):
        recent += value - (curve[place - width][1] if place >= width else 0.0)
        means.append((step, recent / min(width, place + 1)))
    return means


def _chart(curves: Mapping[str, Curve], faint: Curve = ()) -> str:
    """Curves over the steps, as SVG; a name stands at the end of each."""
    points = [point for curve in (*curves.values(), faint) for point in curve]
    if not points:
        return ""
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    marks = ticks(low, high)
    low, high = min(low, marks[0]), max(high, marks[-1])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - first) / ((last - first) or 1)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / ((high - low) or 1)

    def line(curve: Curve, style: str) -> str:
        kept = curve[:: -(-len(curve) // MOST_POINTS)] if curve else curve
        kept = [*kept, curve[-1]] if curve else kept
        places = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in kept)
        return f'<polyline points="{places}" fill="none" {style}/>'

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for mark in marks:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" stroke="var(--line)"/>'
        )
        label = f"{mark:,.6g}"
        parts.append(f'<text x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end" class="dim">{label}</text>')
    for mark in (mark for mark in ticks(first, last) if first <= mark <= last):
        label = f"{mark:,.6g}"
        parts.append(f'<text x="{x(mark):.1f}" y="{HEIGHT - 12}" text-anchor="middle" class="dim">{label}</text>')
    parts.append(line(faint, 'stroke="var(--other)" stroke-width="1"'))
    heights = _apart({name: y(curve[-1][1]) for name, curve in curves.items() if curve})
    for place, (name, curve) in enumerate(curves.items()):
        if not curve:
            continue
        color = COLORS[place % len(COLORS)]
        parts.append(line(curve, f'stroke="{color}" stroke-width="1.8"'))
        value = curve[-1][1]
        label = f"{escape(name)} {f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'}".strip()
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{heights[name] + 4:.1f}" style="fill: {color}">{label}</text>')
    return f"<figure>{''.join(parts)}</svg></figure>"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `most` of them."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * most >= span)
    return [place * step for place in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _apart(heights: Mapping[str, float], least: float = 14.0) -> dict[str, float]:
    """Heights of labels, moved down where they would cover each other, and all up again where there is no room."""
    moved: dict[str, float] = {}
    lowest = -math.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        lowest = moved[name] = max(height, lowest + least)
    beyond = max(0.0, lowest - (HEIGHT - BOTTOM))
    return {name: height - beyond for name, height in moved.items()}


def _lines(recipe: Recipe) -> str:
    """The effective recipe as YAML."""
    import yaml

    text: str = yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False)
    return text
