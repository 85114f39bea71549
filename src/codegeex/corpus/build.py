"""`codegeex corpus build`: from sources to a tokenizer and token shards, stage by stage.

    read             sources → files                                      `reading`
    clean            rules, licences, secrets, benchmarks → verdicts      `cleaning`
    duplicates       equal and similar files                              `choosing`, `dedup`
    pairs            intents and functions                                `mining`
    balance          the share of each language and package               `choosing`
    tokenizer        trained, or taken                                    `encoding`
    encode           tags, fill-in-the-middle, tokens                     `encoding`
    pack             windows, shards, ledgers, report                     `packing`, `ledger`, `report`

Every stage is a Daft dataframe from Parquet to Parquet. Everything follows from the recipe and a seed, so the same
sources give the same shards, on any number of cores or machines, and whether or not the build was interrupted.

Output:
    tokenizer/tokenizer.json
    files/                  whole source files: language tag, text, end-of-text
    pairs/                  intent, function: what `codegeex generate` is asked for
    validation/<language>/  both kinds, from repositories that training never sees
    verdicts/               for every file that was read: what each rule measured, and why it was left out
    report.json, report.html
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codegeex
from codegeex import recipes
from codegeex import tokenizer as tokenizers
from codegeex.corpus import (
    choosing,
    cleaning,
    decontaminate,
    encoding,
    engine,
    licences,
    members,
    mining,
    output,
    reading,
    settings,
    sources,
    work,
)
from codegeex.corpus.decontaminate import Benchmark
from codegeex.corpus.settings import Settings
from codegeex.corpus.sources import Source
from codegeex.corpus.work import Report, Say, Work
from codegeex.errors import CodeGeeXError
from codegeex.files import check_free

Bar = Callable[[str], AbstractContextManager[engine.Progress | None]]
"""Makes the progress of a stage with this name."""


def build(
    inputs: Sequence[str],
    target: Path,
    cache: Path,
    benchmarks: Sequence[Path] = (),
    overrides: Sequence[str] = (),
    say: Say = lambda line: None,
    bar: Bar = lambda name: nullcontext(),
) -> Report:
    """Build a corpus.

    Args:
        inputs: recipes (YAML), folders, git repositories, archives, tables of files (JSONL, Parquet), URLs of such.
        target: directory to write; must not exist.
        cache: where downloaded archives are kept.
        benchmarks: what must not be learned, see `decontaminate.read_benchmark`.
        overrides: `key=value` of `Settings`.
        say: called with a line about each stage.
        bar: shows how far a stage is.

    Returns:
        `stages` (name, kept, dropped by reason, seconds, megabytes, languages), `languages` (files, characters and
        pairs in training), `shards`, `damaged` sources and `benchmarks`; also written to report.json.

    Raises:
        CodeGeeXError: a source or setting is wrong, or nothing is left to learn from.
        WorkFailed: a package could not be fetched, the disk is full, a worker died; the same command goes on then.
    """
    check_free(target)
    listed, chosen = _recipe(inputs, list(overrides))
    problems = [problem for path in benchmarks for problem in decontaminate.read_benchmark(path)]
    benchmark = Benchmark(problems)
    if benchmarks and not benchmark:
        raise CodeGeeXError(f"nothing in {', '.join(map(str, benchmarks))} is long enough to be kept out.")
    vocabulary = ""
    if chosen.tokenizer:
        vocabulary = tokenizers.load(chosen.tokenizer).fingerprint  # one that is none is told before hours of work
    names = [path.name for path in benchmarks]
    places = list(sources.fetch(listed, cache))
    folder = target.resolve().with_name(f"{target.resolve().name}.build")
    own = {folder, target.resolve(), cache.resolve()}
    marks = {
        "version": codegeex.__version__,
        "sources": [[asdict(source), place, _mark(place, own)] for source, place in places],
        "settings": asdict(chosen),
        "tokenizer": vocabulary,
        "benchmarks": hashlib.sha256(repr(sorted(problems)).encode()).hexdigest(),
    }
    with work.opened(folder, marks, say) as at_work:
        return _Build(at_work, chosen, benchmark, names, bar).run(listed, places, target)


def _recipe(inputs: Sequence[str], overrides: list[str]) -> tuple[list[Source], Settings]:
    """The sources of all inputs, and the settings of the one that has any."""
    listed: list[Source] = []
    found: dict[str, Any] = {}
    origin = "--set"
    for one in inputs:
        if not one.endswith((".yaml", ".yml")) or sources.is_url(one):
            listed.append(sources.local(one))
            continue
        content = recipes.read(one)
        if unknown := content.keys() - {"sources", "settings"}:
            raise CodeGeeXError(f"{one}: unknown key {min(unknown)}; a corpus recipe has sources and settings.")
        listed += sources.parse(content, Path(one))
        if content.get("settings"):
            if not isinstance(content["settings"], dict):
                raise CodeGeeXError(f"{one}: settings must hold keys and values.")
            if found:
                raise CodeGeeXError(f"{origin} and {one} both have settings; leave those of one of them out.")
            found, origin = content["settings"], one
    chosen = settings.load(found, overrides, origin)
    for source in listed:
        if (source.licence or source.registry != "local") and not licences.allows(source.licence, chosen.licences):
            raise CodeGeeXError(f"{source.name}: the licence {source.licence!r} is not one the corpus takes.")
    return listed, chosen


def _mark(place: str, own: Collection[Path]) -> list[int] | str:
    """What tells that a file or folder is another one than before; of a URL nothing is known.

    Args:
        own: folders that the build itself writes, which may lie inside a source.
    """
    if sources.is_url(place):
        return ""
    if repository := members.repository(place):
        return members.last_commit(repository)
    facts = [os.lstat(place)] if Path(place).is_file() else []
    for at, folders, names in os.walk(place):
        folders[:] = [name for name in folders if Path(at, name).resolve() not in own]
        for name in names:
            with suppress(FileNotFoundError):  # removed meanwhile
                facts.append(os.lstat(f"{at}/{name}"))
    return [len(facts), sum(one.st_size for one in facts), max((one.st_mtime_ns for one in facts), default=0)]


def _dropped(report: Report) -> str:
    """How many a stage has dropped, and why."""
    return ", ".join(f"{count:,} {reason}" for reason, count in report["dropped"].items())


class _Build:
    """The stages of one build, in their order."""

    def __init__(self, at_work: Work, chosen: Settings, benchmark: Benchmark, benchmarks: list[str], bar: Bar):
        self.work, self.settings, self.benchmark, self.benchmarks = at_work, chosen, benchmark, benchmarks
        self.bar = bar

    def stage(self, name: str, make: Callable[[Path, engine.Progress | None], Report]) -> Path:
        def shown(folder: Path) -> Report:
            with self.bar(name) as progress:
                return make(folder, progress)

        return self.work.stage(name, shown)

    def run(self, listed: Sequence[Source], places: Sequence[tuple[Source, str]], target: Path) -> Report:
        read = self.stage("read", lambda folder, bar: reading.read_sources(places, folder, bar))
        total = self.work.stages[-1]["kept"]
        wanted, benchmark = self.settings.licences, self.benchmark
        clean = self.stage("clean", lambda folder, bar: cleaning.clean(read, folder, wanted, benchmark, total, bar))
        self._check_taken()
        files = choosing.load(clean)
        validation = choosing.held_out(
            files.source_names,
            (source.name for source in listed if source.validation),
            self.settings.validation_share,
        )
        threshold = self.settings.near_duplicates
        alike = self.stage(
            "duplicates",
            lambda folder, bar: choosing.find_duplicates(clean, folder, files, validation, threshold, bar),
        )
        single = choosing.without(files, alike)
        mined, counts = None, {}
        left_out = [n for n, name in enumerate(files.language_names) if not self.settings.characters(name)]
        asked = single[~np.isin(files.languages[single], left_out)]
        if self.settings.pairs:
            mined = self.stage(
                "pairs", lambda folder, bar: mining.mine_pairs(clean, folder, files, asked, self.benchmark, bar)
            )
            counts = {name: entry["kept"] for name, entry in self.work.stages[-1]["languages"].items()}
        learned, balanced = choosing.balance(files, single, self.settings)
        self.stage("balance", lambda folder, bar: balanced)
        if not len(learned) and not sum(counts.values()):
            raise CodeGeeXError(f"nothing is left to learn from ({_dropped(balanced) or 'all is left out'}).")
        encoder = self._encoder(clean, files, learned, validation)
        encoded = [
            self.stage(
                "encode files", lambda folder, bar: self._encode_files(clean, folder, files, learned, encoder, bar)
            )
        ]
        if mined:
            encoded.append(
                self.stage(
                    "encode pairs",
                    lambda folder, bar: encoding.encode_pairs(mined, folder, counts, encoder, bar),
                )
            )
        packed = self.stage("pack", lambda folder, bar: output.pack(encoded, folder, encoder, validation, bar))
        outcome = {
            "stages": self.work.stages,
            "languages": self._by_language(files, learned, validation, mined),
            "shards": self.work.stages[-1]["shards"],
            "damaged": self.work.stages[0]["damaged"],
            "benchmarks": self.benchmarks if self.benchmark else [],
            "settings": asdict(self.settings),
        }
        output.finish(packed, target, outcome, clean, alike, files, single, learned)
        return outcome

    def _check_taken(self) -> None:
        report = self.work.stages[-1]
        if not report["kept"]:
            why = "".join(f" {one}" for one in self.work.stages[0]["damaged"][:1])
            if report["dropped"].get("licence"):
                why += " What has no licence that is taken needs a file LICENSE above it, or a recipe that names one."
            raise CodeGeeXError(
                f"no file of these sources is taken ({_dropped(report) or 'none is in a language of the corpus'}).{why}"
            )

    def _encoder(
        self, clean: Path, files: choosing.Files, learned: NDArray[np.int64], validation: frozenset[str]
    ) -> encoding.Encoder:
        training = learned[~files.are_of(validation)[learned]]
        share = self.settings.tokenizer_sample / max(1, int(files.characters[training].sum()))

        def make(folder: Path, bar: engine.Progress | None) -> Report:
            made = (
                tokenizers.load(self.settings.tokenizer)
                if self.settings.tokenizer
                else encoding.learn_tokenizer(clean, files.ids[training], share, self.settings)
            )
            made.save(folder)
            return {"kept": len(made), "dropped": {}}

        return encoding.Encoder(tokenizers.load(self.stage("tokenizer", make)), self.settings, validation)

    def _encode_files(
        self,
        clean: Path,
        folder: Path,
        files: choosing.Files,
        learned: NDArray[np.int64],
        encoder: encoding.Encoder,
        bar: engine.Progress | None,
    ) -> Report:
        report = encoding.encode_files(clean, folder, files.ids[learned], encoder, bar)
        return report | {"megabytes": float(files.characters[learned].sum() / 1e6)}

    def _by_language(
        self, files: choosing.Files, learned: NDArray[np.int64], validation: frozenset[str], mined: Path | None
    ) -> dict[str, Report]:
        """What training sees of each language."""
        training = learned[~files.are_of(validation)[learned]]
        numbers = files.languages[training]
        found = mining.count(mined, validation) if mined else Counter()
        return {
            name: {
                "files": int((numbers == number).sum()),
                "characters": int(files.characters[training][numbers == number].sum()),
                "pairs": found[name],
            }
            for number, name in sorted(enumerate(files.language_names), key=lambda item: item[1])
            if (numbers == number).any() or found[name]
        }
