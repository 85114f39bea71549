"""The report of a build as one page of HTML: what was kept at each stage, why files were left out, what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from codegeex import languages
from codegeex.corpus.rules import SMALL
from codegeex.corpus.work import Report
from codegeex.pages import bars, document, escape, table


def page(report: Report) -> str:
    """The page of a finished build.

    Args:
        report: as `build.build` returns it.
    """
    parts = ["<h1>Corpus</h1>", _summary(report)]
    parts += ["<h2>Stages</h2>", _stages(report["stages"])]
    if damaged := report["damaged"]:
        parts += ["<h2>Sources that could not be read</h2>", *(f"<pre>{escape(line)}</pre>" for line in damaged)]
    reasons = _reasons(report["stages"])
    parts += ["<h2>Why files were left out</h2>", bars([(name, count, f"{count:,}") for name, count in reasons])]
    parts += ["<h2>Tokens to train on, by language</h2>", _tokens(report["shards"])]
    parts += ["<h2>What is left of each language</h2>", _languages(report)]
    parts += ["<h2>Shards</h2>", _shards(report["shards"])]
    settings = "\n".join(f"{key}: {value}" for key, value in report["settings"].items())
    parts += ["<h2>Settings</h2>", f"<pre>{escape(settings)}</pre>"]
    return document("Corpus", parts)


def _summary(report: Report) -> str:
    shards = report["shards"].items()
    tokens = {name: meta["tokens"] - meta.get("padding", 0) for name, meta in shards}
    training = sum(count for name, count in tokens.items() if not name.startswith("validation"))
    kept_out = ", ".join(report["benchmarks"]) or "no benchmark was kept out"
    return (
        f"<p class=note>{training:,} tokens to train on and {sum(tokens.values()) - training:,} to validate with, from "
        f"{report['stages'][0]['kept']:,} files in {sum(stage['seconds'] for stage in report['stages']):,.0f} seconds. "
        f"Kept out: {escape(kept_out)}.</p>"
    )


def _stages(stages: Sequence[Report]) -> str:
    rows = []
    for stage in stages:
        size, seconds = stage.get("megabytes"), stage["seconds"]
        speed = f"{size / seconds:,.0f}" if size and seconds else ""
        dropped = sum(stage["dropped"].values())
        rows.append(
            (
                stage["name"],
                f"{stage['kept']:,}",
                f"{dropped:,}",
                f"{size:,.0f}" if size else "",
                f"{seconds:.1f}",
                speed,
            )
        )
    return table(("stage", "kept", "dropped", "MB of text", "seconds", "MB/s"), rows)


def _reasons(stages: Sequence[Report]) -> list[tuple[str, int]]:
    reasons: Counter[str] = Counter()
    for stage in stages:
        if stage["name"] not in ("read", "pairs"):  # what could not be read is among what is not taken
            reasons.update(stage["dropped"])
    return reasons.most_common()


def _tokens(shards: Report) -> str:
    counts: Counter[str] = Counter()
    for name, meta in shards.items():
        if not name.startswith("validation"):
            counts.update(meta["tokens_per_language"])
    total = max(1, counts.total())
    return bars(
        [(languages.get(key).name, count, f"{count:,} ({count / total:.1%})") for key, count in counts.most_common()]
    )


def _languages(report: Report) -> str:
    """How many files of each language every stage kept."""
    stages = {stage["name"]: stage["languages"] for stage in report["stages"] if "languages" in stage}
    rows = []
    for key in sorted(stages["clean"], key=lambda key: -stages["clean"][key]["kept"]):
        cleaned = stages["clean"][key]
        row = [languages.get(key).name, f"{cleaned['kept'] + cleaned['dropped']:,}"]
        for name in ("clean", "duplicates", "balance"):
            row.append(f"{stages[name].get(key, {}).get('kept', 0):,}")
        entry = report["languages"].get(key, {"characters": 0, "pairs": 0})
        rows.append((*row, f"{entry['characters'] / 1e6:,.1f}", f"{entry['pairs']:,}"))
    headings = ("language", "read", "clean", "single", "taken", "million characters", "pairs")
    note = f"<p class=note>Clean and single files count those that are {SMALL}, which may still give pairs.</p>"
    return table(headings, rows) + note


def _shards(shards: Report) -> str:
    rows = [
        (
            name,
            f"{meta['documents']:,}",
            f"{meta['tokens']:,}",
            f"{1 - meta.get('padding', 0) / max(1, meta['tokens']):.1%}",
            str(meta.get("segment", "any")),
        )
        for name, meta in sorted(shards.items())
    ]
    return table(("shard directory", "documents", "tokens", "of which text", "window"), rows)
