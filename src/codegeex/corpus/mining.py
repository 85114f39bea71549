"""The stage that finds pairs of an intent and a function in the files that no other one stands for."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Series, col
from numpy.typing import NDArray
from pyarrow import parquet

from codegeex.corpus import engine, pairs
from codegeex.corpus.choosing import Files, among
from codegeex.corpus.cleaning import CARRIED
from codegeex.corpus.decontaminate import Benchmark
from codegeex.corpus.measures import array, text_key
from codegeex.corpus.work import Report

_PAIR = {"intents": DataType.list(DataType.string()), "code": DataType.string(), "clean": DataType.bool()}
_PAIRS = DataType.list(DataType.struct(_PAIR))

SCHEMA = pa.schema(
    {"id": pa.int64()}
    | {name: pa.string() for name in CARRIED}
    | {"intents": pa.list_(pa.string()), "code": pa.string()}
)
"""Rows of pairs; `id` counts them, `CARRIED` tells of the file each comes from."""


def mine_pairs(
    clean: Path,
    folder: Path,
    files: Files,
    kept: NDArray[np.int64],
    benchmark: Benchmark,
    progress: engine.Progress | None,
) -> Report:
    """Write the pairs of files that are not tests, without equal ones and those that overlap with the benchmark."""

    # Parsing is Python's own work, so threads would only wait for each other.
    @daft.func.batch(return_dtype=_PAIRS, use_process=True)
    def mine(text: Series, language: Series) -> list[list[dict[str, Any]]]:
        return [
            _mine(one, key, benchmark)
            for one, key in zip(array(text).to_pylist(), array(language).to_pylist(), strict=True)
        ]

    asked = np.array([name == "python" or name in pairs.BRACE_LANGUAGES for name in files.language_names], np.bool_)
    wanted = kept[asked[files.languages[kept]] & ~files.tests[kept]]
    mined = folder / "mined"
    source = engine.read(clean, ["id", *CARRIED, "text"]).where(among(files.ids[wanted])(col("id")))
    engine.write(
        source.select("id", *CARRIED, mine(col("text"), col("language")).alias("pairs")), mined, len(wanted), progress
    )
    report = _write_once(mined, folder / "pairs.parquet")
    shutil.rmtree(mined)
    return report | {"megabytes": float(files.characters[wanted].sum() / 1e6)}


def _mine(text: str, language: str, benchmark: Benchmark) -> list[dict[str, Any]]:
    return [
        {
            "intents": list(pair.intents),
            "code": pair.code,
            "clean": not any(benchmark.overlap(one) for one in (pair.code, *pair.intents)),
        }
        for pair in pairs.mine(text, language)
    ]


def _write_once(mined: Path, file: Path) -> Report:
    """Write each clean pair of the files in `mined` where it is met first."""
    seen: set[bytes] = set()
    rows: list[dict[str, Any]] = []
    dropped = {"duplicate": 0, "benchmark": 0}
    languages: dict[str, dict[str, Any]] = {}
    count = 0
    with parquet.ParquetWriter(file, SCHEMA, compression=engine.COMPRESSION) as writer:
        for row in engine.ordered(mined):
            for pair in row["pairs"]:
                key = text_key(pair["code"])
                entry = languages.setdefault(row["language"], {"kept": 0, "dropped": 0, "megabytes": 0.0})
                if key in seen or not pair["clean"]:
                    dropped["benchmark" if not pair["clean"] else "duplicate"] += 1
                    entry["dropped"] += 1
                    continue
                seen.add(key)
                entry["kept"] += 1
                entry["megabytes"] += len(pair["code"]) / 1e6
                origin = {name: row[name] for name in CARRIED}
                rows.append({"id": count} | origin | {"intents": pair["intents"], "code": pair["code"]})
                count += 1
            if len(rows) >= 4096:
                writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                rows.clear()
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
    reasons = {reason: number for reason, number in dropped.items() if number}
    return {"kept": count, "dropped": reasons, "languages": dict(sorted(languages.items()))}


def count(mined: Path, without: Collection[str]) -> Counter[str]:
    """The pairs of each language, those from some sources left out."""
    table = parquet.read_table(mined / "pairs.parquet", columns=["language", "source"])
    kept = table.filter(pc.invert(pc.is_in(table["source"], pa.array(sorted(without), pa.string()))))
    return Counter(kept["language"].to_pylist())
