"""Put a trained model into the package: int8 weights, tokenizer, curves and model card.

    python tools/embed_model.py SCORES recipes/nano.yaml recipes/nano-everyday.yaml --version third --history "..."

The recipes are those of its runs, each of which goes on from the one before it. What the card says is read from what
they name (the corpus with its report, the runs' records) and from the reports in SCORES, a folder of runs of `codegeex
eval`: builtin, humaneval-x and others whose names begin so, translation-LANGUAGE, and loss.json, what `codegeex eval
loss --json` printed; what is not there is left out. Its version, and what its recipes do not know of it (--history),
are yours to say. Without recipes, the card of the model that is there gets the scores anew:

    python tools/embed_model.py SCORES
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from codegeex import languages, tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.checkpoint import Int8Source, NativeSource, write_model
from codegeex.corpus.ledger import FILE
from codegeex.evaluation.published import HUMANEVAL
from codegeex.evaluation.report import read_report
from codegeex.exercises.programs import LANGUAGES
from codegeex.files import json_lines, write_text
from codegeex.training import recipe as training_recipe

PICTURES = {
    False: ("loss.png", "Training and validation loss"),
    True: ("loss-lessons.png", "Of the lessons: what is learned there are solutions alone"),
}
"""Whether runs learn from lessons, and where their curves are: the losses of the two do not compare."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("recipes", type=Path, nargs="*")
    parser.add_argument("--model", type=Path, help="what ships; by default what the last recipe makes")
    parser.add_argument("--version", default="")
    parser.add_argument("--history", default="")
    asked = parser.parse_args()
    scores = filled(measured(asked.scores))
    if not asked.recipes:
        if not scores:
            parser.error(f"{asked.scores} holds no reports of codegeex eval")
        rescore(EMBEDDED_MODEL / "README.md", scores)
        return
    if not asked.version:
        parser.error("--version says which version of the model this is")
    runs = [(path, training_recipe.load(path)) for path in asked.recipes]
    records = [_records(recipe) for _, recipe in runs]
    model, corpus = asked.model or Path(runs[-1][1].output), Path(runs[-1][1].data.tokenizer).parent
    source = Int8Source(NativeSource(model))
    card = "\n\n".join(
        filled(part)
        for part in (
            head(source.config, asked.version),
            scores,
            trained(source.config, records, runs, asked.history),
            learned_from(corpus, [stream for _, recipe in runs for stream in recipe.data.streams]),
            LIMITS,
        )
        if part
    )
    loaded = [recipe for _, recipe in runs]
    curves = {
        PICTURES[taught][0]: draw_losses(*zip(*some, strict=True))
        for taught in PICTURES
        if (some := [pair for pair in zip(records, loaded, strict=True) if lessons(pair[1]) == taught])
    }
    with tempfile.TemporaryDirectory(dir=EMBEDDED_MODEL.parent) as folder:
        made = Path(folder) / "model"
        write_model(made, source, tokenizer.load(model), {"README.md": card + "\n"})
        for name, picture in curves.items():
            (made / name).write_bytes(picture)
        shutil.rmtree(EMBEDDED_MODEL, ignore_errors=True)
        made.rename(EMBEDDED_MODEL)
    size = sum(file.stat().st_size for file in EMBEDDED_MODEL.iterdir())
    print(f"{EMBEDDED_MODEL}: {size / 1e6:.1f} MB")


def rescore(card: Path, scores: str) -> None:
    """Put a section of scores in the place of a card's own."""
    before, _, rest = card.read_text().partition("## Scores\n")
    after = rest[rest.index("\n## ") :]
    write_text(card, f"{before}{scores}\n{after}")


def filled(text: str) -> str:
    """Paragraphs wrapped to 120 characters; tables, headings, lists and commands as they are."""
    paragraphs = [one for one in text.strip().split("\n\n") if one.strip()]
    return "\n\n".join(one if one[:1] in "|#!-`" else textwrap.fill(one, 120) for one in paragraphs)


def head(config: Any, version: str) -> str:
    return f"""
# The embedded model, {version} version

A CodeGeeX model (pre-LayerNorm decoder with a top query layer, arXiv 2303.17568) of {config.num_parameters:,}
parameters: {config.num_layers} + 1 layers, width {config.hidden_size}, {config.num_attention_heads} heads, vocabulary
{config.vocab_size:,}, context {config.max_position_embeddings} tokens. Weights are int8 (absolute maximum per output
row), tables and layer norms float16.

It is there so that everything works the moment codegeex is installed, without a download. It writes small functions of
common kinds in Python, C++, Java, JavaScript, Go and Rust, and translates such functions between them. It was trained
on two processor cores, so **it knows little beyond that: run what it writes before you trust it.**"""


def measured(folder: Path) -> str:
    """Scores with 95 % intervals (a bootstrap over problems)."""
    parts = [
        *map(_builtin, _reports(folder, "builtin")),
        *_generation(_reports(folder, "humaneval-x*")),
        *_translation(_reports(folder, "translation-*")),
        *_losses(folder / "loss.json"),
    ]
    brackets = "In brackets: 95 % intervals, a bootstrap over problems, of the built-in benchmark over families."
    return "\n\n".join(["## Scores", brackets, *parts]) if parts else ""


def _reports(folder: Path, runs: str) -> list[Any]:
    """Of the runs that are done."""
    return [read_report(path.parent) for path in sorted(folder.glob(f"{runs}/report.json"))]


def _builtin(report: Any) -> str:
    settings, by = report["settings"], report["languages"]
    seen, unseen = (_score(report, f"{kind}_pass@1") for kind in ("seen", "unseen"))
    rows = "\n".join(f"| {languages.get(key).name} | {_score(by[key], 'pass@1')} |" for key in LANGUAGES if key in by)
    return f"""Built-in benchmark ({settings["benchmark"]}, n = {settings["samples"]}), pass@1: **{seen} of the problems
of families that training has, {unseen} of those of other families.**

`codegeex eval builtin --output DIR --n {settings["samples"]} --temperature {_temperature(report)}`

| | pass@1 |
|---|---|
{rows}"""


def _generation(reports: Sequence[Any]) -> Iterator[str]:
    """HumanEval-X in all languages, which may have been measured in several runs at several temperatures."""
    table = ["| HumanEval-X, generation | n | T | pass@1 | pass@10 | pass@100 |", "|---|---|---|---|---|---|"]
    found = [(key, report) for key in LANGUAGES for report in reports if key in report["languages"]]
    for key, report in found:
        scores = " | ".join(_score(report["languages"][key], f"pass@{k}") for k in (1, 10, 100))
        count = report["settings"]["samples"]
        table.append(f"| {languages.get(key).name} | {count} | {_temperature(report)} | {scores} |")
    table += [
        f"| {name}, Python | | | {' | '.join(f'{score:.2f}' for score in scores)} |"
        for name, scores in HUMANEVAL.items()
    ]
    if found:
        yield """Generation, next to small models as published (HumanEval in Python, per cent; they saw thousands of
times as many tokens):"""
        yield "`codegeex eval humaneval-x --output DIR --langs LANGUAGE --n N --temperature T`, as the table says:"
        yield "\n".join(table)


def _translation(reports: Sequence[Any]) -> Iterator[str]:
    names = " | ".join(languages.get(key).name for key in LANGUAGES)
    table = [f"| HumanEval-X, from \\ to | {names} |", "|---|" + "---|" * len(LANGUAGES)]
    for report in reports:
        cells = [_score(report["languages"].get(key, {}), "pass@1") for key in LANGUAGES]
        table.append(f"| {languages.get(report['settings']['source']).name} | {' | '.join(cells)} |")
    if reports:
        count = reports[0]["settings"]["samples"]
        yield "Translation, pass@1:"
        sampled = f"--n {count} --k 1 --temperature {_temperature(reports[0])}"
        yield f"`codegeex eval humaneval-x --output DIR --task translation --from LANGUAGE {sampled}`"
        yield "\n".join(table)


def _losses(file: Path) -> Iterator[str]:
    """What `codegeex eval loss` measured."""
    if not file.exists():
        return
    found = json.loads(file.read_text())
    rows = "\n".join(
        f"| {languages.get(key).name} | {found['validation'][key]:.3f} | {found['bits_per_byte'][key]:.3f} |"
        for key in sorted(found["bits_per_byte"])
    )
    yield "Held-out text, whole files of packages that training never sees:"
    yield "`codegeex eval loss data/nano/validation`"
    yield f"| | nats per token | bits per byte |\n|---|---|---|\n{rows}"


def _score(scores: Any, name: str) -> str:
    """Per cent, with its interval."""
    if name not in scores:
        return "-"
    low, high = scores[f"{name} interval"]
    return f"{_percent(scores[name], 1)} ({low * 100:.1f}-{high * 100:.1f})"


def _temperature(report: Any) -> str:
    return " ".join(sorted({str(value) for value in report["settings"]["temperatures"].values()}))


def _records(recipe: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(recipe.output) / "metrics.jsonl").read_text().splitlines()]


def _minutes(steps: Sequence[dict[str, Any]]) -> float:
    """Of a run; one that was stopped counts its seconds anew when it goes on."""
    ends = [one for one, after in pairwise(steps) if after["seconds"] < one["seconds"]]
    return sum(float(record["seconds"]) for record in [*ends, steps[-1]]) / 60


def lessons(recipe: Any) -> bool:
    """Whether a run learns from prompts and solutions, rather than from whole texts."""
    return any(stream.examples for stream in recipe.data.streams)


def trained(config: Any, records: list[list[dict[str, Any]]], runs: Sequence[tuple[Path, Any]], history: str) -> str:
    items, tokens, minutes = [], 0, 0.0
    for some, (path, recipe) in zip(records, runs, strict=True):
        steps = [record for record in some if "loss" in record]
        tokens, minutes = tokens + steps[-1]["tokens"], minutes + _minutes(steps)
        streams = recipe.data.streams
        changes = any(one.share(False) != one.share(True) for one in streams)
        mix = ", ".join(
            f"{_percent(one.share(False))} {f'/ {_percent(one.share(True))} ' * changes}{_name(one)}" for one in streams
        )
        items.append(
            f"- `{path}`: {len(steps):,} steps of {recipe.batch_size} x {recipe.data.sequence_length} tokens, "
            f"{_minutes(steps):.0f} minutes.\n  Windows{' before / during the decay' * changes}: {mix}."
        )
    listed = "\n".join(items)
    kinds = sorted({lessons(recipe) for _, recipe in runs})
    learned = " In runs on lessons only the solutions are learned, not the prompts." if True in kinds else ""
    pictures = "\n\n".join(f"![{words}]({name})" for name, words in (PICTURES[kind] for kind in kinds))
    return f"""
## Training

{tokens / 1e6:.1f} million tokens in all ({6 * config.num_parameters * tokens:.1e} FLOP counted as 6 N D), {minutes:.0f}
minutes on two processor cores. Muon for the hidden matrices, Adam for the rest; warm-up, plateau, linear decay.
Documents are packed whole and do not see each other.{learned} The recipes, whose heads have the commands that make
their data and run them:

{listed}

{history}

{pictures}"""


def _name(stream: Any) -> str:
    return Path(stream.shards or stream.examples).name.partition(".")[0]


def _percent(share: float, digits: int = 0) -> str:
    return f"{share * 100:.{digits}f} %"


def learned_from(corpus: Path, streams: Sequence[Any]) -> str:
    report = json.loads((corpus / "report.json").read_text())
    paths = sorted({Path(stream.shards) for stream in streams if stream.shards})
    told = sorted({stream.examples for stream in streams if stream.examples})
    counted = ", ".join(f"{sum(1 for _ in json_lines(Path(file), 'lessons')):,} {Path(file).stem}" for file in told)
    taught = (
        f"\n- **lessons**: prompts and solutions of such problems ({counted}), made by `codegeex exercises lessons`."
    )
    shards = {path.name: json.loads((path / "meta.json").read_text()) for path in paths}
    licences, packages = _taken(corpus)
    made = {path for name in shards if name not in ("files", "pairs") for path in _column(corpus / name, "path")}
    families = {path.partition("/")[0] for path in made}
    counts = ", ".join(f"{meta['tokens'] / 1e6:.0f} million tokens of {name}" for name, meta in shards.items())
    rows = "\n".join(
        f"| {languages.get(key).name} | {entry['files']:,} | {entry['characters'] / 1e6:.0f} | {entry['pairs']:,} "
        f"| {shards['exercises']['tokens_per_language'].get(key, 0) / 1e6:.0f} |"
        for key, entry in sorted(report["languages"].items())
    )
    return f"""
## Data

{counts}: the runs drew from these what their steps have room for.

- **exercises** and **everyday**: {len(made):,} problems of {len(families)} families with solutions in six languages,
  made by `codegeex exercises`.{taught if told else ""}
- **pairs**: docstrings and doc comments with their functions; **files**: whole source files. Both come from
  {packages:,} named releases in `recipes/nano-sources.yaml` and `recipes/languages-sources.yaml`, each with its exact
  version and licence. Files are filtered by the paper's rules and more; equal and similar ones, secrets and licence
  headers are left out.

Files, pairs and exercises that share ten words in a row with a problem of {" and ".join(report["benchmarks"])} are left
out, as are exercises with the name or the solution of one of its functions, and those with the solution of a problem of
the built-in benchmark. The families that it calls unseen are in no training data.

| language | files | million characters | pairs | million tokens of exercises |
|---|---|---|---|---|
{rows}

| licence | files that something was taken of |
|---|---|
{licences}"""


def _taken(corpus: Path) -> tuple[str, int]:
    """Rows of licences, and how many packages there are, by the ledgers of what training may see."""
    rows = {
        row
        for kind in ("files", "pairs")
        for row in zip(*(_column(corpus / kind, name) for name in ("licence", "source", "path")), strict=True)
    }
    counted = Counter(licence for licence, _, _ in rows)
    shown = "\n".join(
        f"| {name} | {count:,} |" for name, count in sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    )
    return shown, len({source for _, source, _ in rows})


def _column(shards: Path, name: str) -> list[str]:
    """A column of the ledger of a shard directory."""
    from pyarrow import parquet

    return parquet.read_table(shards / FILE, columns=[name])[name].to_pylist()  # type: ignore[no-any-return]


LIMITS = """
## Limits

- It knows the kinds of functions that the exercises have. Asked for others, it writes what looks like code.
- Requests in other words than the exercises use, or with several conditions, are often misread. It does not converse.
- `explain` says line by line what code does, of such functions as it can write.
- Of gaps of one line in such functions it fills a third (`python benchmarks/gaps.py`: 32 % of 360), if it is told the
  language; without, it begins with what it takes for the language.
- The context ends at 512 tokens; longer prompts lose their beginning.
- The 17 languages beyond the six it can recognise and continue, no more.
- Nothing was filtered for insecure code beyond secrets and addresses."""


def draw_losses(records: Sequence[list[dict[str, Any]]], recipes: Sequence[Any]) -> bytes:
    """A PNG of training loss (mean of 20 steps) and validation losses over tokens, the runs one after the other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    begun, most = 0.0, 20
    losses: list[tuple[float, float]] = []
    checks: dict[str, list[tuple[float, float]]] = {key: [] for key in LANGUAGES}
    for some, recipe in zip(records, recipes, strict=True):
        steps = [record for record in some if "loss" in record]
        width = min(most, len(steps))
        per_step = steps[0]["tokens"] / steps[0]["step"] / 1e6
        losses += [
            (begun + end * per_step, sum(record["loss"] for record in steps[end - width : end]) / width)
            for end in range(width, len(steps) + 1, width)
        ]
        for record in (record for record in some if "validation" in record and (record["step"] or not begun)):
            for key in checks.keys() & record["validation"].keys():
                checks[key].append((begun + record["step"] * per_step, record["validation"][key]))
        axes.axvline(begun + recipe.schedule.decay_begins * per_step, color="0.7", linestyle=":")
        begun += len(steps) * per_step
    axes.plot(*zip(*losses, strict=True), color="0.2", label="training")
    for key, points in ((key, points) for key, points in checks.items() if points):
        axes.plot(*zip(*points, strict=True), marker=".", linewidth=1, label=f"files, {languages.get(key).name}")
    axes.set(xlabel="million tokens (dotted: a decay begins)", ylabel="loss, nats per token", ylim=(0, 7))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=110)
    return picture.getvalue()


if __name__ == "__main__":
    main()
