"""How a corpus is made: the `settings` of a recipe, each of which `--set key=value` overrides."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codegeex import languages, recipes
from codegeex.corpus.licences import PERMISSIVE
from codegeex.errors import CodeGeeXError
from codegeex.shards import Packing

LEAST_VOCABULARY = 300
"""Bytes, runs of spaces and special tokens leave room for the first merges."""


@dataclass(frozen=True)
class Settings:
    """How files become tokens."""

    tokenizer: str = ""
    """Directory with the tokenizer to use; empty: one is trained on the corpus."""
    vocab_size: int = 8192
    """Ids of the tokenizer that is trained."""
    tokenizer_sample: int = 40_000_000
    """Characters that the tokenizer is trained on."""
    sequence_length: int = 512
    """Tokens of a training window: what fill-in-the-middle and the packings that cut segments are measured by."""
    packing: Packing = "dense"
    """How documents come into windows, see `codegeex.shards`."""
    fim_rate: float = 0.2
    """Share of the documents short enough for one window that are written as fill-in-the-middle."""
    fim_spm: float = 0.5
    """Share of those that have their suffix before their prefix (SPM), and their prefix next to the middle."""
    characters_per_language: int = 36_000_000
    """Whole files kept for each language, in equal shares of its packages; 0 for all of them."""
    mixture: dict[str, float] = field(default_factory=dict)
    """Languages that get so many times `characters_per_language` instead of once; 0 leaves one out."""
    pairs: bool = True
    """Whether to make documents from intents and functions besides whole files."""
    pairs_per_language: int = 24_000
    """Such documents aimed at for each language; rarer languages give more wordings of an intent."""
    near_duplicates: float = 0.85
    """Similarity from which files count as duplicates; 0 keeps them all."""
    licences: list[str] = field(default_factory=lambda: sorted(PERMISSIVE))
    """SPDX names of the licences that are taken."""
    validation_share: float = 0.0
    """Share of the repositories, chosen by chance, that is kept for validation besides the sources that say so."""
    seed: int = 1

    def characters(self, language: str) -> float:
        """The most that a language gets of whole files."""
        if not self.characters_per_language:
            return 0.0 if self.mixture.get(language) == 0 else float("inf")
        return self.characters_per_language * self.mixture.get(language, 1.0)


def load(content: dict[str, Any], overrides: list[str], source: str) -> Settings:
    """Settings from a recipe's `settings` and from `key=value` lines.

    Raises:
        CodeGeeXError: an unknown key, a value of the wrong type, or an impossible one.
    """
    content = dict(content)
    recipes.override(content, overrides)
    settings = recipes.build(Settings, content, source, "settings.")
    for key in ("fim_rate", "fim_spm", "near_duplicates", "validation_share"):
        if not 0 <= getattr(settings, key) <= 1:
            raise CodeGeeXError(f"{source}: settings.{key} must be from 0 to 1, not {getattr(settings, key)}.")
    for key in ("tokenizer_sample", "sequence_length"):
        if getattr(settings, key) < 1:
            raise CodeGeeXError(f"{source}: settings.{key} must be at least 1, not {getattr(settings, key)}.")
    if settings.seed < 0:
        raise CodeGeeXError(f"{source}: settings.seed must be 0 or above, not {settings.seed}.")
    if settings.vocab_size < LEAST_VOCABULARY:
        raise CodeGeeXError(f"{source}: settings.vocab_size must be at least {LEAST_VOCABULARY}.")
    if settings.characters_per_language < 0 or any(not 0 <= weight < 1e6 for weight in settings.mixture.values()):
        raise CodeGeeXError(f"{source}: settings.characters_per_language and .mixture must be 0 or above.")
    if settings.tokenizer and not Path(settings.tokenizer).exists():
        raise CodeGeeXError(f"{source}: there is no tokenizer in {settings.tokenizer}.")
    mixture = {languages.get(name).key: weight for name, weight in settings.mixture.items()}
    return dataclasses.replace(settings, mixture=mixture)
