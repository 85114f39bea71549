"""The report of a run as one page of HTML that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from codegeex import languages
from codegeex.evaluation.humanevalx import NAME as HUMANEVAL_X
from codegeex.evaluation.published import GENERATION
from codegeex.pages import document, escape


def page(report: Mapping[str, Any]) -> str:
    """The page."""
    settings = report["settings"]
    name = settings.get("benchmark", HUMANEVAL_X)
    title = f"{'HumanEval-X' if name == HUMANEVAL_X else name}: {settings['model']}"
    if settings["task"] == "translation":
        title += f", translation from {languages.get(settings['source']).name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{escape(_conditions(settings))}</p>',
        "<h2>Scores</h2>",
        _scores(report),
    ]
    ks = sorted({int(name[5:]) for one in report["languages"].values() for name in one if _is_score(name)})
    for k in ks:
        rows = _beside_published(report, k)
        if rows:
            parts += [f"<h2>pass@{k}, per cent</h2>", _bars(rows, k)]
            shared = [key for key in next(iter(rows.values())) if all(key in scores for scores in rows.values())]
            if len(shared) >= 3:
                parts.append(_radar(rows, shared, k))
    if report["budget"]:
        parts += ["<h2>One budget for several languages</h2>", _budget(report["budget"])]
    parts += ["<h2>How samples ended</h2>", _classes(report["classes"]), "<h2>Problems</h2>", _problems(report)]
    if report["repaired"]:
        parts.append("<h2>Repaired problems</h2><table><tr><th>problem</th><th>fault</th></tr>")
        parts += [
            f"<tr><td>{escape(task)}</td><td>{escape(fault)}</td></tr>" for task, fault in report["repaired"].items()
        ]
        parts.append("</table>")
    parts += ["<h2>Failures</h2>", _failures(report["failures"])]
    return document(title, parts)


def _is_score(name: str) -> bool:
    return name.startswith("pass@") and name[5:].isdigit()


def _conditions(settings: Mapping[str, Any]) -> str:
    temperatures = ", ".join(f"pass@{k} at temperature {value:g}" for k, value in settings["temperatures"].items())
    sandbox = settings.get("sandbox", {})
    tools = ", ".join(sandbox.get("toolchains", {}).values())
    repairs = (
        "Repairs on: scores are honest. "
        if settings["repairs"]
        else "Repairs off: scores compare with published ones. "
    )
    if settings.get("benchmark", HUMANEVAL_X) != HUMANEVAL_X:
        repairs = ""
    isolated = sandbox.get("isolation", "unknown")
    return (
        f"{settings['samples']} samples of each problem; {temperatures}; top-p {settings['sampling']['top_p']:g}, "
        f"at most {settings['sampling']['max_tokens']} tokens; seed {settings['seed']}. {repairs}"
        f"Isolation: {isolated}. {tools}. A pass means that the tests ran to their end without a failure; a program "
        "that looks for its tests' secret in its own memory could still forge one."
    )


def _scores(report: Mapping[str, Any]) -> str:
    scores = report["languages"]
    names = sorted({name for one in scores.values() for name in one if _is_score(name)}, key=lambda name: int(name[5:]))
    rows = ["<table><tr><th>language</th><th>problems</th><th>samples</th>", *(f"<th>{n}</th>" for n in names), "</tr>"]
    for key, one in scores.items():
        cells = []
        for name in names:
            low, high = one.get(f"{name} interval", (0.0, 0.0))
            value = f"{100 * one[name]:.2f} <small>{100 * low:.1f}–{100 * high:.1f}</small>" if name in one else "–"
            cells.append(f"<td>{value}</td>")
        label = escape(languages.get(key).name)
        rows.append(
            f"<tr><td>{label}</td><td>{one.get('problems', '–')}</td><td>{one['samples']}</td>{''.join(cells)}</tr>"
        )
    if average := report.get("average"):
        cells = [f"<td>{100 * average[name]:.2f}</td>" if name in average else "<td>–</td>" for name in names]
        rows.append(f"<tr><th>average</th><td></td><td></td>{''.join(cells)}</tr>")
    halves = {kind: report[f"{kind}_pass@1"] for kind in ("seen", "unseen") if f"{kind}_pass@1" in report}
    note = "".join(f"pass@1 of {kind} families: {100 * score:.2f}. " for kind, score in halves.items())
    note += "Small: where 95 % of scores on other such problems would lie."
    return f'{"".join(rows)}</table><p class="note">{note}</p>'


def _beside_published(report: Mapping[str, Any], k: int) -> dict[str, dict[str, float]]:
    """Per cent for each model and language: ours first, then the published ones, where there are any."""
    ours = {key: 100 * one[f"pass@{k}"] for key, one in report["languages"].items() if f"pass@{k}" in one}
    rows = {str(report["settings"]["model"]): ours}
    settings = report["settings"]
    comparable = settings.get("benchmark", HUMANEVAL_X) == HUMANEVAL_X and not settings["repairs"]
    if comparable and settings["task"] == "generation" and k in (1, 10, 100):
        place = (1, 10, 100).index(k)
        for model, scores in reversed(GENERATION.items()):
            rows[model] = {key: scores[key][place] for key in ours if key in scores}
    return {model: scores for model, scores in rows.items() if scores}


def _bars(rows: Mapping[str, Mapping[str, float]], k: int) -> str:
    keys = list(next(iter(rows.values())))
    most = max(1.0, *(value for scores in rows.values() for value in scores.values()))
    bar, gap, left, width = 13, 16, 170, 620
    parts = []
    y = 6
    for key in keys:
        parts.append(f'<text x="0" y="{y + 11}" font-weight="600">{escape(languages.get(key).name)}</text>')
        for place, (model, scores) in enumerate(rows.items()):
            if key not in scores:
                continue
            long = width * scores[key] / most
            color = "var(--ours)" if place == 0 else "var(--other)"
            parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{bar - 2}" rx="2" fill="{color}"/>')
            parts.append(
                f'<text x="{left - 6}" y="{y + 10}" text-anchor="end" class="dim">{escape(_short(model))}</text>'
            )
            parts.append(f'<text x="{left + long + 5:.1f}" y="{y + 10}">{scores[key]:.1f}</text>')
            y += bar
        y += gap
    head = f'<svg viewBox="0 0 {left + width + 60} {y}" role="img" aria-label="pass@{k} of every language">'
    return f"<figure>{head}{''.join(parts)}</svg></figure>"


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _radar(rows: Mapping[str, Mapping[str, float]], keys: Sequence[str], k: int) -> str:
    most = max(1.0, *(scores[key] for scores in rows.values() for key in keys))
    middle, radius = 190, 140

    def point(place: int, value: float) -> tuple[float, float]:
        angle = 2 * math.pi * place / len(keys) - math.pi / 2
        return middle + radius * value / most * math.cos(angle), middle + radius * value / most * math.sin(angle)

    def outline(values: Sequence[float], style: str) -> str:
        points = " ".join("{:.1f},{:.1f}".format(*point(place, value)) for place, value in enumerate(values))
        return f'<polygon points="{points}" {style}/>'

    parts = [f'<svg viewBox="0 0 380 380" width="380" role="img" aria-label="pass@{k} as a radar chart">']
    parts += [outline([most * part / 4] * len(keys), 'fill="none" stroke="var(--line)"') for part in (1, 2, 3, 4)]
    for place, (model, scores) in reversed(list(enumerate(rows.items()))):
        color = "var(--ours)" if place == 0 else "var(--other)"
        fill = 'fill="var(--ours)" fill-opacity=".18"' if place == 0 else 'fill="none"'
        style = f'{fill} stroke="{color}" stroke-width="{2 if place == 0 else 1.2}"'
        parts.append(
            outline([scores[key] for key in keys], style).replace("/>", f"><title>{escape(model)}</title></polygon>")
        )
    for place, key in enumerate(keys):
        x, y = point(place, most * 1.14)
        parts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(languages.get(key).name)}</text>')
    caption = f"Outermost ring: {most:.1f} per cent. Blue: this run; grey: published models."
    return f"<figure>{''.join(parts)}</svg><figcaption>{caption}</figcaption></figure>"


def _budget(budget: Mapping[str, Mapping[str, float]]) -> str:
    names = list(next(iter(budget.values())))
    rows = ["<table><tr><th>budget</th>", *(f"<th>{escape(name)}</th>" for name in names), "</tr>"]
    for label, one in budget.items():
        rows.append(f"<tr><td>{label}</td>{''.join(f'<td>{100 * one[name]:.2f}</td>' for name in names)}</tr>")
    return "".join(rows) + "</table>"


def _classes(classes: Mapping[str, Mapping[str, int]]) -> str:
    names = sorted({name for one in classes.values() for name in one}, key=lambda name: (name != "passed", name))
    rows = ["<table><tr><th>language</th>", *(f"<th>{escape(name)}</th>" for name in names), "</tr>"]
    for key, one in classes.items():
        total = sum(one.values())
        cells = "".join(f"<td>{one.get(name, 0) / total:.1%}</td>" if name in one else "<td></td>" for name in names)
        rows.append(f"<tr><td>{escape(languages.get(key).name)}</td>{cells}</tr>")
    return "".join(rows) + "</table>"


def _problems(report: Mapping[str, Any]) -> str:
    parts = []
    prefixes: dict[str, list[str]] = {}
    for task, one in report["problems"].items():
        share = one["passed"] / one["samples"]
        style = f"background: color-mix(in srgb, var(--good) {25 + 75 * share:.0f}%, var(--soft))" if share else ""
        cell = f'<i title="{escape(task)}: {one["passed"]} of {one["samples"]}" style="{style}"></i>'
        prefixes.setdefault(task.rpartition("/")[0], []).append(cell)
    for prefix, cells in prefixes.items():
        parts.append(f'<div>{escape(prefix)}</div><div class="grid">{"".join(cells)}</div>')
    return "".join(parts) + '<p class="note">The greener, the more of a problem’s samples pass.</p>'


def _failures(failures: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    parts = []
    for task, samples in failures.items():
        if not samples:
            continue
        parts.append(f"<details><summary>{escape(task)} <small>{escape(samples[0]['verdict'])}</small></summary>")
        parts.append(f"<pre>{escape(samples[0]['prompt'])}</pre>" if samples[0]["prompt"] else "")
        for sample in samples:
            parts.append(f"<p>sample {sample['index']}: <b>{escape(sample['verdict'])}</b></p>")
            parts.append(f"<pre>{escape(sample['completion'])}</pre>")
            parts.append(f"<pre>{escape(sample['detail'])}</pre>" if sample["detail"] else "")
        parts.append("</details>")
    return "".join(parts) or '<p class="note">None.</p>'
