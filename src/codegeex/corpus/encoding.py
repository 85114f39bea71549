"""Texts to tokens: the language's tag first, fill-in-the-middle for some, end-of-text last.

What chance decides for a text follows from the seed and the text's id alone, wherever and whenever it is encoded.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import daft
import numpy as np
from daft import DataType, Series, col
from numpy.typing import NDArray

from codegeex import languages, prompts
from codegeex import tokenizer as tokenizers
from codegeex.corpus import engine
from codegeex.corpus.choosing import among
from codegeex.corpus.cleaning import CARRIED
from codegeex.corpus.measures import array
from codegeex.corpus.settings import Settings
from codegeex.corpus.work import Report
from codegeex.tokenizer import Tokenizer
from codegeex.tokenizer.batches import BatchEncoder
from codegeex.tokenizer.fim import fim_document

BATCH = 256
"""Files encoded together: enough work for all cores, and little memory."""

_TOKENS = DataType.list(DataType.binary())

Texts = Sequence[tuple[str, str]]
"""Documents as (head, text): what a prompt gives, and what follows it."""


class Encoder:
    """Documents to bytes of their ids.

    Args:
        validation: names of the sources whose documents are never rearranged.
    """

    def __init__(self, tokenizer: Tokenizer, settings: Settings, validation: frozenset[str]):
        self.tokenizer, self.settings, self.validation = tokenizer, settings, validation
        self._encode = BatchEncoder(tokenizer)
        self.dtype = np.dtype("<u2" if len(tokenizer) <= 1 << 16 else "<u4")

    def encode(self, texts: Texts, chances: Sequence[random.Random | None]) -> list[bytes]:
        """Each document's ids, end-of-text included.

        Args:
            chances: for each document what decides about fill-in-the-middle; None for never.
        """
        settings, tokenizer = self.settings, self.tokenizer
        end = np.array([tokenizer.end_of_text], self.dtype).tobytes()
        encoded = []
        ids: Sequence[int] | NDArray[np.uint32]
        for (head, text), ids, chance in zip(
            texts, self._encode([head + text for head, text in texts]), chances, strict=True
        ):
            # The tokens of fill-in-the-middle and end-of-text have to fit as well.
            if chance and len(ids) + 4 <= settings.sequence_length and chance.random() < settings.fim_rate:
                ids = fim_document(tokenizer, head, text, chance, spm=chance.random() < settings.fim_spm)
            encoded.append(np.asarray(ids, self.dtype).tobytes() + end)
        return encoded

    def chance(self, kind: str, number: int, source: str) -> random.Random | None:
        """What decides about a document."""
        if source in self.validation or not self.tokenizer.has_fim:
            return None
        return random.Random(f"{self.settings.seed} {kind} {number}")


def encode_files(
    clean: Path, folder: Path, ids: NDArray[np.int64], encoder: Encoder, progress: engine.Progress | None
) -> Report:
    """Write the tokens of whole files: rows of `id`, `CARRIED` and `tokens`, a list of one document."""

    @daft.func.batch(return_dtype=_TOKENS, use_process=False, batch_size=BATCH)
    def encode(number: Series, language: Series, source: Series, text: Series) -> list[list[bytes]]:
        rows = list(zip(*(array(column).to_pylist() for column in (number, language, source, text)), strict=True))
        texts = [(languages.get(language).tag + "\n", text) for _, language, _, text in rows]
        chances = [encoder.chance("file", number, source) for number, _, source, _ in rows]
        return [[document] for document in encoder.encode(texts, chances)]

    frame = engine.read(clean, ["id", *CARRIED, "text"]).where(among(ids)(col("id")))
    tokens = encode(col("id"), col("language"), col("source"), col("text"))
    engine.write(frame.select("id", *CARRIED, tokens.alias("tokens")), folder, len(ids), progress)
    return {"kept": len(ids), "dropped": {}}


def encode_pairs(
    mined: Path, folder: Path, counts: Mapping[str, int], encoder: Encoder, progress: engine.Progress | None
) -> Report:
    """Write the tokens of pairs, as `encode_files` does; a pair gives a document for each wording that is taken.

    Args:
        counts: pairs of each language: where there are few, more wordings of each are taken.
    """
    aim = encoder.settings.pairs_per_language

    @daft.func.batch(return_dtype=_TOKENS, use_process=False, batch_size=BATCH)
    def encode(number: Series, language: Series, source: Series, intents: Series, code: Series) -> list[list[bytes]]:
        columns = (array(column).to_pylist() for column in (number, language, source, intents, code))
        texts: list[tuple[str, str]] = []
        chances: list[random.Random | None] = []
        ends = [0]
        for pair, key, origin, wordings, body in zip(*columns, strict=True):
            most = 1 if origin in encoder.validation else max(1, aim // counts[key])
            chosen = random.Random(f"{encoder.settings.seed} wording {pair}").sample(wordings, min(most, len(wordings)))
            spoken = languages.get(key)
            texts += [(prompts.generation(intent, spoken), body.strip("\n") + "\n") for intent in chosen]
            chances += [encoder.chance("pair", pair * 16 + place, origin) for place in range(len(chosen))]
            ends.append(len(texts))
        documents = encoder.encode(texts, chances)
        return [documents[start:end] for start, end in pairwise(ends)]

    frame = engine.read(mined)
    tokens = encode(*(col(name) for name in ("id", "language", "source", "intents", "code")))
    total = sum(counts.values())
    engine.write(frame.select("id", *CARRIED, tokens.alias("tokens")), folder, total, progress)
    return {"kept": total, "dropped": {}}


def learn_tokenizer(clean: Path, ids: NDArray[np.int64], share: float, settings: Settings) -> Tokenizer:
    """A tokenizer trained on about that share of the files with these ids."""
    drawn = ids[np.random.default_rng([settings.seed, 2]).random(len(ids)) < share]
    wanted = set(drawn.tolist())
    texts = (row["text"] for row in engine.ordered(clean, ["text"]) if row["id"] in wanted)
    return tokenizers.train(texts, settings.vocab_size)
