"""`codegeex corpus build`: from a list of source packages to a tokenizer and token shards.

Stages: fetch, clean (filters, licences, exact duplicates, benchmarks, secrets), near duplicates, pairs, balance, write.
The order of everything follows from the recipe and a seed, so the same archives give the same shards.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from codegeex.corpus import decontaminate, dedup, filters, licences, pairs, secrets
from codegeex.corpus.dataset import Settings, write_dataset
from codegeex.corpus.decontaminate import Benchmark
from codegeex.corpus.pairs import Pair
from codegeex.corpus.readers import read
from codegeex.corpus.sources import Document, Source, fetch, load, local
from codegeex.files import atomic_directory

Report = dict[str, Any]

_TEST_PATH = re.compile(r"(^|/)(tests?|testing|benchmarks?)/|_test\.|[Tt]est\.\w+$|(^|/)test_")


def build(
    inputs: Sequence[Path],
    output: Path,
    cache: Path,
    benchmarks: Sequence[Path] = (),
    report: Callable[[str], None] = lambda line: None,
    settings: Settings | None = None,
) -> Report:
    """Build a dataset; `codegeex.corpus.dataset` says what `output` holds.

    Args:
        inputs: YAML lists of sources, folders, git repositories, archives, tables of files (JSONL, Parquet).
        output: directory to write; must not exist.
        cache: where downloaded archives are kept.
        benchmarks: directories with HumanEval-X data, whose overlaps are dropped.
        report: called with a line about each stage.
        settings: vocabulary, window and rates.

    Returns:
        `stages` (name, kept, dropped by reason, seconds), `languages` (files, characters and pairs in training) and
        `benchmarks` (whose overlaps were dropped); also written to `output`/report.json.
    """
    settings = settings or Settings()
    sources = [
        source
        for path in inputs
        for source in (load(path) if path.suffix in (".yaml", ".yml") and path.is_file() else [local(path)])
    ]
    problems = [problem for directory in benchmarks for problem in decontaminate.read_humaneval_x(directory)]
    benchmark = Benchmark(problems)
    stages: list[dict[str, Any]] = []
    began = time.monotonic()

    def stage(name: str, kept: int, dropped: Counter[str]) -> None:
        nonlocal began
        seconds, began = time.monotonic() - began, time.monotonic()
        counts = dict(dropped.most_common())
        stages.append({"name": name, "kept": kept, "dropped": counts, "seconds": round(seconds, 1)})
        report(f"{name}: {kept:,} kept, {dropped.total():,} dropped, {seconds:.0f} s")

    with atomic_directory(output) as partial:
        archives = list(fetch(sources, cache))
        stage("fetch", len(archives), Counter())
        documents, dropped = clean(
            ((source, document) for source, path in archives for document in read(path, source)), benchmark
        )
        stage("clean", len(documents), dropped)
        held_out = frozenset(source.name for source in sources if source.validation) | chosen_by_chance(
            {document.source for document in documents}, settings.validation_share
        )
        documents, dropped = without_near_duplicates(documents, held_out)
        stage("near duplicates", len(documents), dropped)
        found, dropped = mine(documents, benchmark)
        stage("pairs", len(found), dropped)
        documents, dropped = balance(documents, settings.characters_per_language)
        stage("balance", len(documents), dropped)
        write_dataset(partial, documents, found, held_out, settings)
        stage("write", len(documents) + len(found), Counter())
        result = {
            "stages": stages,
            "languages": _by_language(documents, found, held_out),
            "benchmarks": ["HumanEval-X"] if problems else [],
        }
        (partial / "report.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def clean(documents: Iterable[tuple[Source, Document]], benchmark: Benchmark) -> tuple[list[Document], Counter[str]]:
    """Filter documents, strip their licence headers, drop exact duplicates and contaminated ones, mask secrets.

    Returns:
        What is kept, and the number dropped for each reason.
    """
    kept: list[Document] = []
    dropped: Counter[str] = Counter()
    seen: set[bytes] = set()
    for source, document in documents:
        text = filters.strip_licence_header(document.text, document.language)
        reason = None if source.names_vendored(document.path) else filters.check_path(document.path)
        named = licences.in_header(document.text)
        if not reason and not licences.allows(named or document.licence):
            reason = "licence"
        if not reason and document.stars is not None and document.stars < 1:  # paper, section 3.1
            reason = "no stars"
        if not reason:
            # What the header says of the file's origin is gone once it is stripped.
            told = filters.is_generated(document.text) or filters.is_copyleft(document.text)
            reason = filters.check(document.text if told else text)
        if reason == filters.SMALL.name:  # no document of its own, but its functions may be pairs
            reason = None
        if not reason and (key := _key(text)) in seen:
            reason = "duplicate"
        if not reason and benchmark.overlaps(text):
            reason = "benchmark"
        if reason:
            dropped[reason] += 1
            continue
        seen.add(key)
        masked, _ = secrets.mask(text)
        kept.append(replace(document, text=masked, licence=named or document.licence))
    return kept, dropped


def chosen_by_chance(names: Iterable[str], share: float) -> frozenset[str]:
    """About that share of the repositories, whatever others there are beside them."""
    return frozenset(
        name for name in names if int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) < share * 2**32
    )


def without_near_duplicates(
    documents: Sequence[Document], held_out: frozenset[str]
) -> tuple[list[Document], Counter[str]]:
    """One document of all that are alike: a held-out one before all others, no test before a test, then the longest."""
    preference = [
        (document.source in held_out, not _TEST_PATH.search(document.path), len(document.text))
        for document in documents
    ]
    instead = dedup.near_duplicates([document.text for document in documents], preference)
    kept = [document for document, other in zip(documents, instead, strict=True) if other is None]
    return kept, Counter({"near duplicate": len(documents) - len(kept)})


def mine(documents: Iterable[Document], benchmark: Benchmark) -> tuple[list[tuple[Document, Pair]], Counter[str]]:
    """The pairs of documents that are not tests, without exact duplicates and contaminated ones."""
    kept: list[tuple[Document, Pair]] = []
    dropped: Counter[str] = Counter()
    seen: set[bytes] = set()
    for document in documents:
        if _TEST_PATH.search(document.path):
            continue
        for pair in pairs.mine(document.text, document.language):
            if (key := _key(pair.code)) in seen:
                dropped["duplicate"] += 1
            elif benchmark.overlaps(pair.code) or any(map(benchmark.overlaps, pair.intents)):
                dropped["benchmark"] += 1
            else:
                seen.add(key)
                kept.append((document, pair))
    return kept, dropped


def balance(documents: Sequence[Document], characters: int) -> tuple[list[Document], Counter[str]]:
    """Drop small files, give every language at most `characters`, and every package in it at most one common share.

    Small packages stay whole; large ones keep their first files in an order that chance decides, tests last.
    """
    dropped: Counter[str] = Counter()
    groups: dict[str, dict[str, list[Document]]] = defaultdict(lambda: defaultdict(list))
    for document in documents:
        if not filters.SMALL.takes(document.text):
            dropped[filters.SMALL.name] += 1
        else:
            groups[document.language][document.source].append(document)
    kept: list[Document] = []
    for packages in groups.values():
        share = common_share([sum(len(file.text) for file in files) for files in packages.values()], characters)
        for files in packages.values():
            files.sort(key=lambda file: (bool(_TEST_PATH.search(file.path)), _key(file.path)))
            size = 0
            for file in files:
                size += len(file.text)
                if size > share:
                    break
                kept.append(file)
    dropped["over its share"] = len(documents) - len(kept) - dropped.total()
    return kept, dropped


def common_share(sizes: Sequence[int], total: int) -> float:
    """The largest s for which Σ min(size, s) ≤ total; infinite where everything fits."""
    left = float(total)
    for index, size in enumerate(sorted(sizes)):
        waiting = len(sizes) - index
        if size * waiting > left:
            return left / waiting
        left -= size
    return float("inf")


def _key(text: str) -> bytes:
    """Equal for texts that differ only in white space."""
    return hashlib.sha256("".join(text.split()).encode()).digest()


def _by_language(
    documents: Sequence[Document], found: Sequence[tuple[Document, Pair]], held_out: frozenset[str]
) -> dict[str, Report]:
    """What training sees of each language."""
    files = [document for document in documents if document.source not in held_out]
    pairs_of = Counter(document.language for document, _ in found if document.source not in held_out)
    return {
        language: {
            "files": sum(document.language == language for document in files),
            "characters": sum(len(document.text) for document in files if document.language == language),
            "pairs": pairs_of[language],
        }
        for language in sorted({document.language for document in files})
    }
