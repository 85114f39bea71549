"""The report of a run, as plain data: scores, intervals, budgets, error classes, problems."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from codegeex.errors import CodeGeeXError
from codegeex.evaluation import builtin, humanevalx
from codegeex.evaluation.errorclass import error_class
from codegeex.evaluation.passk import (
    TRAINING_SHARES,
    interval,
    mean_pass_at_k,
    paired_p_value,
    pass_at_k,
    shared_budget,
    split,
)
from codegeex.evaluation.repairs import REPAIRED
from codegeex.evaluation.samples import LANGUAGES
from codegeex.files import write_text

_SHOWN_FAILURES = 3
"""Failed samples of each problem that a report shows."""


def make_report(settings: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a run has shown.

    Args:
        settings: run.json.
        results: every judged sample; of several with one key the last.

    Returns:
        What run.json says, then scores and counts; "problems" has those of the temperature of the least k.
    """
    counts: dict[str, dict[float, dict[str, list[int]]]] = {}
    verdicts: dict[str, Counter[str]] = {}
    classes: dict[str, Counter[str]] = {}
    failures: dict[str, list[dict[str, Any]]] = {}
    for row in {(row["task_id"], row["temperature"], row["index"]): row for row in results}.values():
        language, task = row["language"], row["task_id"]
        tally = counts.setdefault(language, {}).setdefault(row["temperature"], {}).setdefault(task, [0, 0])
        tally[0] += 1
        tally[1] += row["verdict"] == "passed"
        verdicts.setdefault(language, Counter())[row["verdict"]] += 1
        classes.setdefault(language, Counter())[error_class(language, row["verdict"], row["detail"])] += 1
        shown = failures.setdefault(task, [])
        if row["verdict"] != "passed" and len(shown) < _SHOWN_FAILURES:
            shown.append({name: row[name] for name in ("index", "prompt", "completion", "verdict", "detail")})
    temperatures = {int(k): value for k, value in settings["temperatures"].items()}
    scores = {language: _scores(by, temperatures) for language, by in counts.items()}
    first = temperatures[min(temperatures)]
    report = {
        "settings": dict(settings),
        "repaired": REPAIRED if settings["repairs"] else {},
        "languages": scores,
        **({"average": _average(scores)} if len(scores) > 1 else {}),
        "budget": _budgets(counts, temperatures),
        "verdicts": {language: dict(counter) for language, counter in verdicts.items()},
        "classes": {language: dict(counter) for language, counter in classes.items()},
        "problems": {
            task: {"temperature": first, "samples": tally[0], "passed": tally[1]}
            for by in counts.values()
            for task, tally in sorted(by.get(first, {}).items(), key=lambda item: int(item[0].rpartition("/")[2]))
        },
        "failures": failures,
    }
    if settings.get("benchmark") == builtin.NAME:
        report |= builtin.split_scores(report, {language: builtin.load(language) for language in counts})
    return report


def _scores(by: Mapping[float, Mapping[str, list[int]]], temperatures: Mapping[int, float]) -> dict[str, Any]:
    """pass@k of one language, for every k that each problem has samples enough for."""
    scores: dict[str, Any] = {"samples": sum(tally[0] for tasks in by.values() for tally in tasks.values())}
    for k, temperature in sorted(temperatures.items()):
        tallies = [(tally[0], tally[1]) for tally in by.get(temperature, {}).values()]
        if tallies and all(samples >= k for samples, _ in tallies):
            scores[f"pass@{k}"] = mean_pass_at_k(tallies, k)
            scores[f"pass@{k} interval"] = interval(tallies, k)
            scores["problems"] = len(tallies)
    return scores


def _average(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    shared = set.intersection(*({name for name in one if name.count(" ") == 0} for one in scores.values()))
    return {
        name: sum(one[name] for one in scores.values()) / len(scores)
        for name in sorted(shared)
        if name.startswith("pass@")
    }


def _budgets(
    counts: Mapping[str, Mapping[float, Mapping[str, list[int]]]], temperatures: Mapping[int, float]
) -> dict[str, dict[str, float]]:
    """How a budget of k samples does in the best language, and spread over several (paper, section 4.4)."""
    budgets: dict[str, dict[str, float]] = {}
    for k, temperature in sorted(temperatures.items()):
        tables = {
            language: {task.rpartition("/")[2]: (tally[0], tally[1]) for task, tally in by[temperature].items()}
            for language, by in counts.items()
            if temperature in by and language in TRAINING_SHARES
        }
        if len(tables) < 2 or k < len(tables):
            continue
        numbers = sorted(set.intersection(*(set(table) for table in tables.values())))
        lists = {language: [table[number] for number in numbers] for language, table in tables.items()}
        if not numbers or any(samples < k for values in lists.values() for samples, _ in values):
            continue
        weights = {language: TRAINING_SHARES[language] for language in lists}
        budgets[f"pass@{k}"] = {
            "best single": max(mean_pass_at_k(values, k) for values in lists.values()),
            "uniform": shared_budget(lists, split(k, dict.fromkeys(lists, 1.0))),
            "weighted": shared_budget(lists, split(k, weights)),
        }
    return budgets


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write report.json and report.html."""
    from codegeex.evaluation.page import page

    write_text(folder / "report.json", json.dumps(report, indent=1) + "\n")
    write_text(folder / "report.html", page(report))


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a run's folder.

    Raises:
        CodeGeeXError: there is none.
    """
    path = folder / "report.json" if folder.is_dir() else folder
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(report, dict) or not isinstance(report.get("problems"), dict):
            raise ValueError("no problems in it")
        if not isinstance(report.get("settings"), dict):
            raise ValueError("no settings in it")
    except (OSError, ValueError) as error:
        raise CodeGeeXError(f"no report at {path}: {error}.") from None
    return report  # type: ignore[no-any-return]


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Two runs over the problems that both have: pass@1 of each language, and how likely chance alone would differ so.

    Raises:
        CodeGeeXError: they have nothing in common, or were judged by different rules.
    """
    for name, otherwise in (
        ("benchmark", humanevalx.NAME),
        ("task", "generation"),
        ("source", None),
        ("repairs", False),
    ):
        a, b = (one["settings"].get(name, otherwise) for one in (ours, theirs))
        if a != b:
            raise CodeGeeXError(f"the runs differ in {name} ({a} and {b}): their scores do not compare.")
    shared = [task for task in ours["problems"] if task in theirs["problems"]]
    if not shared:
        raise CodeGeeXError("the two runs have no problem in common.")
    languages: dict[str, Any] = {}
    for prefix in dict.fromkeys(task.rpartition("/")[0] for task in shared):
        tasks = [task for task in shared if task.rpartition("/")[0] == prefix]
        first, second = (
            [pass_at_k(one["problems"][task]["samples"], one["problems"][task]["passed"], 1) for task in tasks]
            for one in (ours, theirs)
        )
        languages[LANGUAGES.get(prefix, prefix)] = {
            "problems": len(tasks),
            "a": sum(first) / len(tasks),
            "b": sum(second) / len(tasks),
            "p": paired_p_value(first, second),
        }
    return {"languages": languages}
