"""One step of the pipeline in a process of its own, for compare.py; prints its figures as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from codegeex import recipes
from codegeex import tokenizer as tokenizers
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.corpus import choosing, cleaning, encoding, engine, licences, output, reading, sources
from codegeex.corpus.decontaminate import Benchmark
from codegeex.corpus.settings import Settings

NOBODY: frozenset[str] = frozenset()


def main() -> None:
    step, *arguments = sys.argv[1:]
    began = time.perf_counter()
    found = globals()[f"do_{step}"](*map(Path, arguments))
    # `do_bare` prepares, so it times itself.
    print(json.dumps({"seconds": time.perf_counter() - began} | found | {"peak_mb": peak()}))


def do_read(recipe: Path, cache: Path, out: Path) -> dict[str, Any]:
    out.mkdir(parents=True)
    places = list(sources.fetch(sources.parse(recipes.read(recipe), recipe), cache))
    report = reading.read_sources(places, out, None)
    return {"megabytes": report["megabytes"], "kept": report["kept"]}


def do_filter(work: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    report = cleaning.clean(work / "read", out, licences.PERMISSIVE, Benchmark([]))
    return {"megabytes": report["megabytes"], "kept": report["kept"]}


def do_near(work: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    clean = work / "codegeex-filter"
    report = choosing.find_duplicates(clean, out, choosing.load(clean), NOBODY, 0.85, None)
    return {"megabytes": report["megabytes"], "kept": report["kept"]}


def do_tokenise(work: Path, out: Path) -> dict[str, Any]:
    (out / "encoded").mkdir(parents=True)
    (out / "packed").mkdir()
    clean = work / "codegeex-filter"
    files = choosing.load(clean)
    encoder = encoding.Encoder(tokenizers.load(EMBEDDED_MODEL), Settings(fim_rate=0), NOBODY)
    encoding.encode_files(clean, out / "encoded", files.ids, encoder, None)
    report = output.pack([out / "encoded"], out / "packed", encoder, "dense", NOBODY, None)
    return {"megabytes": float(files.characters.sum() / 1e6), "kept": report["kept"]}


def do_bare(work: Path, out: Path) -> dict[str, Any]:
    """Ids of the same texts, as arrays; the texts are read before the clock starts, in parts."""
    backend = tokenizers.load(EMBEDDED_MODEL).backend
    seconds = size = count = 0.0
    for texts in batches(work / "codegeex-filter"):
        began = time.perf_counter()
        for encoded in backend.encode_batch_fast(texts, add_special_tokens=False):
            np.array(encoded.ids, np.uint16)
        seconds += time.perf_counter() - began
        size += sum(map(len, texts))
        count += len(texts)
    return {"megabytes": size / 1e6, "kept": int(count), "seconds": seconds}


def batches(clean: Path) -> Iterator[list[str]]:
    texts: list[str] = []
    for row in engine.ordered(clean, ["text"]):
        if row["text"] is not None:
            texts.append(row["text"])
            if len(texts) == 2048:
                yield texts
                texts = []
    yield texts


def peak() -> float:
    """Megabytes that this process has held at most."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    main()
