"""The second stage: what every rule measures of every file, the verdict, and the text as it will be learned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daft import DataFrame, DataType, col, functions, lit

from codegeex.corpus import engine, headers, licences, measures, secrets
from codegeex.corpus.decontaminate import Benchmark
from codegeex.corpus.rules import RULES, SMALL, verdict
from codegeex.corpus.work import Report

CARRIED = ("language", "path", "source", "version", "licence", "sha256")
"""Columns that say what a file is and where it comes from, up to the ledger of the shards."""


def judged(files: DataFrame, wanted: Iterable[str], benchmark: Benchmark) -> DataFrame:
    """Files with what every rule measures of them (`measured`), why one is left out (`reason`), and `body`.

    Args:
        files: with the columns of `reading.SCHEMA`.
        wanted: SPDX names of the licences that are taken.
        benchmark: what must not be learned.
    """
    files = files.with_columns(
        {"top": headers.top(col("text")), "body": headers.without_licence(col("text"), col("language"))}
    ).with_column("header", licences.in_header(col("top")))
    files = files.with_columns(
        {
            "licence": functions.coalesce(col("header"), col("licence")),
            "shape": measures.shape(col("body")),
            "problem_inside": benchmark.found(col("body")) if benchmark else lit(None).cast(DataType.string()),
        }
    )
    files = files.with_columns(
        {
            "unwanted": licences.unwanted(col("licence"), wanted),
            "declared": col("header").not_null() | licences.names_copyleft(functions.coalesce(col("licence"), lit(""))),
        }
    )
    files = files.with_column("measured", functions.to_struct(**{rule.name: rule.measure for rule in RULES}))
    problem = functions.when(col("problem") != lit(""), col("problem")).otherwise(lit(None).cast(DataType.string()))
    return files.with_column("reason", functions.coalesce(problem, verdict(col("measured"))))


def clean(
    read: Path,
    folder: Path,
    wanted: Iterable[str],
    benchmark: Benchmark,
    total: int = 0,
    progress: engine.Progress | None = None,
) -> Report:
    """Write every file of the stage before with its verdict; only those that are taken, or small, keep their text.

    Rows: `id`, `CARRIED`, `reason`, `measured`, `bytes` and `characters` of the text, and its hash as
    `key`; both are null for a file that is left out, as is `text`.
    """
    files = judged(engine.read(read), wanted, benchmark)
    kept = col("reason").is_null() | (col("reason") == lit(SMALL))
    text = functions.when(kept, secrets.masked(col("body"))).otherwise(lit(None).cast(DataType.string()))
    shape = col("shape")
    frame = files.with_column("text", text).select(
        "id",
        *CARRIED,
        "reason",
        "measured",
        functions.coalesce(functions.get(shape, "bytes"), lit(0)).alias("bytes"),
        functions.coalesce(functions.get(shape, "characters"), lit(0)).alias("characters"),
        # Of ten million files, two have the same 64 bits by chance in one corpus of 400,000.
        functions.when(kept, functions.hash(col("text"))).otherwise(lit(None).cast(DataType.uint64())).alias("key"),
        "text",
    )
    engine.write(frame, folder, total, progress)
    return tally(folder, SMALL)


def tally(folder: Path, *not_counted: str) -> Report:
    """How many files of a stage are kept and dropped, by reason and by language; `not_counted` reasons drop none."""
    counts = engine.collect(
        engine.read(folder, ["language", "reason", "bytes"])
        .groupby("language", "reason")
        .agg(col("bytes").count().alias("files"), col("bytes").sum().alias("bytes"))
    ).to_pylist()
    dropped: dict[str, int] = {}
    by_language: dict[str, dict[str, Any]] = {}
    for row in sorted(counts, key=lambda row: (row["language"], row["reason"] or "")):
        is_kept = row["reason"] is None or row["reason"] in not_counted
        if not is_kept:
            dropped[row["reason"]] = dropped.get(row["reason"], 0) + row["files"]
        if row["language"]:
            entry = by_language.setdefault(row["language"], {"kept": 0, "dropped": 0, "megabytes": 0.0})
            entry["kept" if is_kept else "dropped"] += row["files"]
            entry["megabytes"] += row["bytes"] / 1e6 if is_kept else 0.0
    return {
        "kept": sum(row["files"] for row in counts) - sum(dropped.values()),
        "dropped": dict(sorted(dropped.items(), key=lambda item: -item[1])),
        "megabytes": sum(row["bytes"] for row in counts) / 1e6,
        "languages": by_language,
    }
