"""Why a file would be in the corpus or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
from daft import col, functions

from codegeex.corpus import cleaning, decontaminate, engine, licences, readers, reading, secrets
from codegeex.corpus.decontaminate import Benchmark
from codegeex.corpus.rules import RULES
from codegeex.corpus.sources import Source


def explain(text: str, path: str, benchmarks: Sequence[Path] = ()) -> dict[str, Any]:
    """What every rule says of a file by itself; whether it is a duplicate depends on the others.

    A file that names no licence is judged as if it had a permissive one, as nobody knows what is above it.

    Returns:
        "taken", "reasons" (names of the rules that leave it out), "language" (key or None), "masked" (secrets by
        placeholder), "licence" (what its header says, or None), and "rules": name, measured, taken_if and ok of each.
    """
    text = readers.decode(text.encode())[0] or text
    problems = [problem for one in benchmarks for problem in decontaminate.read_benchmark(one)]
    source = Source(Path(path).name, "local", languages=())
    language = readers.tell(path, text, source, has_cpp=False)
    row = dict.fromkeys(reading.SCHEMA.names) | {
        "id": 0, "text": text, "language": language or "python", "path": path, "licence": "MIT", "named": False,
        "problem": "",
    }  # fmt: skip
    file = daft.from_arrow(pa.Table.from_pylist([row], reading.SCHEMA))
    frame = cleaning.judged(file, licences.PERMISSIVE, Benchmark(problems))
    takes = functions.to_struct(**{rule.name: rule.takes(functions.get(col("measured"), rule.name)) for rule in RULES})
    (found,) = engine.collect(frame.select("measured", "body", "header", takes.alias("takes"))).to_pylist()
    answer = [
        {
            "name": "language",
            "measured": language or "none",
            "taken_if": "one of the corpus, by the file's name",
            "ok": language is not None,
        }
    ]
    for rule in RULES:
        measured = found["measured"][rule.name]
        answer.append(
            {
                "name": rule.name,
                "measured": _words(measured, rule.unit),
                "taken_if": rule.taken_if,
                "ok": found["takes"][rule.name],
            }
        )
    reasons = [rule["name"] for rule in answer if not rule["ok"]]
    return {
        "taken": not reasons,
        "reasons": reasons,
        "language": language,
        "licence": found["header"],
        "masked": dict(secrets.mask(found["body"])[1]),
        "rules": answer,
    }


def _words(value: Any, unit: str) -> str:
    if value is None:
        return "nothing" if not unit else "not known"
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:,.0f} {unit}" if unit else str(value)
