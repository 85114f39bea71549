"""The last stage: encoded documents to token shards with their ledgers, and what tells a person about the build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pyarrow as pa
from daft import DataType, Series, col, functions
from numpy.typing import NDArray
from pyarrow import parquet

from codegeex import shards
from codegeex.corpus import engine, ledger
from codegeex.corpus.choosing import Files
from codegeex.corpus.cleaning import CARRIED
from codegeex.corpus.encoding import Encoder
from codegeex.corpus.measures import array
from codegeex.corpus.packing import Packer
from codegeex.corpus.report import page
from codegeex.corpus.work import Report
from codegeex.files import publish

KINDS = ("files", "pairs")
"""Names of the shard directories of training, for what `encoded` holds of each."""


def pack(
    encoded: Sequence[Path],
    folder: Path,
    encoder: Encoder,
    validation: frozenset[str],
    progress: engine.Progress | None,
) -> Report:
    """Write the shard directories and the tokenizer.

    Args:
        encoded: the stages that hold documents, as `encoding.encode_files` writes them, of each of `KINDS`.
    """
    (folder / "tokenizer").mkdir()
    encoder.tokenizer.save(folder / "tokenizer")
    total = sum(parquet.read_metadata(path).num_rows for one in encoded for path in one.glob("*.parquet"))
    done = documents = 0
    with ExitStack() as stack:
        packers: dict[Path, Packer] = {}
        for kind, stage in zip(KINDS, encoded, strict=False):
            for row in engine.ordered(stage):
                origin = {name: row[name] for name in CARRIED}
                is_held_out = row["source"] in validation
                where = folder / "validation" / row["language"] if is_held_out else folder / kind
                for document in row["tokens"]:
                    if where not in packers:
                        packers[where] = stack.enter_context(packer(where, encoder))
                    packers[where].add(np.frombuffer(document, encoder.dtype), origin)
                    documents += 1
                done += 1
                if progress and done % 256 == 0:
                    progress(done, total)
    found = shards.summarize(folder)
    meta = {
        str(Path(name).relative_to(folder)): json.loads((Path(name) / "meta.json").read_text())
        for name in found["shards"]
    }
    return {"kept": documents, "dropped": {}, "shards": meta}


@contextmanager
def packer(directory: Path, encoder: Encoder) -> Iterator[Packer]:
    """What documents go through into a new shard directory and its ledger; an origin is a dictionary of `CARRIED`."""
    packing, segment = encoder.settings.packing, encoder.settings.sequence_length + 1
    tokenizer = encoder.tokenizer
    directory.parent.mkdir(exist_ok=True)
    shard = shards.create(directory, len(tokenizer), tokenizer.fingerprint, 0 if packing == "dense" else segment)
    with shard as writer, ledger.create(writer.directory) as origins:

        def emit(ids: NDArray[Any], origin: dict[str, Any], padding: int) -> None:
            writer.add(ids, origin["language"], padding)
            origins.add(origin)

        filling = Packer(packing, segment, tokenizer.end_of_text, emit)
        yield filling
        filling.close()


def finish(
    packed: Path,
    target: Path,
    report: Report,
    clean: Path,
    duplicates: Path,
    files: Files,
    single: NDArray[np.int64],
    learned: NDArray[np.int64],
) -> None:
    """Put the report and the verdicts beside the shards, and everything where it was wanted."""
    shutil.rmtree(packed / "verdicts", ignore_errors=True)  # of a build that was killed right here
    _write_verdicts(packed / "verdicts", clean, duplicates, files.ids[np.setdiff1d(single, learned)])
    (packed / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (packed / "report.html").write_text(page(report))
    publish(packed, target)
    (target / "stage.json").unlink()


def _write_verdicts(folder: Path, clean: Path, duplicates: Path, over: NDArray[np.int64]) -> None:
    """For every file that was read: where it is from, what was measured, and why it was left out, if it was."""
    table = parquet.read_table(duplicates / "duplicates.parquet")
    order = np.argsort(table["id"].to_numpy())
    ids, reasons = table["id"].to_numpy()[order], table["reason"].take(pa.array(order))

    @daft.func.batch(return_dtype=DataType.string(), use_process=False)
    def later(number: Series) -> list[str | None]:
        asked = array(number).to_numpy()
        places = np.searchsorted(ids, asked)
        shares = np.isin(asked, over)
        return [
            reasons[place].as_py() if place < len(ids) and ids[place] == one else "over its share" if share else None
            for one, place, share in zip(asked.tolist(), places.tolist(), shares.tolist(), strict=True)
        ]

    frame = engine.read(clean, ["id", *CARRIED, "bytes", "reason", "measured"])
    engine.write(frame.with_column("reason", functions.coalesce(col("reason"), later(col("id")))), folder)
