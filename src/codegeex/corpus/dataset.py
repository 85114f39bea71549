"""From cleaned documents and pairs to a tokenizer and token shards.

Output of `write_dataset`:
    tokenizer/tokenizer.json        trained on a sample of the documents
    files/                          whole source files: language tag, text, end-of-text
    pairs/                          intent, function: what `codegeex generate` is asked for
    validation/<language>/          both kinds, from packages that training never sees
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codegeex import languages, shards
from codegeex import tokenizer as tokenizers
from codegeex.corpus.pairs import Pair
from codegeex.corpus.sources import Document
from codegeex.tokenizer import Tokenizer
from codegeex.tokenizer.fim import fim_document

BATCH = 512
"""Texts tokenised together."""


@dataclass(frozen=True)
class Settings:
    """How documents become tokens."""

    vocab_size: int = 8192
    tokenizer_sample: int = 40_000_000
    """Characters that the tokenizer is trained on."""
    sequence_length: int = 512
    fim_rate: float = 0.2
    """Share of the documents short enough for one window that are written as fill-in-the-middle."""
    characters_per_language: int = 36_000_000
    """Whole files kept for each language, in equal shares: more than a small model can see in an hour."""
    pairs_per_language: int = 24_000
    """Documents made from pairs aimed at for each language; rarer languages give more wordings of an intent."""
    validation_share: float = 0.0
    """Share of the repositories, chosen by chance, that is kept for validation besides the sources that say so."""
    seed: int = 1


def write_dataset(
    output: Path,
    documents: Sequence[Document],
    pairs: Sequence[tuple[Document, Pair]],
    held_out: frozenset[str],
    settings: Settings,
) -> None:
    """Train a tokenizer and write the shards described above into `output`.

    Args:
        output: a directory, made if needed.
        documents: cleaned source files.
        pairs: intents and functions, each with the file it comes from.
        held_out: names of the sources kept for validation.
        settings: vocabulary, window, rates.
    """
    rng = random.Random(settings.seed)
    training = [document for document in documents if document.source not in held_out]
    rng.shuffle(training)
    tokenizer = tokenizers.train(_sample(training, settings.tokenizer_sample), settings.vocab_size)
    (output / "tokenizer").mkdir(parents=True, exist_ok=True)
    tokenizer.save(output / "tokenizer")

    texts = [(document.language, _head(document.language), document.text) for document in training]
    _write(output / "files", texts, tokenizer, settings, settings.fim_rate)
    counts = Counter(document.language for document, _ in pairs)
    wordings = {language: max(1, settings.pairs_per_language // count) for language, count in counts.items()}
    texts = [
        (document.language, *text)
        for document, pair in pairs
        if document.source not in held_out
        for text in _pair_texts(pair, document.language, wordings[document.language], rng)
    ]
    rng.shuffle(texts)
    _write(output / "pairs", texts, tokenizer, settings, settings.fim_rate)

    for language in sorted({document.language for document in documents}):
        kept = [
            (language, _head(language), document.text)
            for document in documents
            if document.source in held_out and document.language == language
        ]
        kept += [
            (language, *text)
            for document, pair in pairs
            if document.source in held_out and document.language == language
            for text in _pair_texts(pair, language, 1, rng)
        ]
        rng.shuffle(kept)
        if kept:
            _write(output / "validation" / language, kept, tokenizer, settings, fim_rate=0.0)


def _head(language: str) -> str:
    return languages.get(language).tag + "\n"


def _pair_texts(pair: Pair, language: str, wordings: int, rng: random.Random) -> list[tuple[str, str]]:
    """(head, text) for some wordings of a pair's intent: exactly the prompt that `generate` writes, then the code."""
    chosen = rng.sample(pair.intents, min(wordings, len(pair.intents)))
    row = languages.get(language)
    return [(row.intent_prompt(intent), pair.code.strip("\n") + "\n") for intent in chosen]


def _sample(documents: Iterable[Document], characters: int) -> Iterable[str]:
    for document in documents:
        if characters <= 0:
            return
        characters -= len(document.text)
        yield document.text


def _write(
    directory: Path, texts: list[tuple[str, str, str]], tokenizer: Tokenizer, settings: Settings, fim_rate: float
) -> None:
    """One shard directory from (language, head, text) triples."""
    rng = random.Random(settings.seed)
    with shards.create(directory, len(tokenizer), tokenizer.fingerprint) as writer:
        for first in range(0, len(texts), BATCH):
            part = texts[first : first + BATCH]
            encoded = tokenizer.encode_batch([head + text for _, head, text in part])
            for (language, head, text), ids in zip(part, encoded, strict=True):
                if len(ids) < settings.sequence_length and rng.random() < fim_rate:
                    ids = fim_document(tokenizer, head, text, rng)
                writer.add([*ids, tokenizer.end_of_text], language)
