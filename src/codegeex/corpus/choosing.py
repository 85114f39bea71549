"""Which cleaned files are learned from: one of all that are alike, and of each language and package its share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Expression, Series, col
from numpy.typing import NDArray
from pyarrow import parquet

from codegeex.corpus import dedup, engine
from codegeex.corpus.measures import array, text_key
from codegeex.corpus.rules import SMALL, is_test
from codegeex.corpus.settings import Settings
from codegeex.corpus.work import Report


@dataclass(frozen=True)
class Files:
    """What is known of the files that have a text, without their texts; all [N], by id.

    Attributes:
        ids: as in `reading.SCHEMA`.
        keys: hashes, equal for equal texts.
        languages, sources: numbers of `language_names` and `source_names`.
        characters: of the texts.
        tests: whether they test others.
        places: numbers in which chance orders a package's files.
        small: whether they are too small to be documents of their own.
    """

    ids: NDArray[np.int64]
    keys: NDArray[np.uint64]
    languages: NDArray[np.int64]
    language_names: Sequence[str]
    sources: NDArray[np.int64]
    source_names: Sequence[str]
    characters: NDArray[np.int64]
    tests: NDArray[np.bool_]
    places: NDArray[np.uint64]
    small: NDArray[np.bool_]

    def are_of(self, sources: Collection[str]) -> NDArray[np.bool_]:
        """[N] whether each file is of one of some sources."""
        return np.array([name in sources for name in self.source_names], np.bool_)[self.sources]


def load(clean: Path) -> Files:
    """The files of the cleaning stage that have a text."""
    columns = ["id", "key", "language", "source", "path", "characters", "reason"]
    table = engine.collect(engine.read(clean, columns).where(col("key").not_null())).sort_by("id")
    languages, sources = (pc.dictionary_encode(table[name].combine_chunks()) for name in ("language", "source"))
    paths = table["path"].to_pylist()
    digests = b"".join(text_key(path) for path in paths)
    return Files(
        ids=table["id"].to_numpy(),
        keys=table["key"].to_numpy(),
        languages=languages.indices.to_numpy().astype(np.int64),
        language_names=languages.dictionary.to_pylist(),
        sources=sources.indices.to_numpy().astype(np.int64),
        source_names=sources.dictionary.to_pylist(),
        characters=table["characters"].to_numpy().astype(np.int64),
        tests=np.fromiter(map(is_test, paths), np.bool_, len(paths)),
        places=np.frombuffer(digests, "<u8")[::2],
        small=pc.equal(table["reason"], SMALL).fill_null(False).to_numpy(),
    )


def held_out(names: Iterable[str], listed: Iterable[str], share: float) -> frozenset[str]:
    """The repositories kept for validation: those that a recipe lists, and about that share of all others.

    Whether chance takes a repository does not depend on which others there are.
    """
    by_chance = (name for name in names if int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) < share * 2**32)
    return frozenset(listed) | frozenset(by_chance)


def among(ids: NDArray[np.int64]) -> Callable[[Expression], Expression]:
    """Whether an id is one of `ids`, which are sorted, as an expression."""

    @daft.func.batch(return_dtype=DataType.bool(), use_process=False)
    def contains(column: Series) -> pa.Array:
        asked = array(column).to_numpy()
        if not len(ids):
            return pa.array(np.zeros(len(asked), np.bool_))
        return pa.array(ids[np.searchsorted(ids, asked).clip(max=len(ids) - 1)] == asked)

    return contains


def find_duplicates(
    clean: Path,
    folder: Path,
    files: Files,
    validation: frozenset[str],
    threshold: float,
    progress: engine.Progress | None,
) -> Report:
    """Write which files another one stands for: rows of `id`, `reason` and `instead`, the id of the other.

    Of files that are alike, one that is held out is kept before all others, no test before a test, then the longest.
    """
    is_held_out = files.are_of(validation)
    rank = np.empty(len(files.ids), np.int64)
    rank[np.lexsort((files.ids, -files.characters, files.tests, ~is_held_out))] = np.arange(len(files.ids))
    _, equal = np.unique(files.keys, return_inverse=True)
    instead = dedup.chosen(equal.astype(np.int64), rank)
    single = np.flatnonzero(instead == np.arange(len(instead)))
    if threshold and len(single):
        signatures = engine.read(clean, ["id", "text"]).where(among(files.ids[single])(col("id")))
        table = engine.collect(
            signatures.select("id", dedup.signature(col("text")).alias("hashes")), len(single), progress
        )
        order = np.argsort(table["id"].to_numpy())
        hashes: Any = table["hashes"].combine_chunks()
        found = np.asarray(hashes.flatten(), np.uint32).reshape(-1, dedup.HASHES)[order]
        alike = dedup.near_duplicates(found, files.characters[single] > 0, threshold)
        best = single[dedup.chosen(alike, rank[single])]
        # Copies of a file that is not kept have the same one in their place as the file.
        instead = best[np.searchsorted(single, instead)]
    dropped = np.flatnonzero(instead != np.arange(len(instead)))
    same = equal[dropped] == equal[instead[dropped]]
    parquet.write_table(
        pa.table(
            {
                "id": files.ids[dropped],
                "reason": np.where(same, "duplicate", "near duplicate"),
                "instead": files.ids[instead[dropped]],
            }
        ),
        folder / "duplicates.parquet",
    )
    return _report(files, dropped, {"duplicate": int(same.sum()), "near duplicate": int((~same).sum())})


def without(files: Files, duplicates: Path) -> NDArray[np.int64]:
    """The indices of the files that no other one stands for."""
    ids = np.sort(parquet.read_table(duplicates / "duplicates.parquet", columns=["id"])["id"].to_numpy())
    return np.flatnonzero(~np.isin(files.ids, ids))


def balance(files: Files, kept: NDArray[np.int64], settings: Settings) -> tuple[NDArray[np.int64], Report]:
    """Leave out small files, and give every language at most its characters, in equal shares of its packages.

    A package's files stand in an order that chance decides, tests last. All packages are taken from at the same depth,
    in characters, until the language has enough: small packages stay whole, large ones keep their first files.

    Returns:
        The indices of what is learned from, and the stage's report.
    """
    large = kept[~files.small[kept]]
    ordered = large[np.lexsort((files.places[large], files.tests[large], files.sources[large], files.languages[large]))]
    depth = _depths(
        files.characters[ordered], files.languages[ordered] * len(files.source_names) + files.sources[ordered]
    )
    ordered = ordered[np.lexsort((files.places[ordered], depth, files.languages[ordered]))]
    taken = _depths(files.characters[ordered], files.languages[ordered])
    most = np.array([settings.characters(name) for name in files.language_names])
    answer = np.sort(ordered[taken <= most[files.languages[ordered]]])
    dropped = np.setdiff1d(kept, answer)
    reasons = {SMALL: len(kept) - len(large), "over its share": len(large) - len(answer)}
    report = _report(files, dropped, reasons, kept)
    del report["megabytes"]  # of which nothing was read
    return answer, report


def _depths(sizes: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] the sum of the sizes up to and with each thing in its group, the members of which stand together."""
    sums = np.cumsum(sizes)
    first = np.append(True, groups[1:] != groups[:-1])[: len(groups)]
    before = np.where(first, sums - sizes, 0)
    return sums - np.maximum.accumulate(before)


def _report(
    files: Files, dropped: NDArray[np.int64], reasons: dict[str, int], among: NDArray[np.int64] | None = None
) -> Report:
    all_of = np.arange(len(files.ids)) if among is None else among
    kept = np.setdiff1d(all_of, dropped)
    return {
        "kept": len(kept),
        "dropped": {reason: count for reason, count in reasons.items() if count},
        "megabytes": float(files.characters[all_of].sum() / 1e6),
        "languages": {
            name: {
                "kept": int((files.languages[kept] == number).sum()),
                "dropped": int((files.languages[dropped] == number).sum()),
                "megabytes": float(files.characters[kept][files.languages[kept] == number].sum() / 1e6),
            }
            for number, name in sorted(enumerate(files.language_names), key=lambda item: item[1])
        },
    }
